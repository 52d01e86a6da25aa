//go:build unix

package bench

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// checkDescriptors says so if this process may not have n sockets. The limit that counts is the hard one: the runtime has
// raised the soft one to it.
func checkDescriptors(n int) error {
	const others = 32 // the loops', the standard streams, the reports
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil {
		return nil
	}
	if have := uint64(limit.Cur); uint64(n)+others > have {
		return fmt.Errorf("%d connections need %d descriptors, and this process may have %d: raise the limit (ulimit -n %d) or lower --conns",
			n, n+others, have, n+others)
	}
	return nil
}
