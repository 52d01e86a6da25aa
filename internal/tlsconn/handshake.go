package tlsconn

import (
	"context"
	"net"
	"runtime/debug"
)

// A handshake is a Conn's until its owner knows the end.
//
//	state     what may happen                                    who causes it
//	running   a step ends: it needs input, or the end has come   the goroutine, which calls done
//	waiting   the next step, or Cancel                           the owner
//	over      Handshaken, which forgets it                       the owner
type handshake struct {
	ctx    context.Context // for the callbacks of the tls.Config
	cancel func()
	resume chan struct{} // a token begins the next step
	done   func()        // of the step under way
	inStep bool          // there is one
	cut    cutter
	over   bool
	err    error
}

// Step begins the handshake, or goes on with it, with what the peer has sent, on a goroutine of the handshake's own. When
// crypto/tls needs more input, or the handshake is over, it calls done on that goroutine, once. Until then c and input
// belong to the handshake, and the owner may call Cancel only.
//
// When done is called, Output must be taken. If Handshaken says that the handshake is over, Unread tells how much of the
// input it has left; otherwise it has used all, and goes on with the next Step.
func (c *Conn) Step(input []byte, done func()) {
	h := c.hand
	if h == nil {
		h = &handshake{resume: make(chan struct{}, 1), done: done, inStep: true}
		h.ctx, h.cancel = context.WithCancel(context.Background())
		c.hand, c.in = h, input
		go c.run(h)
		return
	}
	c.in, h.done = input, done
	h.resume <- struct{}{}
}

// Output returns what the handshake has for the peer, which is the caller's then.
func (c *Conn) Output() []byte {
	out := c.out
	c.out = nil
	return out
}

// Unread returns the end of the last step's input that the handshake has not used.
func (c *Conn) Unread() []byte {
	in := c.in
	c.in = nil
	return in
}

// Handshaken reports whether the handshake is over and how. The error is what crypto/tls says, net.ErrClosed or
// context.Canceled after Cancel, or a *PanicError.
func (c *Conn) Handshaken() (over bool, err error) {
	h := c.hand
	switch {
	case h == nil:
		return c.up.Load(), nil
	case !h.over:
		return false, nil
	case h.err == nil:
		h.cancel()
		c.hand = nil
		c.up.Store(true)
	}
	return true, h.err
}

// Cancel ends the handshake, and the context of the callbacks of the tls.Config. If a step is under way, its done is
// called when they have returned. If none is, nothing is called, and the owner must not use c any more.
func (c *Conn) Cancel() {
	if c.hand != nil {
		c.hand.cancel()
	}
}

// run is the life of the handshake's goroutine.
func (c *Conn) run(h *handshake) {
	err, returned := error(nil), false
	defer func() {
		if !returned {
			err = &PanicError{recover(), debug.Stack()}
		}
		if h.inStep { // otherwise the owner has cancelled it, and looks at nothing here
			h.over, h.err = true, err
			h.done()
		}
	}()
	err = c.shake(h)
	returned = true
}

func (c *Conn) shake(h *handshake) error {
	if !c.client {
		if oversized(c.in) {
			c.out = append(c.out, recordOverflow...)
			return errOversized(c.in)
		}
		if h.cut = cut(c.in); h.cut.left > 0 {
			c.in = c.in[header:]
		}
	}
	return c.tls.HandshakeContext(h.ctx)
}

// wait ends the step, and returns when the next one begins.
func (h *handshake) wait() error {
	h.inStep = false
	h.done()
	select {
	case <-h.resume:
		h.inStep = true
		return nil
	case <-h.ctx.Done():
	}
	select {
	case <-h.resume: // its done must be called
		h.inStep = true
	default:
	}
	return net.ErrClosed
}
