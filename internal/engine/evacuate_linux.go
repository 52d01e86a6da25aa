package engine

import (
	"slices"
	"time"

	"github.com/switchboard-go/switchboard/internal/uring"
)

// exhaust hands over all that was begun, and waits until nothing is under way any more. It does not give up: what is not handed
// over would be bytes that were promised to be sent, and descriptors to be closed. A kernel that is short of something takes it
// later, and until then it would take nothing of the loop's anyhow.
func (e *completion) exhaust() {
	wait := time.Millisecond
	for e.pending() > 0 || e.flying > 0 {
		if err := e.enter(enterWait, min(e.flying, 1), wait); err != nil {
			e.kernel.Sleep(wait)
		}
		wait = min(2*wait, 100*time.Millisecond)
	}
}

// cancelAll ends what the kernel does for lines.
func (e *completion) cancelAll() {
	for l := range e.config.Lines.All() {
		e.cancelInput(l)
		if l.state.flags&polling != 0 {
			e.next().Cancel(e.id(kindPoll, l), userData(kindNobody, 0, 0))
		}
	}
}

// Still implements Engine. What completions bring is dealt with while others are awaited, as the buffers may run out. What an
// owner wants to watch meanwhile is begun by the next Wait.
func (e *completion) Still() {
	e.still = true
	defer func() { e.still = false }() // also if the owner does not return
	e.cancelAll()
	wait := time.Millisecond
	for e.pending() > 0 || e.flying > 0 || e.done.Len() > 0 || e.batch.over > 0 {
		e.letGo()
		e.endBatch()
		if e.pending() > 0 || e.flying > 0 {
			if err := e.enter(enterWait, min(e.flying, 1), wait); err != nil {
				e.kernel.Sleep(wait)
			}
			wait = min(2*wait, 100*time.Millisecond)
		}
		e.endBatch()
		for cqe, ok := e.done.Next(); ok; cqe, ok = e.done.Next() {
			e.settle(cqe)
		}
		e.last = nil
	}
	e.letGo()
}

// Quiet implements Engine.
func (e *completion) Quiet(l *Line) bool {
	return l.state.input == inputQuiet && l.state.side == sideNothing && l.state.flags&(cancelling|polling|batched) == 0
}

// Evacuate leaves the ring, which belongs to the thread of the goroutine that ends. Everything that was begun is handed over
// and cancelled, and what it brought is kept for the next Wait, which makes another ring.
func (e *completion) Evacuate() {
	if !e.enabled {
		return
	}
	e.cancelAll()
	e.exhaust()
	for _, cqe := range e.done.Waiting()[e.former:] {
		var p []byte
		if int(cqe.UserData>>kindShift) == kindReceive {
			p = append(p, e.ring.Bytes(cqe)...)
		}
		e.saved.Push(p)
	}
	e.former = e.done.Len()
	e.waker.Store(nil)
	e.ring.Close()
	e.ring, e.enabled = nil, false
	e.side.asked = slices.ContainsFunc(e.done.Waiting(), func(c uring.CQE) bool { return c.UserData>>kindShift == kindSide })
	if e.side.lines > 0 || len(e.side.listeners) > 0 {
		e.side.ask(e)
	}
}
