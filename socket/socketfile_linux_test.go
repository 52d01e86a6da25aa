package socket

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// Whether a program listens at a socket file is only known to who may connect to it.
func TestASocketFileOfAnotherUserIsNotSaidToHaveAProgram(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "s.sock")
	l, err := CreateServer(path, nil)
	noError(t, err)
	defer l.Close()
	noError(t, os.Chmod(path, 0))
	noError(t, os.Chmod(dir, 0o777))
	noError(t, os.Chmod(filepath.Dir(dir), 0o711)) // else the test is its own user's alone
	failed := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocks it: the thread ends with the goroutine
		if os.Geteuid() == 0 {
			unix.SetfsuidRetUid(65534) // root may connect to everything
		}
		_, err := CreateServer(path, nil)
		failed <- err
	}()
	if err := <-failed; !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), "may not connect") {
		t.Error(err)
	}
	if _, err := os.Lstat(path); err != nil {
		t.Error(err)
	}
}
