//go:build unix

package poller

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

const asChild = "SWITCHBOARD_TEST_OPEN"

// TestMain is the child before package testing starts a timer, which opens the poller, too.
func TestMain(m *testing.M) {
	when := os.Getenv(asChild)
	if when == "" {
		os.Exit(m.Run())
	}
	if err := waitWithoutDescriptors(when); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func TestAProcessWithoutDescriptorsCanWait(t *testing.T) {
	for _, when := range []string{"early", "late"} {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), asChild+"="+when, "GORACE=atexit_sleep_ms=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("opened %s: %v\n%s", when, err, out)
		}
	}
}

func waitWithoutDescriptors(when string) error {
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 64, Max: 64}); err != nil {
		return err
	}
	if when == "early" {
		if err := Open(); err != nil {
			return err
		}
	}
	var taken []int
	for {
		fd, err := syscall.Dup(0)
		if errors.Is(err, syscall.EMFILE) {
			break
		} else if err != nil {
			return err
		}
		taken = append(taken, fd)
	}
	if when == "late" {
		if err := Open(); !errors.Is(err, syscall.EMFILE) {
			return fmt.Errorf("with no descriptor left Open says %v", err)
		}
		for _, fd := range taken {
			syscall.Close(fd)
		}
	}
	if err := Open(); err != nil {
		return err
	}
	time.Sleep(time.Millisecond) // ends the process if the poller cannot be opened
	return nil
}
