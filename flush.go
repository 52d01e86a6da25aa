package switchboard

import (
	"syscall"

	"github.com/switchboard-go/switchboard/internal/buffer"
	"github.com/switchboard-go/switchboard/internal/rawio"
	"github.com/switchboard-go/switchboard/selector"
)

// begin and end enclose every call of c's handler.
func (l *loop) begin(c *Conn) { l.current.Store(c) }

func (l *loop) end(c *Conn) {
	l.current.Store(nil)
	c.flush()
}

// inTurn tells whether c's handler is being called: the loop flushes after that.
func (c *Conn) inTurn() bool { return c.loop.current.Load() == c }

// flush sends what c has queued and settles whatever its handler, a Write or an event has changed. It is the one place
// where a connection's state moves on, so everything ends here: each turn of the handler, each readiness to write, each
// word from another goroutine.
func (c *Conn) flush() {
	if c.state == stateNew { // it begins before long
		return
	}
	var errno syscall.Errno
	c.mu.Lock()
	c.out &^= posted
	if c.out&(blocked|closed|inBatch) == 0 && (c.queued > 0 || c.out&sealed != 0) {
		before := c.sent
		if c.out&sealed != 0 {
			errno = c.seal()
		} else {
			errno = c.loop.engine.send(c, nil)
		}
		if errno != 0 {
			c.breakOff("write", errno)
		}
		c.loop.count.BytesOut += c.sent - before
	}
	queued := c.pending()
	drained := c.full.Load() && (queued == 0 || queued <= c.loop.limits.LowWater && c.out&refused == 0)
	if drained {
		c.full.Store(false)
		c.out &^= refused
	}
	out, ending := c.out, c.ending
	c.out &^= progressed
	c.mu.Unlock()

	if out&closed != 0 {
		return
	}
	if queued != int(c.counted) {
		c.loop.count.Queued += int64(queued) - int64(c.counted)
		c.counted = int32(queued)
	}
	if ending != nil && (ending.abort || queued == 0 && out&inBatch == 0 || c.state < stateOpen) {
		c.depart(ending)
		return
	}
	if out&(noOutput|inBatch) == noOutput && queued == 0 && c.state == stateOpen && c.endOutput(out) {
		return
	}
	if drained {
		c.later(todoDrain | todoOffer)
	}
	if c.state == stateOpen && out&blocked != 0 && (out&progressed != 0 || !c.watches(selector.Write)) {
		more := c.extra()
		more.since, more.untaken = c.loop.tick, rawio.Untaken(int(c.fd))
		c.schedule()
	}
	if out&inBatch != 0 {
		if queued > 0 || ending != nil || out&noOutput != 0 || c.flags&leaving != 0 {
			c.later(0) // the batch is gone by then
		}
	} else if c.flags&leaving != 0 && c.idle(queued) {
		c.later(todoLeave)
	}
	if want := c.want(out); want != selector.Events(c.wanted) {
		c.watch(want)
	}
}

// endOutput tells the peer, once, that no more will come, and ends c if the peer has said so too.
func (c *Conn) endOutput(out outFlags) (gone bool) {
	if out&endSent == 0 {
		c.mu.Lock()
		c.out |= endSent
		c.mu.Unlock()
		errno := rawio.ShutdownWrite(int(c.fd))
		if errno != 0 && errno != syscall.ENOTCONN { // not connected: the peer has reset, which reading will tell
			c.finish(callError("shutdown", c.RemoteAddr(), errno))
			return true
		}
	}
	if c.flags&endTold != 0 {
		c.finish(nil)
		return true
	}
	return false
}

