//go:build unix

package rawio

import "golang.org/x/sys/unix"

// Descriptors returns how many descriptors the process may have (getrlimit(2), RLIMIT_NOFILE), 0 when that is not known.
func Descriptors() int {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil {
		return 0
	}
	return int(min(uint64(limit.Cur), 1<<30))
}
