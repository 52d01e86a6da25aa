//go:build dragonfly || freebsd

package selector

// rlimit has the type of unix.Rlimit's fields.
func rlimit(n int) int64 { return int64(n) }
