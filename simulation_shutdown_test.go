//go:build linux

package switchboard

import (
	"context"
	"errors"
	"time"
)

// A closing is a call of Shutdown.
type closing struct {
	until time.Time // when its context ends, zero if it does not
	over  bool
	err   error
}

// shutdown begins a Shutdown, or another one.
func (w *world) shutdown() {
	ctx, cancel := context.Background(), func() {}
	s := &closing{}
	if d := time.Duration(w.rng.IntN(4)) * time.Duration(w.rng.IntN(1_000_000_000)); !w.chance(4) {
		s.until = time.Now().Add(d)
		ctx, cancel = context.WithDeadline(ctx, s.until)
		w.wakeAfter(d)
		w.wakeAfter(d + closeGrace)
	}
	w.log("Shutdown until %v", s.until)
	w.closings = append(w.closings, s)
	go func() {
		defer cancel()
		s.err = w.s.Shutdown(ctx)
		s.over = true
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

// checkLeft looks at a life that was served when the server had been shut down in order.
func (w *world) checkLeft() {
	for _, s := range w.closings {
		if !s.over || s.err != nil || w.closed {
			return
		}
	}
	for _, f := range w.lives {
		if len(w.closings) > 0 && f.opened && f.told && f.c != nil && errors.Is(f.err, ErrServerClosed) && f.begun {
			w.fault("%v: Shutdown was in order, and it was not", f)
		}
	}
}
