package switchboard

import "errors"

// ErrPiped ends a connection of a Pipe because the other one failed.
var ErrPiped = errors.New("switchboard: the connection it was joined with has ended")

// Pipe joins two connections as a proxy does: what one receives the other is sent, and what has been received and not
// consumed goes first. When one peer ends its output, the other's output ends; when both have, both connections are
// over. A peer that reads slowly has the other one's input paused. If one connection fails or is closed, the other is
// closed once it has been sent what came before; after a failure without waiting for its peer's end and, over TLS, without
// a close_notify.
//
// From now on the handlers that the two had are told nothing but Closed, and Leaving if they are Leavers. The two may be on
// different loops, though on the same one (Conn.Dial) no byte changes goroutines. Pipe must be called on a's loop; b may
// still be connecting, and either may be paused.
func Pipe(a, b *Conn) {
	pipeTo(a, b)
	if b.loop == a.loop {
		pipeTo(b, a)
	} else if b.Do(func() { pipeTo(b, a) }) != nil {
		a.end(ErrPiped)
	}
}

func pipeTo(from, to *Conn) {
	from.flags |= freeRunning // its input fills the other's queue, not its own
	from.flags &^= paused     // from now on that is for the Pipe to say
	from.SetHandler(&pipe{to: to, before: from.handler})
}

// A pipe is the handler of one of two joined connections.
type pipe struct {
	to     *Conn
	before Handler
	fast   int // reads in a row that filled the loop's buffer
}

// Data implements Handler.
func (h *pipe) Data(c *Conn, p []byte) (int, error) {
	n, err := h.send(c.loop, p)
	if h.to.Full() {
		c.Pause() // until the other's Drained, which comes after this
	}
	h.spliceFrom(c, len(p))
	if err == ErrQueueFull {
		return 0, nil
	}
	if err != nil { // the other is gone, or goes: its Close tells c
		return len(p), nil
	}
	return n, nil
}

func (h *pipe) send(on *loop, p []byte) (int, error) {
	if h.to.loop != on || h.to.state == stateNew { // dialled in this very turn
		return h.to.Write(p)
	}
	one := [1][]byte{p}
	n, err := h.to.write(one[:], true)
	h.to.flush()
	return n, err
}

// InputEnded implements InputEnder.
func (h *pipe) InputEnded(*Conn, []byte) error {
	h.to.CloseWrite()
	return nil
}

// Drained implements Drainer.
func (h *pipe) Drained(c *Conn) {
	if h.to.loop == c.loop {
		h.to.Resume()
	} else {
		h.to.Do(h.to.Resume)
	}
}

// Close implements Handler.
func (h *pipe) Closed(c *Conn, err error) {
	h.endSplice(c)
	if err == nil {
		h.to.end(nil)
	} else {
		h.to.end(ErrPiped)
	}
	if h.before != nil { // Pipe was called in Accept
		h.before.Closed(c, err)
	}
}
