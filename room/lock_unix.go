//go:build unix

package room

import (
	"os"

	"golang.org/x/sys/unix"
)

// lock locks a file for this process, without waiting. Close, and the end of the process, release it.
func lock(f *os.File) (taken bool, err error) {
	for {
		switch err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err {
		case unix.EINTR:
		case unix.EWOULDBLOCK:
			return false, nil
		default:
			return err == nil, os.NewSyscallError("flock", err)
		}
	}
}
