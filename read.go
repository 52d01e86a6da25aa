package switchboard

import (
	"io"
	"net"

	"github.com/switchboard-go/switchboard/internal/buffer"
	"github.com/switchboard-go/switchboard/internal/rawio"
)

// Pause stops reading: the handler gets no Data until Resume, and the peer is slowed down by the system's own buffers.
// It belongs to the loop.
func (c *Conn) Pause() {
	c.flags |= paused
	c.later(0)
}

// Resume undoes Pause and offers the handler, after the method that called Resume has returned, what it had left. It
// belongs to the loop.
func (c *Conn) Resume() {
	c.flags &^= paused
	c.later(todoOffer)
}

// Buffered returns how many received bytes the handler has not consumed. It belongs to the loop, and during Data it does
// not count what is offered.
func (c *Conn) Buffered() int {
	if c.in == nil {
		return 0
	}
	return len(c.in.B)
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
	return c.flags&paused != 0 || c.stop.Load() || c.full.Load() && c.flags&freeRunning == 0
}

// read takes what one read of the descriptor into buf brings, which is what a connection may do in a turn, and tells whether
// there was anything.
func (c *Conn) read(buf []byte) bool {
	if c.flags&spliced != 0 {
		return c.splice()
	}
	room := len(buf)
	if c.in != nil {
		least := 1
		if c.flags&secured != 0 {
			least = maxRecord // a record is not known before it is whole
		}
		room = min(room, max(c.loop.limits.InputLimit-len(c.in.B), least))
	}
	n, errno := rawio.Recv(int(c.fd), buf[:room])
	switch {
	case errno == 0 && n > 0:
		c.receive(buf[:n])
	case errno == 0:
		c.inputEnd()
	case rawio.WouldBlock(errno):
		return false
	default:
		c.failed("read", errno)
	}
	return true
}

// receive takes what the engine has read from the peer: p is the engine's again when it returns.
func (c *Conn) receive(p []byte) {
	l := c.loop
	c.received.Store(c.received.Load() + int64(len(p)))
	l.count.BytesIn += int64(len(p))
	if c.state == stateLingering {
		return
	}
	if l.limits.IdleTimeout > 0 {
		c.active.Store(l.tick)
	}
	switch {
	case c.flags&secured == 0:
		c.take(p)
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
func (c *Conn) offer(p []byte) {
	l := c.loop
	l.begin(c)
	used, err := 0, error(nil)
	for used < len(p) {
		n := 0
		l.count.Messages++
		part := p[used:]
		part = part[:min(len(part), l.limits.InputLimit)] // the completion engine may bring more
		n, err = c.handler.Data(c, part)
		if n < 0 || n > len(part) {
			n, err = 0, ErrBadCount
		}
		used += n
		if n == 0 || err != nil || c.stopped() {
			break
		}
	}
	c.keep(p[used:])
	if err != nil {
		c.end(orderly(err))
	}
	l.end(c)
	c.afterOffer()
}

// keep remembers what the handler left, which lies in c.in or, if that is nil, in the engine's buffer.
func (c *Conn) keep(rest []byte) {
	switch {
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
}

// afterOffer passes on the end of input once the handler has had what came before it.
func (c *Conn) afterOffer() {
	if c.flags&(inputEnded|endTold) == inputEnded && c.state == stateOpen && !c.stopped() && c.todo&todoOffer == 0 {
		c.tellEnd()
	}
}

// inputEnd takes the peer's end of output from the engine.
func (c *Conn) inputEnd() {
	switch {
	case c.state == stateLingering:
		c.mu.Lock()
		err := c.ending.err
		c.mu.Unlock()
		c.finish(err)
	case c.flags&secured != 0:
		c.hangUp()
	default:
		c.endInput()
	}
}

// endInput passes on that nothing more will come.
func (c *Conn) endInput() {
	c.flags |= inputEnded
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
		c.end(&net.OpError{Op: "read", Net: "tcp", Addr: c.RemoteAddr(), Err: errCutOff})
		c.flush()
		return
	}
	l := c.loop
	l.begin(c)
	if h, ok := c.handler.(InputEnder); ok {
		if err := h.InputEnded(c, rest); err != nil {
			c.end(orderly(err))
		}
		c.dropInput()
	} else if len(rest) > 0 {
		c.end(io.ErrUnexpectedEOF)
	} else {
		c.end(nil)
	}
	l.end(c)
}

// orderly is what a handler's error becomes as a reason for the end.
func orderly(err error) error {
	if err == io.EOF {
		return nil
	}
	return err
}
