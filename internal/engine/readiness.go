package engine

import (
	"runtime"
	"time"

	"github.com/switchboard-go/switchboard/internal/buffer"
	"github.com/switchboard-go/switchboard/selector"
)

// readiness is the engine on a selector: wait, then have the owner read into the loop's one buffer.
type readiness struct {
	owner   Owner
	kernel  Kernel
	poller  Poller
	buf     []byte
	ready   []selector.Ready // found by the last look
	at      int              // of those, what was dealt with
	hangups bool             // the mechanism can wait for Hangup
}

const restReadiness = time.Millisecond

func newReadiness(k Kernel, o Owner, c Config, mechanism string) (Engine, error) {
	poller, err := k.Open(mechanism)
	if err != nil {
		return nil, err
	}
	return &readiness{owner: o, kernel: k, poller: poller, buf: make([]byte, c.ReadBuffer), hangups: tellsHangup(poller.Mechanism())}, nil
}

// tellsHangup reports whether a mechanism can wait for Hangup alone.
func tellsHangup(mechanism string) bool {
	return mechanism != "select" && (mechanism != "poll" || runtime.GOOS == "linux")
}

func (e *readiness) Name() string { return e.poller.Mechanism() }

func (e *readiness) Listen(ln *Listener) error { return e.poller.Register(ln.FD, selector.Read, ln) }

func (e *readiness) Unlisten(ln *Listener) { e.poller.Unregister(ln.FD) }

func (e *readiness) Watch(l *Line, want Events) (err error) {
	fd, ev := int(l.FD), e.selects(want)
	switch was := e.selects(l.wanted); {
	case was == ev:
	case was == 0:
		err = e.poller.Register(fd, ev, l)
	case ev == 0: // registered for nothing, it would still be reported when the peer resets, again and again
		_, err = e.poller.Unregister(fd)
	default:
		err = e.poller.Modify(fd, ev, l)
	}
	if err == nil {
		l.wanted = want
	}
	return err
}

// selects returns what the selector calls ev.
func (e *readiness) selects(ev Events) (s selector.Events) {
	if ev&Read != 0 {
		s |= selector.Read
	}
	if ev&Write != 0 {
		s |= selector.Write
	}
	if ev&Hangup != 0 && e.hangups {
		s |= selector.Hangup
	}
	return s
}

func (e *readiness) Batch(*Line, *buffer.Queue, []byte) bool { return false }
func (e *readiness) BatchShared(*Line, []byte) bool          { return false }

func (e *readiness) Submit() bool { return true }

func (e *readiness) Release(l *Line) {
	if e.selects(l.wanted) != 0 {
		e.poller.Forget(int(l.FD))
	}
	l.wanted = 0
	if l.FD >= 0 {
		e.kernel.Close(int(l.FD))
		l.FD = -1
	}
}

// Wait deals first with what a goroutine that ended early has left.
func (e *readiness) Wait(timeout time.Duration) (err error) {
	if e.at == len(e.ready) {
		e.owner.Rest(restReadiness)
		e.at = 0
		e.ready, err = e.poller.Select(timeout)
	}
	e.owner.Woken()
	for e.at < len(e.ready) {
		r := &e.ready[e.at]
		e.at++
		switch owner := r.Key.Data.(type) {
		case *Line:
			e.settle(owner, r.Events)
		case *Listener:
			e.owner.Acceptable(owner)
		}
	}
	return err
}

// settle looks at the line rather than at the event: whatever came before in this turn may have changed what the line waits
// for, or ended it.
func (e *readiness) settle(l *Line, events selector.Events) {
	if events&selector.Write != 0 && l.Watches(Write) {
		e.owner.Writable(l)
	}
	switch {
	case events&selector.Read != 0 && l.Watches(Read):
		e.owner.Readable(l, e.buf)
	case events&selector.Hangup != 0 && l.wanted == Hangup:
		hungUp(e.owner, e.kernel, l)
	}
}

func (e *readiness) Wake() { e.poller.Wake() }

func (e *readiness) Figures() Figures { return Figures{} }

func (e *readiness) Processor() time.Duration { return 0 }

func (e *readiness) Splices() bool { return true }

// Still has nothing to do: between two waits nothing is under way.
func (e *readiness) Still() {}

func (e *readiness) Quiet(*Line) bool { return true }

// Evacuate has nothing to do: what was found and not dealt with is dealt with by the next Wait.
func (e *readiness) Evacuate() {}

func (e *readiness) Close() { e.poller.Close() }
