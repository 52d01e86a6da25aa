package selector

import "golang.org/x/sys/unix"

// highestForSelect is the last descriptor that select(2) takes. On macOS the C library has the limit that the kernel lacks.
const highestForSelect = unix.FD_SETSIZE - 1
