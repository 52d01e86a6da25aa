package switchboard

import (
	"syscall"
	"time"

	"github.com/switchboard-go/switchboard/internal/rawio"
	"github.com/switchboard-go/switchboard/internal/wheel"
)

// A Timer is one call of a function on a connection's loop, some time from now. It belongs to the loop.
type Timer struct {
	entry wheel.Timer // the first field, see loop.advance
	l     *loop
	c     *Conn // nil: a listener's
	due   bool  // its time has come, and f is about to run
	f     func()
}

// After runs f on c's loop when d is over, in units of a millisecond and never early. If c is gone by then, f does not
// run. It costs no timer of the runtime's. It belongs to the loop.
func (c *Conn) After(d time.Duration, f func()) *Timer {
	t := &Timer{l: c.loop, c: c, f: f}
	t.Reset(d)
	return t
}

// Reset makes t fire when d is over from now, whether it has fired before or not.
func (t *Timer) Reset(d time.Duration) {
	l := t.l
	t.due = false
	l.timers.Start(&t.entry, int64((time.Since(l.start)+max(d, 0)+time.Millisecond-1)/time.Millisecond))
}

// Stop keeps t from firing.
func (t *Timer) Stop() {
	t.due = false
	t.l.timers.Stop(&t.entry)
}

func (t *Timer) expire() {
	was := t.due
	t.due = false
	switch {
	case !was: // stopped or moved by another one that was due with it
	case t.c == nil:
		t.f()
	case t.c.state != stateGone:
		t.l.begin(t.c)
		t.f()
		t.l.end(t.c)
	}
}

// schedule has c's timer fire no later than the first of its timeouts. A connection that moves has its deadline moved
// only when the timer fires: a message costs no timer.
func (c *Conn) schedule() {
	if at, ok := c.firstDeadline(); ok && (!c.deadline.Running() || at < c.deadline.When()) {
		c.loop.deadlines.Start(&c.deadline, at)
	}
}

// firstDeadline returns the tick at which the first of c's timeouts is over as things stand.
func (c *Conn) firstDeadline() (at int64, ok bool) {
	lim := c.loop.limits
	first := func(since int64, timeout time.Duration) {
		if timeout > 0 && (!ok || since+ticks(timeout) < at) {
			at, ok = since+ticks(timeout), true
		}
	}
	switch {
	case c.state == stateConnecting:
		first(c.extra().since, lim.DialTimeout)
	case c.state == stateHandshaking:
		first(c.arrived(), lim.HandshakeTimeout)
	case c.state == stateLingering:
		first(c.extra().since, lim.LingerTimeout)
	default:
		first(c.active.Load(), lim.IdleTimeout)
		if c.waitsForPeer() {
			first(c.extra().since, lim.WriteTimeout)
		}
	}
	return at, ok
}

func ticks(d time.Duration) int64 { return int64((d + time.Millisecond - 1) / time.Millisecond) }

// waitsForPeer tells whether output waits for the peer to take some.
func (c *Conn) waitsForPeer() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out&blocked != 0
}

// expire looks which timeout is over, if any: most have been moved since the timer was started.
func (c *Conn) expire() {
	lim, now := c.loop.limits, c.loop.tick
	over := func(since int64, timeout time.Duration) bool { return timeout > 0 && now-since >= ticks(timeout) }
	switch {
	case c.state == stateGone:
	case c.state == stateConnecting && over(c.extra().since, lim.DialTimeout):
		c.connected(syscall.ETIMEDOUT)
	case c.state == stateHandshaking && over(c.arrived(), lim.HandshakeTimeout):
		c.failHandshake(ErrHandshakeTimeout)
	case c.state == stateLingering && over(c.extra().since, lim.LingerTimeout):
		c.lingered()
	case c.state == stateOpen && c.waitsForPeer() && over(c.extra().since, lim.WriteTimeout):
		// The peer may have taken some, and not enough for the kernel to call it room.
		if more, n := c.extra(), rawio.Untaken(int(c.fd)); n != more.untaken {
			more.since, more.untaken = now, n
			c.schedule()
		} else {
			c.abort(ErrStalled)
		}
	case c.state == stateOpen && over(c.active.Load(), lim.IdleTimeout):
		switch {
		case c.Queued() > 0:
			c.abort(ErrIdle) // what the peer got is not all, and must not look like it
		case c.flags&secured != 0:
			c.lastWords()
			c.finish(ErrIdle)
		default:
			c.finish(ErrIdle)
		}
	default:
		c.schedule()
	}
}
