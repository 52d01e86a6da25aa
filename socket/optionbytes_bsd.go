//go:build darwin || dragonfly || freebsd || netbsd

package socket

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

func sysOptionBytes(fd, level, name int, p []byte) (int, error) {
	n := uint32(len(p))
	_, _, e := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), uintptr(level), uintptr(name),
		uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(unsafe.Pointer(&n)), 0)
	return int(n), errnoOrNil(e)
}

func errnoOrNil(e syscall.Errno) error {
	if e != 0 {
		return e
	}
	return nil
}
