package uring

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// A sigset is a set of signals as rt_sigprocmask(2) wants it: signal n is bit n-1.
type sigset uint64

// entering is what a thread holds back while it is in the kernel for a ring. To TCP, a thread that has a signal pending and
// finds the urgent mark next in the stream would have to wait, however much lies behind the mark (tcp_recvmsg): the receiving
// operation takes that for "nothing there", and waits for an arrival that may never be. Go signals its threads often, to
// preempt what they run. Profiling counts on its signals, and the signals of faults cannot wait.
var entering = ^(sigset(0) | of(unix.SIGPROF) | of(unix.SIGSEGV) | of(unix.SIGBUS) | of(unix.SIGFPE) | of(unix.SIGILL) |
	of(unix.SIGTRAP) | of(unix.SIGSYS) | of(unix.SIGABRT))

func of(s unix.Signal) sigset { return 1 << (s - 1) }

// hold has the calling thread hold back signals, until release is called with what it returned.
func hold() (old sigset) {
	unix.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_BLOCK, uintptr(unsafe.Pointer(&entering)), uintptr(unsafe.Pointer(&old)),
		unsafe.Sizeof(old), 0, 0)
	return old
}

func (old *sigset) release() {
	unix.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, uintptr(unsafe.Pointer(old)), 0, unsafe.Sizeof(*old), 0, 0)
}
