package selector

import (
	"fmt"
	"syscall"
)

// A BadFDError reports a descriptor of Select that is not open. It wraps EBADF.
type BadFDError struct {
	FD   int
	List string // "read", "write" or "except": the first list that has it
}

func (e *BadFDError) Error() string {
	return fmt.Sprintf("select: descriptor %d in the %s list is not open", e.FD, e.List)
}

func (e *BadFDError) Unwrap() error { return syscall.EBADF }
