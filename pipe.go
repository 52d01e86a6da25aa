package switchboard

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
)

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
// Server.Shutdown waits until the peers end the two connections. To end them earlier, give one of them a handler that is a
// Leaver.
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

// DialPipe connects to address and joins c with the new connection, as Pipe does. In Accept it is a whole proxy. It does not
// wait: c is paused until the target has answered, and its input stays in the buffers of the system. A config makes the
// connection to the target speak TLS, as DialTLS does; nil means no TLS. address and ctx are those of Server.Dial. If
// DialPipe returns an error, it has changed nothing. While the target is awaited c does not become idle.
//
// h may be nil. Then c fails with ErrPiped, which wraps the cause, if the target cannot be reached. Otherwise h is the
// handler of the connection to the target: its Opened is called before the two are joined, its Closed when the connection
// has ended. A Closed without an Opened means that the target was not reached. Then h decides about c, which is still
// paused: it can call DialPipe with another target, write an answer and close c, or abort it.
//
// If c ends first, the connection to the target is aborted. Another DialPipe aborts it as well. Server.Shutdown lets DialPipe
// go on, and waits for both connections until their peers end them.
//
// DialPipe belongs to c's loop. Accept may call it, and may return a nil Handler then:
//
//	Accept: func(c *switchboard.Conn) (switchboard.Handler, error) {
//		return nil, c.DialPipe(context.Background(), "127.0.0.1:8080", nil, nil)
//	}
func (c *Conn) DialPipe(ctx context.Context, address string, config *tls.Config, h Handler) error {
	c.checkLoop("Conn.DialPipe")
	if c.marked(stopMark) || c.state == stateGone {
		return c.closedError("dialpipe")
	}
	if err := c.loop.limits.check(h); err != nil {
		return err
	}
	dial := c.Dial
	if config != nil {
		dial = func(ctx context.Context, address string, h Handler) (*Conn, error) {
			return c.DialTLS(ctx, address, config, h)
		}
	}
	to, err := dial(ctx, address, &joiner{c, h})
	if err != nil {
		return err
	}
	c.abortTarget()
	c.extra().target = to
	c.pause()
	return nil
}

// A joiner is the handler of a connection to the target of DialPipe until it is joined with the client.
type joiner struct {
	client *Conn
	h      Handler // nil, or the user's
}

// current tells whether the client still waits for to.
func (j *joiner) current(to *Conn) bool {
	more := j.client.more.Load()
	return more.target == to && !j.client.marked(stopMark) && j.client.state == stateOpen
}

// Opened implements Opener.
func (j *joiner) Opened(to *Conn) error {
	if !j.current(to) {
		return ErrAborted
	}
	if h, ok := j.h.(Opener); ok {
		if err := h.Opened(to); err != nil || !j.current(to) || to.marked(stopMark) {
			return err
		}
	}
	j.client.targetless()
	join(j.client, to)
	to.handler.(*pipe).before = j.h
	return nil
}

// Data implements Handler. Nothing is offered before the two are joined.
func (j *joiner) Data(*Conn, []byte) (int, error) { return 0, nil }

// Closed implements Handler.
func (j *joiner) Closed(to *Conn, err error) {
	current := j.current(to)
	if current {
		j.client.targetless()
	}
	switch {
	case j.h != nil:
		j.h.Closed(to, err)
	case current:
		j.client.end(fmt.Errorf("%w: %w", ErrPiped, err))
	}
}

// targetless notes that c waits for its target no more.
func (c *Conn) targetless() {
	c.more.Load().target = nil
	c.touch() // the silence begins here
	c.schedule()
}

// abortTarget ends the connection to the target that c waits for, if there is one.
func (c *Conn) abortTarget() {
	if more := c.more.Load(); more != nil && more.target != nil {
		to := more.target
		more.target = nil
		to.Abort()
	}
}

// isJoining tells whether c needs no handler of its own: it is joined with another connection, or will be.
func (c *Conn) isJoining() bool {
	if _, ok := c.handler.(*pipe); ok {
		return true
	}
	more := c.more.Load()
	return more != nil && more.target != nil
}
