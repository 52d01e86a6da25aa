package switchboard

import "errors"

// ErrPiped ends a connection of a Pipe when the other connection has failed.
var ErrPiped = errors.New("switchboard: the connection it was joined with has failed")

// Pipe joins two connections, as a proxy does: each sends what the other receives. Input that was not consumed goes first.
// When one peer ends its output, the output of the other connection ends; when both have, both connections end. When one
// peer reads slowly, reading from the other pauses. When one connection is closed in order or is idle, the other is closed
// in order. When one fails (a reset, a timeout, a TLS stream without its close_notify), the other ends with ErrPiped: its
// peer gets the bytes that came before and then a reset, so that a broken conversation does not look complete.
//
// The handlers of the two connections get no more calls but Closed, and Leaving if they have it. The two may be on
// different loops; on the same loop, as after Conn.Dial, no byte moves between goroutines. b may still be connecting, and
// both may be paused. If one has ended already, the other ends with ErrPiped.
//
// Server.Shutdown waits until the peers end the two connections. A program that knows better when they may go, gives one of
// them a handler that is a Leaver.
//
// Pipe belongs to the loop of a. Server.Accept may call it for the connection that it is given.
func Pipe(a, b *Conn) {
	a.checkLoop("Pipe")
	join(a, b)
}

func join(a, b *Conn) {
	if a.state == stateGone {
		b.end(ErrPiped)
		return
	}
	pipeTo(a, b)
	back := func() {
		if b.state == stateGone {
			a.end(ErrPiped)
		} else {
			pipeTo(b, a)
		}
	}
	if b.loop == a.loop {
		back()
	} else if !b.loop.give(task{f: back}) {
		a.end(ErrPiped)
	}
}

func pipeTo(from, to *Conn) {
	before := from.handler
	if p, ok := before.(*pipe); ok { // of another Pipe
		before = p.before
	}
	from.setHandler(&pipe{to: to, before: before})
	from.flags |= keepsReading // its input fills the other's queue, not its own
	from.flags &^= paused      // from here on that is for the Pipe to say
}

// A pipe is the handler of one of two joined connections.
type pipe struct {
	to     *Conn
	before Handler
	fast   int // reads in a row that filled the loop's buffer
}

// Data implements Handler. It consumes what the other connection's queue takes, and the rest waits until that is sent.
func (h *pipe) Data(c *Conn, p []byte) (int, error) {
	here := h.to.loop == c.loop && h.to.state != stateNew // else it is another loop's, or dialled in this very turn
	n, err := h.to.writeSome(p, here)
	if here {
		h.to.flush()
	}
	if err != nil { // the other is gone, or goes: its Closed tells c
		return len(p), nil
	}
	if n < len(p) || h.to.Full() {
		c.pause() // until the other's Drained, which comes after this
	}
	h.spliceFrom(c, len(p))
	return n, nil
}

// InputEnded implements InputEnder.
func (h *pipe) InputEnded(*Conn, []byte) error {
	h.to.CloseWrite()
	return nil
}

// Drained implements Drainer.
func (h *pipe) Drained(c *Conn) {
	if h.to.loop == c.loop {
		h.to.resume()
	} else {
		h.to.Do(h.to.resume)
	}
}

// Closed implements Handler.
func (h *pipe) Closed(c *Conn, err error) {
	h.endSplice(c)
	switch {
	case err == nil:
		h.to.end(nil)
	case err == ErrIdle:
		h.to.end(ErrIdle)
	default:
		h.to.end(ErrPiped)
	}
	if h.before != nil {
		h.before.Closed(c, err)
	}
}