// want returns what c waits for.
func (c *Conn) want(out outFlags) (ev selector.Events) {
	switch {
	case c.state == stateConnecting:
		if c.fd < 0 { // the name is being resolved
			return 0
		}
		return selector.Write
	case c.state == stateLingering:
		return selector.Read
	case c.state == stateHandshaking: // however much is queued for after it
		if c.flags&(inputFull|inputEnded) == 0 {
			ev = selector.Read
		}
	case c.flags&(paused|inputFull|inputEnded) == 0 && (!c.full.Load() || c.flags&freeRunning != 0) && !c.stop.Load():
		ev = selector.Read
	}
	if out&blocked != 0 {
		ev |= selector.Write
	}
	return ev
}

// watches tells whether the engine watches for ev.
func (c *Conn) watches(ev selector.Events) bool { return selector.Events(c.wanted)&ev != 0 }

// watch tells the engine what c waits for.
func (c *Conn) watch(want selector.Events) {
	if c.watches(selector.Read) && want&selector.Read == 0 {
		c.loop.count.Pauses++
	}
	if err := c.loop.engine.watch(c, want); err != nil {
		c.finish(err)
	}
}

// writable takes from the engine that the kernel has room for output again.
func (c *Conn) writable() {
	c.mu.Lock()
	c.out &^= blocked
	c.mu.Unlock()
	c.flush()
}

// depart takes the way out that was decided, once nothing is queued or at once.
func (c *Conn) depart(e *ending) {
	if c.state < stateOpen && e.err == nil {
		e.err = ErrAborted
	}
	if e.abort {
		rawio.Reset(int(c.fd))
	}
	// What the peer of a Pipe that failed still says has nowhere to go, and there may be a lot of it.
	if e.abort || e.err == ErrPiped || c.state != stateOpen || c.flags&inputEnded != 0 || c.loop.limits.LingerTimeout < 0 {
		if c.state != stateLingering || e.abort {
			c.finish(e.err)
		}
		return
	}
	if errno := rawio.ShutdownWrite(int(c.fd)); errno != 0 {
		c.finish(e.err) // the peer is gone already
		return
	}
	c.state = stateLingering
	c.dropInput()
	c.extra().since = c.loop.tick
	c.schedule()
	c.watch(selector.Read)
}

// lingered ends c, which only waited for the peer's end.
func (c *Conn) lingered() {
	c.mu.Lock()
	err := c.ending.err
	c.mu.Unlock()
	c.finish(err)
}

// finish ends c: the descriptor is given back, the memory let go, and the handler told.
func (c *Conn) finish(err error) {
	if c.state == stateGone {
		return
	}
	l := c.loop
	accepted := c.state != stateNew
	c.state = stateGone
	c.mu.Lock()
	if c.out&inBatch != 0 {
		c.mu.Unlock()
		l.engine.submit() // its last bytes are for this descriptor, not for the next one of this number
		c.mu.Lock()
	}
	lost := int(c.queued)
	t := c.transport()
	if t != nil {
		lost = t.unsent(c.queued)
	}
	l.count.Queued -= int64(c.counted)
	c.dropInflow()
	c.dequeue(int(c.queued))
	c.out |= closed
	c.mu.Unlock()
	c.stop.Store(true)
	c.dropInput()
	if t != nil {
		t.leave()
	}
	l.deadlines.Stop(&c.deadline)
	l.engine.release(c)
	l.forget(c)
	if more := c.more.Load(); more != nil && more.dial != nil {
		more.dial.done()
	}
	if lost > 0 {
		err = unsent(lost, err)
	}
	if accepted && c.handler != nil {
		l.tellClose(c, err)
		l.server.trace.closed(c, err)
	}
}

// tellClose calls the handler's Close. A panic of it goes no further: finish may itself run because of a panic.
func (l *loop) tellClose(c *Conn, err error) {
	before, returned := l.current.Load(), false
	l.begin(c)
	defer func() {
		if !returned {
			l.logPanic(c, recover())
		}
		l.current.Store(before)
	}()
	c.handler.Closed(c, err)
	returned = true
}

func (c *Conn) dropInput() {
	if c.in != nil {
		buffer.Put(c.in)
		c.in = nil
	}
}
