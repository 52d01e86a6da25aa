package websocket

import (
	"errors"
	"io"

	"github.com/switchboard-go/switchboard"
)

// Close starts the closing handshake. A Close frame follows everything that was written. When the peer has answered
// it, or after Options.CloseTimeout, the connection ends and Closed is called. After Close the handler receives no
// more messages, and writes fail. A second Close does nothing. Any goroutine may call it.
//
// code may be CodeNone, without a reason. reason is text for people, of at most 123 bytes. For a code or reason that
// cannot be sent, Close returns an error and does nothing. Before the opening handshake is complete, Close gives up
// the connection.
func (c *Conn) Close(code int, reason string) error {
	if err := checkClose(code, reason); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch state := c.sending.Load(); {
	case state&sendClosed != 0:
		return nil
	case state&sendOpen == 0:
		c.abort()
		return nil
	}
	c.sendClose(code, reason)
	c.conn.Do(func() {
		if !c.has(closeReceived) {
			c.enter(inClosing)
		}
	})
	return nil
}

// sendClose sends a Close frame, now or when there is room. mu is held.
func (c *Conn) sendClose(code int, reason string) {
	var payload [maxControl]byte
	p := appendClose(payload[:0], code, reason)
	c.sending.Store(c.sending.Load() | sendClosed) // first: the answer may come at once
	err := c.send(header{op: opClose, fin: true, length: uint64(len(p))}, p)
	if err == switchboard.ErrQueueFull {
		due := append([]byte{}, p...)
		c.conn.Do(func() {
			c.extra().due = due
			c.sendDue()
		})
	}
}

// sendDue sends the Close frame that did not fit, if it fits now. Else Drained tries again.
func (c *Conn) sendDue() {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.more.due
	if err := c.send(header{op: opClose, fin: true, length: uint64(len(p))}, p); err == switchboard.ErrQueueFull {
		return
	}
	c.more.due = nil
	if c.has(closeReceived) && !c.loop.client {
		c.conn.Close()
	}
	c.releaseExtra()
}

// closeNow sends a Close frame unless there was one, and tells whether it is under way.
func (c *Conn) closeNow(code int, reason string) (sent bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sending.Load()&sendClosed == 0 {
		c.sendClose(code, reason)
	}
	return c.more == nil || c.more.due == nil
}

// fail ends the WebSocket for something that the peer did wrong (RFC 6455, section 7.1.7): it is told, and the connection
// ends without waiting for an answer.
func (c *Conn) fail(err error) error {
	var wrong *ProtocolError
	if !errors.As(err, &wrong) {
		return err
	}
	return c.closeWith(wrong.Code, wrong.Reason, err)
}

// endFor ends the WebSocket for what the handler returned.
func (c *Conn) endFor(err error) error {
	var with *CloseError
	switch {
	case err == io.EOF:
		c.Close(CodeNormal, "")
		return nil
	case errors.As(err, &with) && c.Close(with.Code, with.Reason) == nil:
		return nil
	}
	return c.closeWith(CodeInternalError, "", err)
}

// closeWith ends the connection behind a Close frame, which says what is wrong: so TCP ends in order, for a reset might
// overtake the frame. Without room for it there is a reset.
func (c *Conn) closeWith(code int, reason string, err error) error {
	c.flags |= closeReceived // nothing more is looked at
	if !c.closeNow(code, reason) {
		return err
	}
	c.extra().failed = err
	return io.EOF
}

// closedByPeer takes the peer's Close frame. A server ends the connection when both have been sent, a client waits for
// that (RFC 6455, section 7.1.1).
func (c *Conn) closedByPeer(p []byte) error {
	code, reason, err := parseClose(p)
	if err != nil {
		return c.fail(err)
	}
	c.flags |= closeReceived
	c.extra().closing = &CloseError{code, string(reason)}
	if c.sending.Load()&sendClosed != 0 {
		c.flags |= closedFirst
	}
	sent := c.closeNow(code, "")
	switch {
	case c.loop.client:
		c.enter(inClosing)
		return nil
	case !sent:
		return nil // sendDue goes on
	}
	return io.EOF
}

// CloseCode returns the code of the peer's Close frame, CodeNone if the frame had no code, and 0 if there was no
// frame. Only the loop may call it.
func (c *Conn) CloseCode() int {
	if c.more == nil || c.more.closing == nil {
		return 0
	}
	return c.more.closing.Code
}

// closeTimedOut is called when a peer has not ended the connection within CloseTimeout.
func (c *Conn) closeTimedOut() {
	if c.has(closeReceived) { // a server that leaves the end of TCP to its client
		c.conn.Close()
		return
	}
	c.flags |= lateClose
	c.conn.Abort()
}
