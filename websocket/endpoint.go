package websocket

import (
	"errors"
	"unsafe"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/internal/buffer"
)

// An endpoint is a Conn as its switchboard.Conn sees it, once the opening handshake is done: a switchboard.Handler.
type endpoint Conn

// Data implements switchboard.Handler. It takes every frame that is there, unless the handler stops it.
func (e *endpoint) Data(_ *switchboard.Conn, p []byte) (n int, err error) {
	c := (*Conn)(e)
	for n < len(p) && err == nil {
		if c.has(closeReceived) {
			return len(p), nil
		}
		used := 0
		if used, err = c.frame(p[n:]); used == 0 {
			break
		}
		n += used
		if c.waits() {
			break
		}
	}
	return n, err
}

// frame takes the frame that p begins with, or what is there of it.
func (c *Conn) frame(p []byte) (int, error) {
	var fresh *incoming
	in := &fresh
	if c.more != nil {
		in = &c.more.in
	}
	n, found, err := next(in, p, c.rules())
	switch {
	case err != nil:
		return len(p), c.fail(err)
	case fresh != nil:
		c.extra().in = fresh
	}
	switch {
	case found.op == 0:
		c.count()
		return n, nil
	case found.op.isControl():
		return n, c.control(found)
	}
	if c.sending.Load()&sendClosed != 0 {
		c.flags |= missed
	}
	if found.compressed && c.has(streams) {
		left, err := c.inflateParts(found)
		return n - left, err
	}
	return n, c.message(found)
}

// count has the connection know what a message holds that has come in part, for Server.MemoryLimit.
func (c *Conn) count() {
	if c.more == nil {
		return
	}
	held := 0
	switch in := c.more.in; {
	case in == nil:
	case in.inflater != nil:
		held = int(unsafe.Sizeof(pieceInflater{}))
	case in.buf != nil:
		held = cap(in.buf.B)
	}
	if held != c.more.counted {
		c.conn.CountMemory(held - c.more.counted)
		c.more.counted = held
	}
}

// rules returns what the peer's frames are held against.
func (c *Conn) rules() *rules {
	i := 0
	if c.deflates&deflateOn != 0 {
		i |= 1
	}
	if c.has(streams) {
		i |= 2
	}
	return &c.loop.rules[i]
}

// message passes on a message, or a part of one. After Close the handler is told no more of them.
func (c *Conn) message(found part) (err error) {
	p := found.payload
	var inflated *buffer.Buffer
	if found.compressed {
		if inflated, err = c.inflate(p, found.op == opText); err != nil {
			return c.fail(err)
		}
		p = inflated.B
	}
	if c.sending.Load()&sendClosed == 0 {
		if c.has(streams) {
			err = c.handler.(Receiver).Part(c, Kind(found.op), p, found.last)
		} else {
			err = c.handler.Message(c, Kind(found.op), p)
		}
	}
	if inflated != nil {
		buffer.Put(inflated)
	}
	if found.last {
		c.messageEnded()
	}
	if err != nil {
		return c.endFor(err)
	}
	return nil
}

// messageEnded lets go what there was for a message that did not come at once.
func (c *Conn) messageEnded() {
	if c.more != nil {
		release(&c.more.in)
		c.count()
		c.releaseExtra()
	}
}

// inflateParts passes on what a part of a compressed message inflates to. It returns how many bytes of the part are left for
// later, because the handler has paused, or the queue is full.
func (c *Conn) inflateParts(found part) (left int, err error) {
	in, p, atTail := c.more.in, found.payload, false
	if in.inflater == nil {
		in.inflater = pieceInflaters.Get().(*pieceInflater)
		in.inflater.begin(c.peersContext())
		c.count()
	}
	for c.sending.Load()&sendClosed == 0 { // after that the handler is told no more
		used, piece, err := in.inflater.next(p)
		p = p[used:]
		more := len(p) > 0 || !in.inflater.room()
		ended := atTail && !more
		switch {
		case err != nil:
		case ended && !in.inflater.complete():
			err = errNotDeflate
		case found.op == opText && (!in.text.add(piece) || ended && !in.text.complete()):
			err = errNotUTF8
		}
		if err != nil {
			return 0, c.fail(err)
		}
		if len(piece) > 0 || ended {
			if err := c.handler.(Receiver).Part(c, Kind(found.op), piece, ended); err != nil {
				return 0, c.endFor(err)
			}
		}
		switch {
		case ended:
			c.rememberReceived(in.inflater)
			c.messageEnded()
			return 0, nil
		case len(p) > 0 && !atTail && c.waits():
			in.giveBack(p)
			return len(p), nil
		case more:
		case found.last:
			p, atTail = deflateTail[:4], true
		default:
			return 0, nil
		}
	}
	if found.last {
		c.messageEnded()
	}
	return 0, nil
}

