package switchboard

import "errors"

// ErrPiped ends a connection of a Pipe because the other one failed.
var ErrPiped = errors.New("switchboard: the connection it was joined with has failed")

// Pipe joins two connections as a proxy does: what one receives the other is sent, and what has been received and not
// consumed goes first. When one peer ends its output, the other's output ends; when both have, both connections are
// over. A peer that reads slowly has the other one's input paused. When one connection is closed or idle, the other is closed
// in order. When one fails (a reset, a timeout, a TLS stream that was cut off), the other ends with ErrPiped: its peer is sent
// what came before, and then a reset, so that half a conversation never looks whole.
//
// The handlers that the two had are told nothing more but Closed, and Leaving if they are Leavers. The two may be on different
// loops, though on the same one (Conn.Dial) no byte changes goroutines. Pipe must be called on a's loop; Server.Accept may
// call it for the connection that it is asked about. b may still be connecting, and either may be paused. If either is gone
// already, the other ends with ErrPiped.
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
	from.flags |= freeRunning // its input fills the other's queue, not its own
	from.flags &^= paused     // from here on that is for the Pipe to say
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
