package switchboard

import (
	"cmp"
	"math"
	"syscall"
	"time"

	"github.com/switchboard-go/switchboard/internal/engine"
	"github.com/switchboard-go/switchboard/internal/wheel"
)

// A Timer calls a function on the loop of a connection, once after each start. It belongs to the loop.
type Timer struct {
	entry wheel.Timer // the first field, see loop.advance
	l     *loop
	c     *Conn // nil: a listener's
	due   bool  // its time has come, and f is about to run
	f     func()

	next, prev *Timer // of c's that run
	linked     bool
}

// After calls f on the loop of c after d, never early; the resolution is a millisecond. If c ends first, f is not called.
// A Timer costs no timer of the Go runtime. After belongs to the loop.
func (c *Conn) After(d time.Duration, f func()) *Timer {
	c.checkLoop("Conn.After")
	return c.after(d, f)
}

func (c *Conn) after(d time.Duration, f func()) *Timer {
	t := &Timer{l: c.loop, c: c, f: f}
	t.start(d)
	return t
}

// Reset starts t again, to call its function after d from now, whether or not it has been called before. After the end of
// the connection it does nothing.
func (t *Timer) Reset(d time.Duration) {
	t.c.checkLoop("Timer.Reset")
	t.start(d)
}

func (t *Timer) start(d time.Duration) {
	t.due = false
	if t.c != nil && t.c.state == stateGone {
		return
	}
	t.link()
	now := t.l.elapsed()
	t.l.timers.Start(&t.entry, ticks(now+min(max(d, 0), math.MaxInt64-now)))
}

// Stop prevents the next call of the function.
func (t *Timer) Stop() {
	t.c.checkLoop("Timer.Stop")
	t.stop()
}

func (t *Timer) stop() {
	t.due = false
	t.unlink()
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
		t.unlink()
		t.l.call(t.c, t.f)
		t.c.flush()
	}
}

// link puts t among the timers of its connection, which end with it.
func (t *Timer) link() {
	if t.c == nil || t.linked {
		return
	}
	more := t.c.extra()
	t.next, t.prev, t.linked = more.timers, nil, true
	if t.next != nil {
		t.next.prev = t
	}
	more.timers = t
}

func (t *Timer) unlink() {
	if !t.linked {
		return
	}
	if t.next != nil {
		t.next.prev = t.prev
	}
	if t.prev != nil {
		t.prev.next = t.next
	} else {
		t.c.extra().timers = t.next
	}
	t.next, t.prev, t.linked = nil, nil, false
}

// stopTimers stops all timers of c, which is gone.
func (c *Conn) stopTimers() {
	if more := c.more.Load(); more != nil {
		for more.timers != nil {
			more.timers.stop()
		}
	}
}

// ticks returns d in ticks, rounded up.
func ticks(d time.Duration) int64 {
	n := int64(d / time.Millisecond)
	if d%time.Millisecond > 0 {
		n++
	}
	return n
}

// schedule has c's timer fire no later than the first of its timeouts. A connection that moves has its deadline moved
// only when the timer fires: a message costs no timer.
func (c *Conn) schedule() {
	if at, _, ok := c.firstDeadline(); ok && (!c.deadline.Running() || at < c.deadline.When()) {
		c.loop.deadlines.Start(&c.deadline, at)
	}
}

