package rawio

import (
	"time"

	"golang.org/x/sys/unix"
)

// KeepAlive has the system ask a silent peer now and then whether it lives (setsockopt(2), SO_KEEPALIVE). The times are
// the system's own (sysctl net.inet.tcp): OpenBSD has none for a single socket.
func KeepAlive(fd int, after time.Duration) error {
	return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1)
}
