package switchboard

import (
	"io"
	"math"

	"github.com/switchboard-go/switchboard/internal/buffer"
	"github.com/switchboard-go/switchboard/internal/engine"
	"github.com/switchboard-go/switchboard/internal/rawio"
	"github.com/switchboard-go/switchboard/internal/tlsconn"
)

// Pause stops reading c: the handler gets no Data until Resume. Bytes that have arrived are kept. Bytes that arrive later
// fill the buffers of the system, which then slow the peer down. It belongs to the loop.
func (c *Conn) Pause() {
	c.checkLoop("Conn.Pause")
	c.pause()
}

func (c *Conn) pause() {
	c.flags |= paused
	c.later(0)
}

// Resume undoes Pause. When the method that called Resume has returned, the handler is offered what it had not consumed.
// It belongs to the loop.
func (c *Conn) Resume() {
	c.checkLoop("Conn.Resume")
	c.resume()
}

func (c *Conn) resume() {
	c.flags &^= paused
	c.later(todoOffer)
}

// KeepReading sets whether the loop reads c while its output queue is full. A new connection is not read then. It is for protocols whose output does not come from their input, so that two peers that both send a lot do not
// wait for each other. The handler must then bound what it writes in answer to input. It belongs to the loop.
func (c *Conn) KeepReading(keep bool) {
	c.checkLoop("Conn.KeepReading")
	if keep {
		c.flags |= keepsReading
	} else {
		c.flags &^= keepsReading
	}
	c.later(0)
}

// Buffered returns how many received bytes the handler has not consumed. During Data the bytes on offer are not counted.
// It belongs to the loop.
func (c *Conn) Buffered() int {
	if c.in == nil {
		return 0
	}
	return len(c.in.B)
}

// Unread puts p in front of the unconsumed input, for a protocol that has read ahead and hands the connection to another
// handler. The bytes are offered on the next turn of the loop, before what is received later. If the handler has been told
// of the end of input, it is told again after them.
//
// Unread copies p. It belongs to the loop, and must not be called in Handler.Data or InputEnder.InputEnded.
func (c *Conn) Unread(p []byte) {
	c.checkLoop("Conn.Unread")
	if len(p) > 0 {
		b := buffer.Append(nil, p)
		if c.in != nil {
			b = buffer.Append(b, c.in.B)
			c.dropInput()
		}
		c.in = b
		if len(b.B) >= c.loop.limits.InputLimit {
			c.flags |= inputFull
		}
	}
	c.flags &^= endTold
	c.later(todoOffer)
}

// later has the loop come back to c before it waits again.
func (c *Conn) later(t todo) {
	c.todo |= t
	if c.todo&listed == 0 {
		c.todo |= listed
		c.loop.list = append(c.loop.list, c)
	}
}

// stopped tells whether the handler wants no Data now.
func (c *Conn) stopped() bool {
	return c.flags&paused != 0 || c.marked(stopMark) || c.marked(fullMark) && c.flags&keepsReading == 0
}

// Readable implements engine.Owner: it takes what one read of the descriptor into buf brings, which is what a connection may
// do in a turn.
func (l *loop) Readable(line *engine.Line, buf []byte) int {
	c := connOf(line)
	if l.budget.due {
		if l.relieve(); c.state == stateGone {
			return 0
		}
	}
	if c.flags&spliced != 0 && c.state == stateOpen { // what comes to one that is on its way out is dropped
		return c.splice()
	}
	room := len(buf)
	if c.in != nil {
		least := 1
		if c.flags&secured != 0 {
			least = tlsconn.MaxRecord // a record is not known before it is whole
		}
		room = min(room, max(l.limits.InputLimit-len(c.in.B), least))
	}
	n, errno := l.kernel.Recv(int(line.FD), buf[:room])
	switch {
	case errno == 0 && n > 0:
		l.Received(line, buf[:n])
		return n
	case errno == 0:
		l.InputEnded(line)
	case !rawio.WouldBlock(errno):
		c.failed("read", errno)
	}
	return 0
}

// touch remembers that c's peer was heard of, or took something, just now. It belongs to the loop, which notes the time at the
// end of the turn for all that moved in it: to read the clock each time is a percent of what a message costs.
func (c *Conn) touch() {
	if lim := c.loop.limits; (lim.IdleTimeout > 0 || lim.HalfCloseTimeout > 0) && c.active.Load() != movedNow {
		c.active.Store(movedNow)
		c.loop.moved = append(c.loop.moved, c)
	}
}

// movedNow stands in Conn.active for a tick that the loop does not know before its turn is over.
const movedNow = math.MaxInt64

// noteMoved notes the tick at which the turn ends for those that moved in it.
func (l *loop) noteMoved(tick int64) {
	for _, c := range l.moved {
		c.active.Store(tick)
	}
	clear(l.moved)
	l.moved = l.moved[:0]
}

// Received implements engine.Owner.
func (l *loop) Received(line *engine.Line, p []byte) {
	if l.budget.due {
		defer connOf(line).receive(p) // also if a handler that hears of its end calls runtime.Goexit
		l.relieve()
		return
	}
	connOf(line).receive(p)
}