// firstDeadline returns the tick at which the first of c's timeouts is over as things stand, and what happens then.
func (c *Conn) firstDeadline() (at int64, over func(*Conn), ok bool) {
	lim := c.loop.limits
	first := func(since int64, timeout time.Duration, f func(*Conn)) {
		if timeout > 0 && (!ok || since+ticks(timeout) < at) {
			at, over, ok = since+ticks(timeout), f, true
		}
	}
	switch c.state {
	case stateConnecting:
		first(c.extra().since, lim.DialTimeout, (*Conn).dialTooLong)
	case stateAdmitting:
		first(c.born, lim.HandshakeTimeout, (*Conn).admissionTooLong)
	case stateHandshaking:
		first(c.awaited(), lim.HandshakeTimeout, (*Conn).handshakeTooLong)
	case stateLingering:
		first(c.extra().since, lim.LingerTimeout, (*Conn).lingerTooLong)
	case stateResetting:
		at, over, ok = c.loop.tick, (*Conn).checkReset, true
		if c.deadline.Running() { // checkReset says when it looks again
			at = c.deadline.When()
		}
	case stateOpen:
		if c.waitsForPeer() {
			more := c.extra()
			first(max(more.since, more.taken.Load()), lim.WriteTimeout, (*Conn).stall)
		}
		if begun, ok := c.messageBegan(); ok {
			first(begun, lim.MessageTimeout, (*Conn).messageTooLong)
		}
		if c.held() && !c.blocksForInput() {
			break
		}
		if more := c.more.Load(); more != nil && more.target != nil { // whose own timeouts bound this
			break
		}
		if c.flags&inputEnded != 0 { // before the other, which is in order, if both are over at once
			first(c.movedAt(), lim.HalfCloseTimeout, (*Conn).halfClosedTooLong)
		}
		first(c.lastMoved(), lim.IdleTimeout, (*Conn).idleTooLong)
	}
	return at, over, ok
}

// timeMessage remembers when the message began whose end the handler waits for, after it was offered all that has come.
// progress says that it has consumed some of that.
func (c *Conn) timeMessage(progress bool) {
	more := c.more.Load()
	switch waits := c.state == stateOpen && !c.stopped() && c.midMessage(); {
	case !waits && more == nil:
	case !waits:
		more.begun = 0
	case progress || more == nil || more.begun == 0:
		c.extra().begun = c.loop.clock() + 1 // 0 is none
		c.schedule()
	}
}

// retimeMessage has the time for a message begin again: until now c was not read, or another handler served it.
func (c *Conn) retimeMessage() {
	if more := c.more.Load(); more != nil {
		more.begun = 0
	}
	c.timeMessage(false)
}

// midMessage tells whether a message has come in part: its bytes are not consumed, or are a part of a TLS record.
func (c *Conn) midMessage() bool {
	return c.in != nil || c.flags&secured != 0 && c.encryption().conn.MidRecord()
}

// messageBegan returns the tick at which the message began whose end is waited for, false if none is.
func (c *Conn) messageBegan() (tick int64, ok bool) {
	more := c.more.Load()
	if more == nil || more.begun == 0 || c.stopped() || c.flags&inputEnded != 0 || !c.midMessage() {
		return 0, false
	}
	return more.begun - 1, true
}

// messageTooLong ends c, whose peer takes too long for a message.
func (c *Conn) messageTooLong() { c.end(ErrMessageTimeout) }

// blocksForInput tells whether c is held only because a blocking handler waits for its input.
func (c *Conn) blocksForInput() bool {
	more := c.more.Load()
	return more.holds.Load() == 1 && more.stream != nil && more.stream.waits.Load()
}

// lastMoved returns the tick at which c moved last, or the other connection of its Pipe: they are one conversation.
func (c *Conn) lastMoved() int64 {
	at := c.movedAt()
	if p, ok := c.handler.(*pipe); ok {
		to := p.to.active.Load()
		if to == movedNow {
			to = p.to.loop.clock()
		}
		at = max(at, to+p.to.loop.begunAfter(c.loop))
	}
	return at
}

// movedAt returns the tick at which c moved last, of this turn the first that it can be.
func (c *Conn) movedAt() int64 {
	if at := c.active.Load(); at != movedNow {
		return at
	}
	return c.loop.tick
}

// begunAfter returns how many ticks of other's clock had passed when l's began.
func (l *loop) begunAfter(other *loop) int64 {
	return int64((l.start - other.start) / time.Millisecond)
}

// waitsForPeer tells whether output waits for the peer to take some.
func (c *Conn) waitsForPeer() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out&blocked != 0
}

// mostLooks is how often a connection is looked for input before a timeout, which is to be done with long before.
const mostLooks = 1000

