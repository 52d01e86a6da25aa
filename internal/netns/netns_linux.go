package netns

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// Enter runs the test again, alone, in a process with a network of its own, whose loopback interface is up, and where
// the process is root. It reports true in that process; elsewhere the test is over when Enter returns. Who may not
// make namespaces skips the test.
//
//	func TestX(t *testing.T) {
//		if !netns.Enter(t) {
//			return
//		}
func Enter(t *testing.T) bool {
	t.Helper()
	if Inside() {
		Run(t, "ip", "link", "set", "lo", "up")
		return true
	}
	if _, err := exec.LookPath("ip"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=2m")
	cmd.Env = append(os.Environ(), variable+"=1", "GORACE=atexit_sleep_ms=0")
	cmd.SysProcAttr = Unshare()
	out, err := cmd.CombinedOutput()
	exit := new(exec.ExitError)
	switch {
	case err == nil && bytes.Contains(out, []byte("\n--- SKIP")):
		t.Skip(strings.TrimSpace(string(out)))
	case err == nil:
		t.Logf("in a network namespace:\n%s", bytes.TrimSpace(out))
	case errors.As(err, &exit):
		t.Fatalf("in a network namespace: %v\n%s", err, out)
	case errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EACCES) || errors.Is(err, syscall.ENOSPC) ||
		errors.Is(err, syscall.EINVAL):
		t.Skipf("no network namespace may be made here: %v", err)
	default:
		t.Fatal(err)
	}
	return false
}

// Unshare makes a process one with a network of its own, where it is root; it ends with this process.
func Unshare() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if os.Getuid() != 0 {
		attr.Cloneflags |= syscall.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	return attr
}

// Run runs a program that must succeed.
func Run(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}
