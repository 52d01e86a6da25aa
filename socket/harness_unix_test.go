//go:build unix

package socket

import (
	"testing"

	"golang.org/x/sys/unix"
)

const (
	writable = unix.POLLOUT

	// waitState is what a stack says of a goroutine that waits in the poller.
	waitState = "[IO wait"
)

// ready waits with poll(2) until the socket is ready, as a selector would.
func ready(t *testing.T, s *Socket, events int16) {
	t.Helper()
	fds := []unix.PollFd{{Fd: int32(s.FD()), Events: events}}
	for {
		n, err := unix.Poll(fds, 10_000)
		if err == unix.EINTR {
			continue
		}
		if n != 1 || err != nil {
			t.Fatal("poll:", n, err)
		}
		return
	}
}

// startPoller starts what this process has once: nothing that tests see.
func startPoller() {}

// needRights is for tests of descriptors that travel (SCM_RIGHTS).
func needRights(*testing.T) {}
