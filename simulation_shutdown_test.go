//go:build linux

package switchboard

import (
	"context"
	"errors"
	"time"

	"github.com/switchboard-go/switchboard/internal/engine"
	"github.com/switchboard-go/switchboard/internal/engine/simkernel"
)

// A closing is a call of Shutdown.
type closing struct {
	until time.Time // when its context ends, zero if it does not
	begun time.Time
	over  bool
	err   error

	backlog []*simkernel.Peer // who waited to be accepted when it began
}

// shutdown begins a Shutdown, or another one.
func (w *world) shutdown() {
	ctx, cancel := context.Background(), func() {}
	for range w.rng.IntN(4) { // as it is called
		w.k.Call(w.listening, 0)
	}
	w.k.Ready(w.listening, engine.Read)
	s := &closing{backlog: w.k.Backlog(w.listening)}
	if d := time.Duration(w.rng.IntN(4)) * time.Duration(w.rng.IntN(1_000_000_000)); !w.chance(4) {
		s.until = time.Now().Add(d)
		ctx, cancel = context.WithDeadline(ctx, s.until)
		w.wakeAfter(d)
		w.wakeAfter(d + closeGrace)
	}
	s.begun = time.Now()
	w.log("Shutdown until %v", s.until)
	w.closings = append(w.closings, s)
	go func() {
		defer cancel()
		err := w.s.Shutdown(ctx)
		w.meet()
		s.err, s.over = err, true
	}()
	w.settle()
}

// checkShutdown looks at those that were begun.
func (w *world) checkShutdown() {
	for _, s := range w.closings {
		switch {
		case !s.over && !s.until.IsZero() && time.Now().After(s.until.Add(closeGrace)):
			w.fault("Shutdown outlasts its context")
		case s.over && s.err == nil && w.s.active.Load() > 0:
			w.fault("Shutdown is over, and %d connections are not", w.s.active.Load())
		case s.over && s.err != nil && s.until.IsZero():
			w.fault("Shutdown without an end of its context: %v", s.err)
		}
	}
}

// beforeLeaving remembers of f, as the turn begins, what Shutdown must know before it closes it.
func (f *life) beforeLeaving() {
	c := f.c
	f.ready = c != nil && c.state == stateOpen && c.line.Watches(engine.Read) && f.w.k.Ready(int(c.line.FD), engine.Read) != 0
	if c != nil {
		f.received = c.Received()
	}
}

// checkLeaving looks at f, after a turn, if Shutdown has closed it: it must have been idle.
func (f *life) checkLeaving() {
	c := f.c
	if f.gone || c == nil || c.flags&leaving == 0 || !c.marked(stopMark) {
		return
	}
	f.gone = true
	if f.closing || f.aborted || f.outEnded || f.failed || f.broke || f.inputEnded || f.piped != nil || f.timedOut || f.err != nil || c.endedFor() != nil {
		return
	}
	switch {
	case f.holds > 0 || f.block != nil && f.block.serving:
		f.w.fault("%v: Shutdown has closed it, and an answer is still to come", f)
	case f.ready && c.Received() == f.received && !f.peer.HasEnded():
		f.w.fault("%v: Shutdown has closed it, and there was input", f)
	}
}

// checkLeft looks at who was served when the server had been shut down in order, and at who had connected before that.
func (w *world) checkLeft() {
	if len(w.closings) == 0 {
		return
	}
	inOrder, soon := true, false
	for _, s := range w.closings {
		inOrder = inOrder && s.over && s.err == nil
		soon = soon || !s.until.IsZero() && (s.until.Sub(s.begun) < 100*time.Millisecond || w.k.Faults.Jump > 0) // or over after a jump
	}
	served := make(map[*simkernel.Peer]bool)
	for _, f := range w.lives {
		served[f.peer] = true
		if inOrder && f.begun && errors.Is(f.err, ErrServerClosed) {
			w.fault("%v: Shutdown was in order, and it was not", f)
		}
		if inOrder && f.awaited && errors.Is(f.err, ErrServerClosed) {
			w.fault("%v: Shutdown was in order, and did not wait for the target of DialPipe", f)
		}
	}
	if soon || w.tls || len(w.s.Admission) > 0 || w.s.limits.MaxConns > 0 || w.k.Faults.NoFiles+w.k.Faults.Again > 0 || w.k.MaxFiles < 1000 {
		return
	}
	for _, p := range w.closings[0].backlog {
		if !served[p] && !p.HasEnded() {
			w.fault("%v: it had connected before Shutdown, and was not served", p)
		}
	}
}