// receive takes p, which the kernel has read.
func (c *Conn) receive(p []byte) {
	if c.state == stateGone {
		return
	}
	l := c.loop
	c.received.Store(c.received.Load() + int64(len(p)))
	l.count.BytesIn += int64(len(p))
	switch c.state {
	case stateLingering:
		return
	case stateResetting:
		c.extra().heard = l.clock()
		return
	}
	c.touch()
	if c.flags&readsOnce != 0 {
		c.flags &^= readsOnce
		defer c.flush()
	}
	switch {
	case c.state == stateAdmitting:
		c.in = buffer.Append(c.in, p)
		c.askAdmission()
		c.flush()
	case c.flags&secured == 0:
		if !c.take(p) {
			c.flush() // a Write of another goroutine may have filled the queue, and told nobody
		}
	case c.state == stateHandshaking:
		c.receiveHandshake(p)
	default:
		c.decrypt(p)
	}
}

// take offers the handler p, or keeps it while the handler is paused. It tells which.
func (c *Conn) take(p []byte) (offered bool) {
	if c.in != nil || c.stopped() {
		c.in = buffer.Append(c.in, p)
		p = c.in.B
	}
	if c.stopped() {
		c.keep(p)
		return false
	}
	c.offer(p)
	return true
}

// offer has the handler consume p, which is all that is unread: it lies in c.in, or in the engine's buffer if that is nil.
//
// What is offered at once is never more than a Write may take, so that a handler which answers as much as it is sent is not
// refused. A handler that consumes nothing of that wants more before it can begin, and is offered all.
func (c *Conn) offer(p []byte) {
	l := c.loop
	used, all := 0, false
	var err error
	for used < len(p) {
		part := p[used:]
		part = part[:min(len(part), l.limits.InputLimit)] // the completion engine may bring more
		whole := len(part)
		if whole > l.limits.QueueLimit-l.limits.HighWater && !all {
			part = part[:min(whole, max(c.room(), 1))]
		}
		n := 0
		l.count.Messages++
		returned := l.call(c, func() { n, err = c.handler.Data(c, part[:len(part):len(part)]) })
		if !returned {
			n = 0
		} else if n < 0 || n > len(part) {
			n, err = 0, ErrBadCount
		}
		used += n
		if err != nil || c.stopped() || c.state != stateOpen { // StartTLS: the rest is not for the handler
			break
		}
		if n == 0 && len(part) == whole {
			break
		}
		all = n == 0
	}
	c.keep(p[used:])
	if l.limits.MessageTimeout > 0 {
		c.timeMessage(used > 0)
	}
	if err != nil {
		c.end(orderly(err))
	}
	c.flush()
	c.afterOffer()
}

// keep remembers what the handler left, which lies in c.in or, if that is nil, in the engine's buffer.
func (c *Conn) keep(rest []byte) {
	switch {
	case c.state == stateGone:
		return
	case len(rest) == 0:
		c.dropInput()
	case c.in == nil:
		c.in = buffer.Append(nil, rest)
	default:
		c.in.B = c.in.B[:copy(c.in.B, rest)]
	}
	if len(rest) >= c.loop.limits.InputLimit {
		c.flags |= inputFull
	} else {
		c.flags &^= inputFull
	}
	if c.in != nil { // else dropInput has counted it
		c.weigh(int(c.counted))
	}
}

// afterOffer passes on the end of input once the handler has had what came before it. A full queue is no reason to wait, if
// nothing is left to be offered: the end brings no output.
func (c *Conn) afterOffer() {
	waits := c.flags&paused != 0 || c.marked(stopMark) || c.in != nil && c.stopped() || c.todo&todoOffer != 0
	if c.flags&(inputEnded|endTold) == inputEnded && c.state == stateOpen && !waits {
		c.tellEnd()
	}
}

// InputEnded implements engine.Owner: the peer has ended its output.
func (l *loop) InputEnded(line *engine.Line) {
	c := connOf(line)
	switch {
	case c.state == stateLingering:
		c.finish(c.endedFor())
	case c.state == stateResetting:
		c.flags |= inputEnded
		c.flush()
	case c.state == stateAdmitting:
		c.deny(io.ErrUnexpectedEOF)
	case c.flags&secured != 0:
		c.endTLSInput()
	default:
		c.endInput()
	}
}

// endInput passes on that nothing more will come.
func (c *Conn) endInput() {
	c.flags |= inputEnded
	c.touch()
	c.schedule()
	c.afterOffer()
	c.flush() // even if nobody was told: there is nothing more to read
}

func (c *Conn) tellEnd() {
	c.flags |= endTold
	var rest []byte
	if c.in != nil {
		rest = c.in.B
	}
	if c.flags&cutOff != 0 {
		c.end(c.tlsError("read", errCutOff))
		c.flush()
		return
	}
	if h, ok := c.handler.(InputEnder); ok {
		var err error
		c.loop.call(c, func() { err = h.InputEnded(c, rest[:len(rest):len(rest)]) })
		c.dropInput()
		if err != nil && orderly(err) == nil {
			c.endWhenFree()
		} else if err != nil {
			c.end(err)
		}
	} else if len(rest) > 0 {
		c.end(io.ErrUnexpectedEOF)
	} else {
		c.endWhenFree()
	}
	c.flush()
}

// endWhenFree ends c in order, because its input has ended, when no answer is still to come.
func (c *Conn) endWhenFree() {
	if c.held() {
		c.flags |= endsFree
	} else {
		c.end(nil)
	}
}

// orderly is what a handler's error becomes as a reason for the end.
func orderly(err error) error {
	if err == io.EOF {
		return nil
	}
	return err
}

func (c *Conn) dropInput() {
	if c.in != nil {
		buffer.Put(c.in)
		c.in = nil
		c.weigh(int(c.counted))
	}
}
