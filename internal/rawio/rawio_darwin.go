package rawio

import "golang.org/x/sys/unix"

const keepIdle = unix.TCP_KEEPALIVE

// Untaken returns how many sent bytes the peer's system has not taken yet (SO_NWRITE), -1 when that is not known.
func Untaken(fd int) int {
	n, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_NWRITE)
	if err != nil {
		return -1
	}
	return n
}