// expire looks which timeout is over, if any: most have been moved since the timer was started. What has come from the peer
// by then counts, though nobody has seen it yet: the process may have been stopped, or another connection's handler have held
// the loop. So a timeout that is over first makes the loop look once more, and counts only if that brings nothing.
func (c *Conn) expire() {
	if c.state == stateGone {
		return
	}
	at, over, ok := c.firstDeadline()
	if !ok || at > c.loop.tick {
		c.flags &^= suspected
		if more := c.more.Load(); more != nil && more.stream != nil {
			more.stream.untimed.Store(true) // what is scheduled may be another timeout, as that for writing
		}
		c.schedule()
		return
	}
	more := c.extra()
	if c.flags&suspected == 0 {
		more.looks = 0
	}
	waits := c.line.Watched() & (engine.Read | engine.Write)
	if waits != 0 && c.state != stateResetting && more.looks < mostLooks &&
		(more.looks == 0 || c.loop.kernel.Ready(int(c.line.FD), waits) != 0) {
		more.looks++
		c.flags |= suspected
		c.loop.suspects = append(c.loop.suspects, c)
		return
	}
	c.flags &^= suspected
	over(c)
	if c.state != stateGone {
		c.schedule()
	}
}

// dialTooLong gives up the address that c connects to, because it does not answer or this system is short of ports.
func (c *Conn) dialTooLong() { c.connected(cmp.Or(c.extra().dial.short, syscall.ETIMEDOUT)) }

func (c *Conn) handshakeTooLong() { c.failHandshake(ErrHandshakeTimeout) }

func (c *Conn) lingerTooLong() { c.finish(c.endedFor()) }

// stall ends c, whose peer takes nothing. It may have taken some, and not enough for the system to call it room.
func (c *Conn) stall() {
	if !c.hasTaken() {
		c.drop(ErrStalled)
	}
}

// hasTaken tells whether c's peer has taken something since that was last asked, while all it was sent is not taken. The loop
// of a Pipe's other side may call it.
func (c *Conn) hasTaken() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.out&closed != 0 || c.line.FD < 0 {
		return false
	}
	n := c.loop.kernel.Untaken(int(c.line.FD))
	more := c.more.Load()
	if more == nil {
		if n <= 0 {
			return false
		}
		more = c.extra()
	}
	if n == more.untaken {
		return false
	}
	was := more.untaken
	more.untaken = n
	if n <= 0 && was <= 0 {
		return false
	}
	more.taken.Store(c.loop.clock()) // whichever timeout has asked: the others must know as well
	return true
}

// idleTooLong ends c because nothing moved. A peer that still takes what the system holds for it moves, and so does the
// other connection of a Pipe.
func (c *Conn) idleTooLong() {
	moved := c.hasTaken()
	if p, ok := c.handler.(*pipe); ok {
		if p.to.hasTaken() {
			p.to.active.Store(p.to.loop.clock())
			moved = true
		}
	}
	switch {
	case moved:
		c.active.Store(c.loop.clock())
	case c.Queued() > 0:
		c.drop(ErrIdle) // what the peer got is not all, and must not look like it
	case c.otherHalfClosed():
		c.drop(ErrHalfClosed)
	default:
		c.end(ErrIdle)
	}
}

// otherHalfClosed tells whether c is joined with a connection whose peer has ended its output, and which is half-closed too long
// when c is idle too long: it waits for an answer, and must not get what looks like one.
func (c *Conn) otherHalfClosed() bool {
	lim := c.loop.limits
	if _, ok := c.handler.(*pipe); !ok || lim.HalfCloseTimeout <= 0 || lim.HalfCloseTimeout > lim.IdleTimeout {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out&noOutput != 0
}

// halfClosedTooLong ends c, whose peer ended its output a while ago.
func (c *Conn) halfClosedTooLong() {
	if c.hasTaken() {
		c.active.Store(c.loop.clock())
		return
	}
	c.drop(ErrHalfClosed)
}
