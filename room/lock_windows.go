package room

import (
	"os"

	"golang.org/x/sys/windows"
)

// lock locks a file for this process, without waiting. Close, and the end of the process, release it.
func lock(f *os.File) (taken bool, err error) {
	const flags = windows.LOCKFILE_EXCLUSIVE_LOCK | windows.LOCKFILE_FAIL_IMMEDIATELY
	switch err := windows.LockFileEx(windows.Handle(f.Fd()), flags, 0, 1, 0, new(windows.Overlapped)); err {
	case windows.ERROR_LOCK_VIOLATION:
		return false, nil
	default:
		return err == nil, os.NewSyscallError("LockFileEx", err)
	}
}
