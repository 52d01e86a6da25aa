package afd

import (
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"
)

// A Poll asks once which events a socket is ready for. It belongs to one goroutine at a time, from NewPoll to Free; but
// while it is pending, only Cancel and Pending may be called, until Wait has taken its completion.
type Poll struct {
	Owner any // the caller's own

	device  windows.Handle
	number  int
	pending atomic.Bool

	// Written by the kernel while the poll is pending
	status windows.IO_STATUS_BLOCK
	info   pollInfo
}

// pollInfo is AFD_POLL_INFO with its one AFD_POLL_HANDLE_INFO.
type pollInfo struct {
	timeout   int64 // a time in units of 100 ns; the largest is never
	count     uint32
	exclusive uint32
	handle    windows.Handle
	events    uint32
	status    uint32
}

// Base returns the handle by which AFD knows a socket: another than the socket's own where a layered service provider
// has come between. For what is not a socket the error is WSAENOTSOCK.
func Base(fd int) (base windows.Handle, err error) {
	var n uint32
	err = windows.WSAIoctl(windows.Handle(fd), sioBaseHandle, nil, 0, (*byte)(unsafe.Pointer(&base)),
		uint32(unsafe.Sizeof(base)), &n, nil, 0)
	return base, os.NewSyscallError("WSAIoctl(SIO_BASE_HANDLE)", err)
}

// Arm makes the poll pending: it completes when one of the events is there. The socket is given by its Base. After an
// error the poll is not pending.
func (p *Poll) Arm(base windows.Handle, events uint32) error {
	p.info = pollInfo{timeout: 1<<63 - 1, count: 1, handle: base, events: events}
	p.status.Status = statusPending
	p.pending.Store(true)
	info, size := uintptr(unsafe.Pointer(&p.info)), unsafe.Sizeof(p.info)
	r, _, _ := syscall.SyscallN(deviceControl.Addr(), uintptr(p.device), 0, 0, uintptr(p.number+1),
		uintptr(unsafe.Pointer(&p.status)), controlPoll, info, size, info, size)
	if failed(uint32(r)) {
		p.pending.Store(false)
		return fmt.Errorf("NtDeviceIoControlFile(AFD poll): %w", failure(uint32(r)))
	}
	return nil
}

// Cancel makes a pending poll complete without events, unless it does with some just now.
func (p *Poll) Cancel() {
	var status windows.IO_STATUS_BLOCK
	syscall.SyscallN(cancelIO.Addr(), uintptr(p.device), uintptr(unsafe.Pointer(&p.status)), uintptr(unsafe.Pointer(&status)))
}

// Events returns those that have come. It is for a poll that has completed, and is zero for one that was cancelled. One that
// has failed otherwise gives Abort, as the next call on the socket says what is wrong.
func (p *Poll) Events() uint32 {
	switch status := uint32(p.status.Status); {
	case status == statusCancelled:
		return 0 // its input is still where the events are
	case failed(status):
		return Abort
	case p.info.count == 0:
		return 0
	}
	return p.info.events
}

// Pending reports whether the poll was armed and its completion was not taken yet.
func (p *Poll) Pending() bool { return p.pending.Load() }
