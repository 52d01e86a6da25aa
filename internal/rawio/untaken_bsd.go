//go:build dragonfly || freebsd || netbsd || openbsd

package rawio

// Untaken is not known here, and need not be: a socket can be written as soon as the peer has taken 2 KiB.
func Untaken(fd int) int { return -1 }
