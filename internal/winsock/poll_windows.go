package winsock

import (
	"syscall"
	"unsafe"
)

// Events of Poll (WSAPoll).
const (
	POLLIN   = 0x300
	POLLOUT  = 0x10
	POLLERR  = 0x1
	POLLHUP  = 0x2
	POLLNVAL = 0x4
)

// Poll returns which of the events one socket is ready for, and POLLERR, POLLHUP and POLLNVAL, without waiting: WSAPoll.
func Poll(fd int, events int16) (int16, syscall.Errno) {
	p := struct {
		fd              uintptr
		events, revents int16
	}{fd: uintptr(fd), events: events}
	r, _, e := syscall.SyscallN(procPoll.Addr(), uintptr(unsafe.Pointer(&p)), 1, 0)
	if int32(r) < 0 {
		return 0, Errno(e)
	}
	return p.revents, 0
}
