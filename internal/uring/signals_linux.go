package uring

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// holdPreemption has the calling thread hold back SIGURG for good, by which Go preempts what a thread runs. To TCP, a thread
// that has a signal pending and finds the urgent mark next in the stream would have to wait, however much lies behind the
// mark (tcp_recvmsg): the receiving operation takes that for "nothing there", and waits for an arrival that may never be.
// Go stops the thread's goroutine all the same, at its next call of a function.
func holdPreemption() {
	urgent := uint64(1) << (unix.SIGURG - 1)
	unix.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_BLOCK, uintptr(unsafe.Pointer(&urgent)), 0, unsafe.Sizeof(urgent), 0, 0)
}
