//go:build darwin || netbsd || openbsd

package socket

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// closeOnExec runs make so that no child process begins before the descriptor is close-on-exec: for systems
// that cannot make it so at birth.
func closeOnExec(make func() (int, error)) (int, error) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	fd, err := make()
	if err == nil {
		unix.CloseOnExec(fd)
	}
	return fd, err
}
