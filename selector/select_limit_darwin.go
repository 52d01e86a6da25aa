package selector

import "golang.org/x/sys/unix"

// selectLimit is the first descriptor that select(2) refuses. On macOS it is in the C library, which has the limit that
// the kernel lacks.
const selectLimit = unix.FD_SETSIZE
