package uring

import (
	"fmt"
	"os"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Next is the next free entry of the submission queue, for the caller to fill in; the next entering call hands it over.
// It is nil when the queue is full: Submit makes room. Every entry that Next returned must be filled in.
func (r *Ring) Next() *SQE {
	// Acquire: the kernel has read an entry before it moves head past it.
	if r.tail-atomic.LoadUint32(r.sqHead) == uint32(len(r.sqes)) {
		return nil
	}
	e := &r.sqes[r.tail&r.sqMask]
	r.tail++
	return e
}

// Queued is how many entries wait to be handed over.
func (r *Ring) Queued() int { return int(r.tail - atomic.LoadUint32(r.sqHead)) }

// Room is how many entries Next has yet to give.
func (r *Ring) Room() int { return len(r.sqes) - r.Queued() }

// Submit hands the queued entries to the kernel and lets it run what completions are due. It does not wait, and does not
// tell Go's scheduler of the system call, which would cost more than the call does.
//
// A nil error says to look at the completions, and at Queued: the kernel may have taken only some of the entries. EAGAIN
// says that it had no memory for any: try again once operations have ended.
func (r *Ring) Submit() error { return r.enter(unix.RawSyscall6, 0, -1) }

// Wait is Submit, and waits until n completions are there, at most d (negative: for ever; rounded up to a microsecond).
// It may return early, with a nil error and fewer. The thread blocks, and Go's scheduler is told.
func (r *Ring) Wait(n int, d time.Duration) error { return r.enter(unix.Syscall6, n, d) }

type syscall6 func(trap, a1, a2, a3, a4, a5, a6 uintptr) (r1, r2 uintptr, err unix.Errno)

func (r *Ring) enter(call syscall6, n int, d time.Duration) error {
	// Release: the kernel that sees the tail sees the entries before it.
	atomic.StoreUint32(r.sqTail, r.tail)
	flags, arg, size := ioringEnterGetevents|r.enterFlags, unsafe.Pointer(nil), uintptr(0)
	if n > 0 && d >= 0 {
		d = (d + time.Microsecond - 1) / time.Microsecond * time.Microsecond
		r.ts = timespec{int64(d / time.Second), int64(d % time.Second)}
		r.arg = geteventsArg{ts: uint64(uintptr(unsafe.Pointer(&r.ts)))}
		flags, arg, size = flags|ioringEnterExtArg, unsafe.Pointer(&r.arg), unsafe.Sizeof(r.arg)
	}
	_, _, errno := call(unix.SYS_IO_URING_ENTER, r.enterFD, uintptr(r.Queued()), uintptr(n), flags, uintptr(arg), size)
	switch errno {
	case 0, unix.EINTR, unix.ETIME, unix.EBUSY: // EBUSY, before Linux 5.19: completions overflow and want to be taken first
		return nil
	case unix.EEXIST:
		return fmt.Errorf("io_uring_enter: the calling thread is not the ring's (IORING_SETUP_SINGLE_ISSUER): "+
			"hold it by runtime.LockOSThread from New on: %w", errno)
	}
	return os.NewSyscallError("io_uring_enter", errno)
}
