package socket

import (
	"errors"
	"fmt"
)

// OpenBSD allows system calls from its C library alone, and golang.org/x/sys does not have this one.
func sysOptionBytes(fd, level, name int, p []byte) (int, error) {
	return 0, fmt.Errorf("an option's bytes on OpenBSD: %w", errors.ErrUnsupported)
}
