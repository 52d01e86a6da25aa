//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package selector

import (
	"time"

	"golang.org/x/sys/unix"
)

type pollFD = unix.PollFd

const (
	pollIn   = unix.POLLIN
	pollOut  = unix.POLLOUT
	pollPri  = unix.POLLPRI
	pollErr  = unix.POLLERR
	pollHup  = unix.POLLHUP
	pollNval = unix.POLLNVAL
)

func newPollFD(fd int, bits int16) pollFD { return pollFD{Fd: int32(fd), Events: bits} }

// pollFor waits as long as the timeout says, negative without end. A signal ends it with nothing.
func pollFor(fds []pollFD, timeout time.Duration) (n int, err error) {
	n, err = unix.Poll(fds, milliseconds(timeout))
	if err == unix.EINTR {
		return 0, nil
	}
	return n, err
}

// checkOpen says EBADF when fd is not an open descriptor.
func checkOpen(fd int) error {
	_, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	return err
}
