package switchboard

import (
	"syscall"

	"github.com/switchboard-go/switchboard/internal/engine"
)

// flush sends what c has queued and settles whatever its handler, a Write or an event has changed. It is the one place
// where a connection's state moves on, so everything ends here: each turn of the handler, each readiness to write, each
// word from another goroutine.
func (c *Conn) flush() {
	if c.state == stateNew || c.state == stateGone || c.inTurn() {
		return // it begins before long, is over, or whoever called its handler comes here after that
	}
	var errno syscall.Errno
	c.mu.Lock()
	c.out &^= posted
	if c.out&(blocked|closed|inBatch) == 0 && (c.pendingCipher() > 0 || c.out&sealed != 0) {
		before := c.sent
		if c.out&sealed != 0 {
			errno = c.seal()
		} else {
			errno = c.send(nil)
		}
		if errno != 0 {
			c.breakOff("write", errno)
		}
		if c.sent != before {
			c.loop.count.BytesOut += c.sent - before
			c.touch()
		}
	}
	queued := c.pending()
	if c.out&unanswered != 0 && c.encryption().unread(c.pendingCipher()) <= c.loop.limits.LowWater {
		c.out &^= unanswered
	}
	drained := c.state == stateOpen && c.marked(fullMark) && (queued == 0 || queued <= c.loop.limits.LowWater && c.out&refused == 0)
	if drained {
		c.marks.And(^uint32(fullMark))
		c.out &^= refused
	}
	out, end := c.out, c.ending
	c.out &^= progressed
	c.mu.Unlock()

	if queued != int(c.counted) {
		c.loop.count.Queued += int64(queued) - int64(c.counted)
		c.counted = int32(queued)
	}
	c.weigh(queued)
	if end != nil && c.mayDepart(end, queued, out) {
		c.depart(end)
		if c.state == stateGone || c.state == stateLingering {
			return
		}
	}
	if out&(noOutput|inBatch) == noOutput && queued == 0 && c.state == stateOpen && end == nil && c.endOutput(out) {
		return
	}
	if drained {
		if c.in == nil { // else there is enough to offer
			c.flags |= readsOnce
		}
		c.later(todoDrain | todoOffer)
	}
	if out&awaited != 0 && queued == 0 {
		c.later(todoSent)
	}
	c.tidyInflow()
	if c.state == stateOpen && out&blocked != 0 && (out&progressed != 0 || !c.line.Watches(engine.Write)) {
		if c.hasTaken() {
			c.touch()
		}
		c.extra().since = c.loop.clock()
		c.schedule()
	}
	if out&inBatch != 0 {
		if queued > 0 || end != nil || out&noOutput != 0 || c.flags&leaving != 0 {
			c.later(0) // the batch is gone by then
		}
	} else if c.flags&(leaving|leaveTold) == leaving && c.mayLeave(queued) {
		c.later(todoLeave)
	}
	if want := c.want(out); want != c.line.Watched() {
		c.watch(want)
	}
}

// mayDepart tells whether c, whose end is decided, can take its way out now. A dialled connection that was given something to
// send, or is to say that nothing follows, first comes into being.
func (c *Conn) mayDepart(e *ending, queued int, out outFlags) bool {
	switch {
	case e.how == abort, e.how == failure && c.state < stateOpen:
		return true
	case c.state < stateOpen:
		return queued == 0 && out&(noOutput|inBatch) == 0
	}
	return queued == 0 && out&inBatch == 0
}

// send has what c has queued and then p sent, now or with the turn's batch. mu is held.
func (c *Conn) send(p []byte) syscall.Errno {
	n := c.queue.Len() + len(p)
	if c.inflowing() || !c.loop.engine.Batch(&c.line, &c.queue, p) {
		one := [1][]byte{p}
		return c.transmit(one[:], false)
	}
	c.sent += int64(n)
	c.out |= inBatch
	return 0
}

// want returns what c waits for.
func (c *Conn) want(out outFlags) (ev engine.Events) {
	if c.line.FD < 0 || c.marked(movingMark) && c.state == stateOpen { // its name is being resolved, or it waits to be another process's
		return 0
	}
	switch {
	case c.state == stateConnecting:
		return engine.Write
	case c.state == stateLingering:
		return engine.Read
	case c.state == stateResetting:
		if c.flags&inputEnded != 0 {
			return engine.Hangup
		}
		return engine.Read
	case c.state == stateAdmitting || c.state == stateHandshaking: // however much is queued for after it
		if c.flags&(inputFull|inputEnded) == 0 {
			ev = engine.Read
		}
	case c.flags&(paused|inputFull|inputEnded) == 0 && out&unanswered == 0 &&
		!c.marked(heavyMark) && (!c.marked(fullMark) || c.flags&(keepsReading|readsOnce) != 0) && !c.marked(stopMark):
		ev = engine.Read
	}
	if out&blocked != 0 {
		ev |= engine.Write
	}
	if ev == 0 && c.flags&endTold != 0 { // a reset would not be heard of otherwise
		ev = engine.Hangup
	}
	return ev
}

// watch tells the engine what c waits for.
func (c *Conn) watch(want engine.Events) {
	switch reads := want&engine.Read != 0; {
	case reads:
		c.setPause(notPaused)
	case c.marks.Load()&pauseMarks == notPaused: // it may never have been read
		c.setPause(c.pausedBy())
	}
	if c.line.Watches(engine.Read) && want&engine.Read == 0 {
		c.loop.count.Pauses++
	}
	if err := c.loop.engine.Watch(&c.line, want); err != nil {
		c.breakDown(err)
	}
}

// pausedBy returns why c is not read, the first reason if there are several.
func (c *Conn) pausedBy() uint32 {
	switch {
	case c.flags&inputEnded != 0 || c.marked(stopMark) || c.state == stateConnecting: // there is nothing to read, or nobody for it
		return notPaused
	case c.flags&paused != 0:
		return pausedByHandler
	case c.flags&inputFull != 0:
		return pausedByInput
	case c.marked(heavyMark):
		return pausedByMemory
	}
	return pausedByOutput
}

// setPause counts c with those that are not read for this reason.
func (c *Conn) setPause(why uint32) {
	was := c.marks.Load() & pauseMarks
	if was == why {
		return
	}
	c.loop.count.Paused.add(was, -1)
	c.loop.count.Paused.add(why, 1)
	c.marks.And(^uint32(pauseMarks))
	c.marks.Or(why)
}

// Writable implements engine.Owner: there is room for output again, or connecting has ended.
func (l *loop) Writable(line *engine.Line) {
	c := connOf(line)
	if c.state == stateConnecting {
		c.connected(l.kernel.SocketError(int(line.FD)))
		return
	}
	c.mu.Lock()
	c.out &^= blocked
	c.mu.Unlock()
	c.flush()
}
