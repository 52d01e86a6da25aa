//go:build unix

package systest

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
)

func interruptible(*exec.Cmd) {}

func interrupt(p *os.Process) error { return p.Signal(syscall.SIGINT) }

func terminate(p *os.Process) error { return p.Signal(syscall.SIGTERM) }

func exitCode(state *os.ProcessState) int {
	status := state.Sys().(syscall.WaitStatus)
	if status.Signaled() {
		return 128 + int(status.Signal())
	}
	return status.ExitStatus()
}

func is(err error, errno syscall.Errno) bool { return errors.Is(err, errno) }

func hasUnix() bool { return true }
