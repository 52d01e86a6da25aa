package socket

import (
	"errors"
	"syscall"

	"github.com/switchboard-go/switchboard/internal/winsock"
)

// isWinsock reports whether target is the number that Winsock gave for the portable errno that e wraps.
func (e *Error) isWinsock(target error) bool {
	var errno syscall.Errno
	return errors.As(e.Err, &errno) && winsock.Same(errno, target)
}
