//go:build !linux

package rawio

import (
	"errors"
	"syscall"
)

// Only Linux moves bytes between any two sockets inside the kernel.

// Splice is splice(2), which there is not.
func Splice(from, to, n int) (int, syscall.Errno) { return 0, syscall.ENOTSUP }

// Pipe makes a pipe for Splice.
func Pipe(size int) (r, w, holds int, err error) { return -1, -1, 0, errors.ErrUnsupported }
