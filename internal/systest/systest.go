// Package systest is what tests ask of the system, and every system does in its own way.
package systest

import (
	"os"
	"os/exec"
	"syscall"
	"testing"
)

// Interruptible prepares a program that is to be started, so that Interrupt and Terminate reach it alone.
func Interruptible(cmd *exec.Cmd) { interruptible(cmd) }

// Interrupt tells a process what Ctrl-C tells it: SIGINT, or Ctrl-Break on Windows.
func Interrupt(p *os.Process) error { return interrupt(p) }

// Terminate tells a process to end in order: SIGTERM, or Ctrl-Break on Windows.
func Terminate(p *os.Process) error { return terminate(p) }

// ExitCode is how a process ended: 128 and more for a signal, as a shell has it.
func ExitCode(state *os.ProcessState) int { return exitCode(state) }

// Is is errors.Is for the portable number of a system's error. Those of package net have Winsock's number on Windows.
func Is(err error, errno syscall.Errno) bool { return is(err, errno) }

// HasUnix reports whether the system has Unix sockets. A Windows from before 2018 and Wine have none.
func HasUnix() bool { return hasUnix() }

// NeedUnix skips the test where the system has no Unix sockets.
func NeedUnix(t testing.TB) {
	t.Helper()
	if !hasUnix() {
		t.Skip("the system has no Unix sockets")
	}
}
