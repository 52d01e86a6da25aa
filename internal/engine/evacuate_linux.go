package engine

import (
	"runtime"
	"slices"
	"time"

	"github.com/switchboard-go/switchboard/internal/uring"
)

// Evacuate leaves the ring, which belongs to the thread of the goroutine that ends. Everything that was begun is handed over
// and cancelled, and what it brought is kept for the next Wait, which makes another ring.
func (e *completion) Evacuate() {
	if !e.enabled {
		return
	}
	for l := range e.config.Lines.All() {
		e.cancelInput(l)
		if l.state.flags&polling != 0 {
			e.next().Cancel(e.id(kindPoll, l), userData(kindNobody, 0, 0))
		}
	}
	const patience = 1000
	for range patience {
		err := e.enter(enterWait, min(e.flying, 1), time.Millisecond)
		if err == nil && e.flying == 0 {
			break
		}
		if err != nil {
			e.kernel.Sleep(time.Millisecond) // the kernel is short of something
		}
	}
	for _, cqe := range e.done.Waiting()[e.former:] {
		var p []byte
		if int(cqe.UserData>>kindShift) == kindReceive {
			p = append(p, e.ring.Bytes(cqe)...)
		}
		e.saved.Push(p)
	}
	e.former = e.done.Len()
	e.bell.Store(nil)
	e.ring.Close()
	e.ring, e.enabled = nil, false
	e.side.asked = slices.ContainsFunc(e.done.Waiting(), func(c uring.CQE) bool { return c.UserData>>kindShift == kindSide })
	if e.side.fd >= 0 {
		e.side.ask(e)
	}
	runtime.UnlockOSThread()
}