// peersContext returns what the peer's next message may refer to.
func (c *Conn) peersContext() []byte {
	if c.deflates&deflateContexts == 0 {
		return nil
	}
	return c.more.contexts.received
}

// rememberReceived keeps the end of what z has inflated, if the peer's next message may refer to it.
func (c *Conn) rememberReceived(z *pieceInflater) {
	if c.deflates&deflateContexts != 0 && c.more.contexts.keepReceived > 0 {
		ctx := c.more.contexts
		ctx.received = append(ctx.received[:0], z.history(ctx.keepReceived)...)
	}
}

// inflate inflates a message, which is remembered if the next one may refer to it.
func (c *Conn) inflate(p []byte, text bool) (*buffer.Buffer, error) {
	limit := int64(c.loop.MaxMessage)
	if c.deflates&deflateContexts == 0 || c.more.contexts.keepReceived == 0 {
		return inflate(p, nil, limit, text)
	}
	ctx := c.more.contexts
	out, err := inflate(p, ctx.received, limit, text)
	if err == nil {
		ctx.received = remember(ctx.received, out.B, ctx.keepReceived)
	}
	return out, err
}

// control deals with a control frame.
func (c *Conn) control(found part) error {
	if most := c.loop.MaxControl; most > 0 {
		m, second := c.extra(), int64(c.loop.now()/1000)+1
		if m.second != second {
			m.second, m.controls = second, 0
		}
		if m.controls++; m.controls > most {
			return c.fail(&ProtocolError{CodePolicy, "too many control frames in a second"})
		}
	}
	h, tells := c.handler.(Pinger)
	switch found.op {
	case opClose:
		return c.closedByPeer(found.payload)
	case opPing:
		c.sendControl(opPong, found.payload) // a full queue has the peer's own fault
		if tells {
			h.Pinged(c, found.payload)
		}
	case opPong:
		if tells {
			h.Ponged(c, found.payload)
		}
	}
	return nil
}

// InputEnded implements switchboard.InputEnder.
func (e *endpoint) InputEnded(*switchboard.Conn, []byte) error {
	c := (*Conn)(e)
	if !c.has(closeReceived) {
		return ErrNoClose
	}
	c.conn.Close() // also if it is held: no answer can follow
	return nil
}

// Drained implements switchboard.Drainer.
func (e *endpoint) Drained(*switchboard.Conn) {
	c := (*Conn)(e)
	if c.more != nil && c.more.due != nil {
		c.sendDue()
		return
	}
	if h, ok := c.handler.(Drainer); ok && c.sending.Load()&sendClosed == 0 {
		h.Drained(c)
	}
}

// Leaving implements switchboard.Leaver.
func (e *endpoint) Leaving(*switchboard.Conn) {
	c := (*Conn)(e)
	if h, ok := c.handler.(Leaver); ok {
		h.Leaving(c)
		return
	}
	if c.conn.Server().HandedOver() {
		c.Close(CodeRestart, "") // another process is here already
	} else {
		c.Close(CodeGoingAway, "")
	}
}

// Closed implements switchboard.Handler.
func (e *endpoint) Closed(_ *switchboard.Conn, err error) {
	c := (*Conn)(e)
	c.leaveLists()
	switch {
	case err == nil && c.more != nil && c.more.failed != nil:
		err = c.more.failed
	case c.CloseCode() != 0 && !errors.Is(err, switchboard.ErrUnsent): // how TCP ends after that does not matter
		err = nil
		if closing := c.more.closing; !c.has(closedFirst) && !isOrderly(closing.Code) {
			err = closing
		}
	case !errors.Is(err, switchboard.ErrAborted):
	case c.has(lateClose):
		err = ErrCloseTimeout
	case c.has(pinged):
		err = ErrPingTimeout
	}
	if c.more != nil {
		release(&c.more.in)
	}
	c.handler.Closed(c, err)
}

// checkSilence is called when c has been open for PingInterval, and then again and again.
func (c *Conn) checkSilence() {
	heard := uint32(c.conn.Received())
	switch {
	case heard != c.heard || c.has(paused) || c.conn.Full(): // who is not read is not heard
		c.heard = heard
		c.flags &^= pinged
	case c.has(pinged):
		c.conn.Abort()
		return
	case c.sendControl(opPing, nil) == nil:
		c.flags |= pinged
	}
	c.enter(inOpen)
}
