//go:build linux || darwin || netbsd || openbsd

package selector

// rlimit has the type of unix.Rlimit's fields.
func rlimit(n int) uint64 { return uint64(n) }
