//go:build darwin || dragonfly || freebsd || netbsd

package rawio

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"
)

// KeepAlive has the system ask a peer that was silent for so long whether it lives, and again as often; four questions
// without an answer end the connection (tcp(4), TCP_KEEPIDLE; on macOS TCP_KEEPALIVE). Parts of a second count as a
// whole one.
func KeepAlive(fd int, after time.Duration) error {
	seconds := int(min((after+time.Second-1)/time.Second, 1<<15-1))
	return errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1),
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, keepIdle, seconds),
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, seconds),
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPCNT, 4))
}
