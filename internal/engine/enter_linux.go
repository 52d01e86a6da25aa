package engine

import (
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/switchboard-go/switchboard/internal/uring"
)

// How operations get to the kernel, and completions from it. An operation that was begun is in the submission queue, or
// behind that in the backlog; what is complete is in done, until settle passes it on.

// open makes the ring.
func (e *completion) open() (err error) {
	e.ring, err = e.kernel.OpenRing(uring.Config{
		Entries:     RingEntries,
		Completions: RingCompletions,
		Flags: uring.IORING_SETUP_R_DISABLED | uring.IORING_SETUP_SINGLE_ISSUER | uring.IORING_SETUP_DEFER_TASKRUN |
			uring.IORING_SETUP_TASKRUN_FLAG | uring.IORING_SETUP_SUBMIT_ALL | uring.IORING_SETUP_CLAMP,
	}, RingBuffers, e.config.ReadBuffer, userData(kindBell, 0, 0))
	if err != nil {
		e.ring = nil
		return err
	}
	ring := e.ring
	e.waker.Store(&ring)
	return nil
}

// next returns an entry for the next operation: of the submission queue, or when that is full, of the backlog. Nothing is
// handed over in the middle of a turn for want of an entry.
func (e *completion) next() *uring.SQE {
	if len(e.backlog) == 0 && e.ring != nil {
		if sqe := e.ring.Next(); sqe != nil {
			return sqe
		}
	}
	e.backlog = append(e.backlog, uring.SQE{})
	return &e.backlog[len(e.backlog)-1]
}

// load moves the backlog into the submission queue, as far as it has room.
func (e *completion) load() {
	n := 0
	for ; n < len(e.backlog); n++ {
		sqe := e.ring.Next()
		if sqe == nil {
			break
		}
		*sqe = e.backlog[n]
	}
	if n > 0 {
		e.backlog = append(e.backlog[:0], e.backlog[n:]...)
	}
}

// bring enters the ring: for what the turn has begun, and to wait.
func (e *completion) bring(timeout time.Duration) error {
	e.batch.lost = false
	switch n := e.gather.worth(e.config); {
	case timeout != 0 && n > 0:
		before := e.done.Len()
		err := e.enter(enterWait, n, gatherWait)
		e.gather.came(e.done.Len()-before >= n)
		if err != nil {
			return err
		}
	case timeout == 0:
		if e.pending() > 0 || e.ring == nil || !e.enabled || e.ring.Due() {
			return e.enter(enterSubmit, 0, 0)
		}
		return nil
	}
	if e.done.Len() > 0 || e.batch.lost {
		return nil
	}
	return e.enter(enterSleep, 0, timeout)
}

// pending returns how many operations are begun and not handed over.
func (e *completion) pending() int {
	if e.ring == nil {
		return len(e.backlog)
	}
	return len(e.backlog) + e.ring.Queued()
}

// begin makes the calling thread the ring's, and makes the ring if there is none. The thread ends with the loop's goroutine,
// as it is not to enter another ring: see uring.Aside.
func (e *completion) begin() error {
	if e.ring == nil {
		if err := e.open(); err != nil {
			return err
		}
	}
	runtime.LockOSThread()
	e.thread.Store(int32(unix.Gettid()))
	if err := e.ring.Enable(); err != nil {
		runtime.UnlockOSThread()
		return err
	}
	e.enabled = true
	return nil
}

// How enter enters the ring first.
const (
	enterSubmit = iota // hand over what the turn has begun
	enterWait          // and wait for n completions, at most d
	enterSleep         // and sleep until there is something, at most d
)

func (e *completion) call(how, n int, d time.Duration) error {
	switch {
	case len(e.backlog) > 0 || how == enterSubmit: // there is more to hand over before anybody waits
		if e.ring.Queued() > shortBatch {
			return e.ring.Wait(0, -1) // does not wait, but is worth a word to the scheduler
		}
		return e.ring.Submit()
	case how == enterWait:
		return e.ring.Wait(n, d)
	}
	return e.ring.Sleep(d)
}

// enter enters the ring, and again until all that was begun is handed over and all that overflowed is here.
// It calls no handler. An error says that the kernel took only a part for now: what is left stays begun.
func (e *completion) enter(how, n int, d time.Duration) error {
	if !e.enabled {
		if err := e.begin(); err != nil {
			return err
		}
	}
	for {
		e.load()
		before, had := e.pending(), e.done.Len()
		err := e.call(how, n, d)
		e.figures.Enters++
		e.collect()
		if e.pending() == 0 {
			if !e.ring.Overflowing() { // what follows must know of every send that failed
				e.batch.over = len(e.batch.parts)
				return err
			}
			e.figures.Overflows++
			if err != nil {
				return err
			}
		} else if err != nil {
			return err
		} else if e.pending() == before && e.done.Len() == had {
			return syscall.EAGAIN // the kernel takes nothing and does not say why
		}
		how = enterSubmit
	}
}

// collect takes what is complete out of the queue.
func (e *completion) collect() {
	e.fresh = e.ring.Collect(e.fresh[:0])
	e.figures.Completions += int64(len(e.fresh))
	for _, cqe := range e.fresh {
		switch kind := cqe.UserData >> kindShift; kind {
		case kindSend:
			e.batch.unsent(cqe)
			continue
		case kindReceive, kindLook, kindPoll:
			if !cqe.More() {
				e.flying--
			}
		}
		e.done.Push(cqe)
	}
}
