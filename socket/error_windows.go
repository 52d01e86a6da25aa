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

// portable is the number that errno has on every system: the error may have come from package net, which has Winsock's.
func portable(errno syscall.Errno) syscall.Errno { return winsock.Errno(errno) }
