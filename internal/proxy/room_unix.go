//go:build unix

package proxy

import (
	"math"

	"golang.org/x/sys/unix"
)

// Room returns how many clients this process has descriptors for: each takes two, its own and its target's. A server that
// accepted more would have none left to connect them with.
func Room() int {
	const others = 32 // the loops', the listeners, the standard streams, probes
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil || uint64(limit.Cur) > math.MaxInt32 {
		return math.MaxInt32
	}
	return max(int(limit.Cur)-others, 2) / 2
}
