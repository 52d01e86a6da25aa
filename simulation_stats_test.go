//go:build linux

package switchboard

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"syscall"
)

// checkStats compares the server's figures with what was counted here, when the loops have ended.
func (w *world) checkStats() {
	var got Stats
	for _, l := range w.s.loops {
		got.Messages += l.count.Messages
		got.Accepted += l.count.Accepted
		got.Refused += l.count.Refused
		got.BytesIn += l.count.BytesIn
		got.BytesOut += l.count.BytesOut + l.sent.Load()
		got.Dialled += l.count.Dialled
		got.Ends.sum(&l.count.Ends)
		got.Paused.sum(&l.count.Paused)
	}
	if got.Refused != w.refused {
		w.fault("%d connections are counted as refused, and %d were told of", got.Refused, w.refused)
	}
	accepted, refused := int64(0), int64(0)
	for _, o := range w.s.originStats() {
		accepted, refused = accepted+o.Accepted, refused+o.Refused
	}
	if accepted != got.Accepted || refused != got.Refused {
		w.fault("%d of %d connections are counted as refused, and %d of %d with their origins", got.Refused, got.Accepted, refused, accepted)
	}
	var want Stats
	known := true // every connection has a life, and its handler
	for _, f := range w.lives {
		if f.c == nil || f.closed == 0 {
			continue
		}
		want.BytesIn += f.c.Received()
		want.BytesOut += f.c.Sent()
		if f.c.flags&dialled != 0 && f.begun {
			want.Dialled++
		}
		known = known && f.piped == nil
		var panicked *PanicError
		switch {
		case f.err == nil:
			want.Ends.Orderly++
		case errors.As(f.err, &panicked):
			want.Ends.Panics++
		}
		if errors.Is(f.err, ErrUnsent) {
			want.Ends.Truncated++
		}
	}
	if got.Paused != (PausedConns{}) {
		w.fault("%+v are counted as paused, and no connection is left", got.Paused)
	}
	for _, o := range w.s.originStats() {
		if o.Conns != (ConnStates{}) {
			w.fault("%+v of %v are counted, and no connection is left", o.Conns, o.Addr)
		}
	}
	if !w.joins && w.ends != got.Ends {
		w.fault("the ends are counted as %+v, and handlers heard of %+v", got.Ends, w.ends)
	}
	if e, g := want.Ends, got.Ends; e.Orderly != g.Orderly || e.Panics != g.Panics || e.Truncated != g.Truncated {
		w.fault("the ends are counted as %+v, and should be %+v", g, e)
	}
	if got.BytesIn < want.BytesIn || got.BytesOut < want.BytesOut {
		w.fault("%d bytes in and %d out are counted, and there were %d and %d", got.BytesIn, got.BytesOut, want.BytesIn, want.BytesOut)
	}
	if known && got.Messages != w.datas {
		w.fault("%d calls of Data are counted, and there were %d", got.Messages, w.datas)
	}
	if w.breaks == 0 && known && got.Dialled < want.Dialled {
		w.fault("%d dialled connections are counted, and there were %d", got.Dialled, want.Dialled)
	}
}

// note counts an end that a handler is told of, as the comments of Ends say.
func (w *world) note(err error) {
	e := &w.ends
	var panicked *PanicError
	kinds := []struct {
		count *int64
		is    []error
	}{
		{&e.Piped, []error{ErrPiped}},
		{&e.Reset, []error{syscall.ECONNRESET, syscall.EPIPE, syscall.ETIMEDOUT}},
		{&e.Idle, []error{ErrIdle, ErrHalfClosed, ErrMessageTimeout}},
		{&e.Stalled, []error{ErrStalled}},
		{&e.Invalid, []error{ErrTooLong, ErrBadCount, io.ErrUnexpectedEOF}},
		{&e.Memory, []error{ErrMemory}},
		{&e.Aborted, []error{ErrAborted, ErrServerClosed}},
	}
	if errors.Is(err, ErrUnsent) {
		e.Truncated++
	}
	switch {
	case err == nil:
		e.Orderly++
		return
	case errors.As(err, &panicked):
		e.Panics++
		if panicked.Value == nil || len(panicked.Stack) == 0 {
			w.fault("a PanicError has the value %v and a stack of %d bytes", panicked.Value, len(panicked.Stack))
		}
		return
	}
	for _, kind := range kinds {
		for _, target := range kind.is {
			if errors.Is(err, target) {
				*kind.count++
				return
			}
		}
	}
	e.Failed++
}

// A logged is a log of which only the beginnings of the messages are kept.
type logged struct {
	mu    sync.Mutex
	lines []string
}

func (g *logged) Enabled(context.Context, slog.Level) bool { return true }
func (g *logged) WithAttrs([]slog.Attr) slog.Handler       { return g }
func (g *logged) WithGroup(string) slog.Handler            { return g }

func (g *logged) Handle(_ context.Context, r slog.Record) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.lines = append(g.lines, r.Message)
	if *simLog {
		fmt.Println(r.Level, r.Message)
		r.Attrs(func(a slog.Attr) bool { fmt.Println(" ", a); return true })
	}
	return nil
}

// times returns how often the log says what begins so.
func (g *logged) times(begins string) (n int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, line := range g.lines {
		if strings.HasPrefix(line, begins) {
			n++
		}
	}
	return n
}

// checkLog looks whether the log tells what has happened, when the loops have ended.
func (w *world) checkLog() {
	pauses, goesOn := w.said.times("accepting pauses"), w.said.times("accepting goes on")
	if w.lacked && pauses == 0 {
		w.fault("clients waited for descriptors, and the log does not say so")
	}
	if w.ln.short {
		goesOn++
	}
	if pauses != goesOn {
		w.fault("%d times accepting has paused in the log, and %d times it has ended that or is about to", pauses, goesOn)
	}
	failures := int64(0)
	for _, l := range w.s.loops {
		failures += l.count.HandshakeFailures
	}
	if n := w.said.times("a TLS handshake failed"); n > failures || n < failures && !w.broken { // Goexit in Trace.Refused leaves it out
		w.fault("%d handshakes have failed in the log, and %d are counted", n, failures)
	}
	failed := int64(0)
	for _, f := range w.lives {
		if f.closed > 0 && f.err != nil {
			failed++
		}
	}
	if n := w.said.times("a connection failed"); n < failed {
		w.fault("%d connections have failed in the log, and handlers heard of %d", n, failed)
	}
}
