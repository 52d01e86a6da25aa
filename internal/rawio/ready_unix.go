//go:build unix

package rawio

import "golang.org/x/sys/unix"

// Ready tells which of reading and writing would not wait now (poll(2)). An error or a hang-up is both.
func Ready(fd int, read, write bool) (canRead, canWrite bool) {
	poll := [1]unix.PollFd{{Fd: int32(fd)}}
	if read {
		poll[0].Events |= unix.POLLIN
	}
	if write {
		poll[0].Events |= unix.POLLOUT
	}
	for {
		n, err := unix.Poll(poll[:], 0)
		if err == unix.EINTR {
			continue
		}
		if n <= 0 {
			return false, false
		}
		broken := poll[0].Revents&(unix.POLLERR|unix.POLLHUP|unix.POLLNVAL) != 0
		return read && (broken || poll[0].Revents&unix.POLLIN != 0), write && (broken || poll[0].Revents&unix.POLLOUT != 0)
	}
}
