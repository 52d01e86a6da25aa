package uring

import (
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Completions yields what is in the completion queue now and takes it out; nothing of it waits for the kernel. What
// comes meanwhile, through entering calls of the loop's body, is for the next pass. A pass that is broken off leaves the
// rest in the queue. The entries' room is given back at the end of a pass, so a body must not panic.
//
// A [CQE] says which operation it is of by its user data, which is all that connects the two.
func (r *Ring) Completions(yield func(CQE) bool) {
	// Release: the kernel writes over an entry only after it is read.
	atomic.StoreUint32(r.cqHead, r.look(yield))
}

// Peek yields what Completions would and leaves it in the queue: for those that must be known before others are served,
// such as failed sends, behind which nothing may be sent.
func (r *Ring) Peek(yield func(CQE) bool) { r.look(yield) }

func (r *Ring) look(yield func(CQE) bool) (head uint32) {
	head = *r.cqHead // only we write it
	// Acquire: the entries before the tail are the kernel's last word.
	tail := atomic.LoadUint32(r.cqTail)
	for head != tail {
		c := r.cqes[head&r.cqMask]
		head++
		if !yield(c) {
			break
		}
	}
	return head
}

// Ready is how many completions are in the queue. The kernel may hold more: see Due.
func (r *Ring) Ready() int { return int(atomic.LoadUint32(r.cqTail) - *r.cqHead) }

// Due tells, without a system call, whether completions are in the queue or an entering call would bring some: those that
// overflowed, and, of a ring with IORING_SETUP_TASKRUN_FLAG, those that the kernel has yet to run.
func (r *Ring) Due() bool {
	return r.Ready() > 0 || atomic.LoadUint32(r.sqFlag)&(ioringSQTaskrun|ioringSQCQOverflow) != 0
}

// More tells whether the operation will complete again. After the completion without it the operation is over: its memory
// and its user data are free to be used anew.
func (c CQE) More() bool { return c.Flags&IORING_CQE_F_MORE != 0 }

// Err is the errno of an operation that failed, or nil.
func (c CQE) Err() error {
	if c.Res < 0 {
		return unix.Errno(-c.Res)
	}
	return nil
}

// Buffer is the number of the provided buffer that a completion brought, if it brought one.
func (c CQE) Buffer() (id uint16, ok bool) {
	return uint16(c.Flags >> IORING_CQE_BUFFER_SHIFT), c.Flags&IORING_CQE_F_BUFFER != 0
}
