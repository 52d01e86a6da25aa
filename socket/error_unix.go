//go:build unix

package socket

import "syscall"

func (e *Error) isWinsock(error) bool { return false }

func portable(errno syscall.Errno) syscall.Errno { return errno }
