package websocket

import (
	"errors"
	"fmt"
	"net"

	"github.com/switchboard-go/switchboard/internal/buffer"
)

// Write sends a message, or queues what the system does not take now. It never waits. It does not keep p. A Text must
// be valid UTF-8: peers close a WebSocket that sends anything else. Any goroutine may call it; the messages of one
// goroutine keep their order.
//
// A message is taken whole or not at all. The error is switchboard.ErrQueueFull if the queue has no room (a Drainer
// is told when it has), net.ErrClosed (with errors.Is) after the end, ErrNotOpen, ErrMidMessage, or what
// switchboard.Conn.Write returns.
func (c *Conn) Write(kind Kind, p []byte) error {
	if err := kind.check(); err != nil {
		return err
	}
	plain := header{op: opcode(kind), fin: true, length: uint64(len(p))}
	if c.deflatesNow(len(p)) {
		return c.writeDeflated(plain, p)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.mayWrite(false); err != nil {
		return err
	}
	return c.send(plain, p)
}

// deflatesNow tells whether a message of n bytes is to be compressed.
func (c *Conn) deflatesNow(n int) bool {
	return c.sending.Load()&sendOpen != 0 && c.deflates&deflateOn != 0 && n >= c.loop.Deflate.Threshold
}

// WritePart sends a part of a message, for messages that are too long to be held in memory. The part with last set
// ends the message. Between the parts of a message other writes fail with ErrMidMessage; pings and Close do not.
// Parts are never compressed. WritePart does not keep p. Its errors are those of Write. Any goroutine may call it.
func (c *Conn) WritePart(kind Kind, p []byte, last bool) error {
	if err := kind.check(); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.mayWrite(true); err != nil {
		return err
	}
	h := header{op: opcode(kind), fin: last, length: uint64(len(p))}
	state := c.sending.Load()
	if state&sendMidMsg != 0 {
		h.op = opContinuation
	}
	if err := c.send(h, p); err != nil {
		return err
	}
	if last {
		c.sending.Store(state &^ sendMidMsg)
	} else {
		c.sending.Store(state | sendMidMsg)
	}
	return nil
}

// Ping sends a ping with p, at most 125 bytes. The answer goes to Ponged of a Pinger. Any goroutine may call it.
func (c *Conn) Ping(p []byte) error {
	if len(p) > maxControl {
		return fmt.Errorf("websocket: ping: %d bytes, at most %d fit", len(p), maxControl)
	}
	return c.sendControl(opPing, p)
}

// sendControl sends a ping or a pong.
func (c *Conn) sendControl(op opcode, p []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.mayWrite(true); err != nil {
		return err
	}
	return c.send(header{op: op, fin: true, length: uint64(len(p))}, p)
}

var errKind = errors.New("websocket: write: a message is Text or Binary")

func (k Kind) check() error {
	if k != Text && k != Binary {
		return errKind
	}
	return nil
}

// mayWrite says why a frame cannot be sent now. With between, it may come between the parts of a message. mu is held.
func (c *Conn) mayWrite(between bool) error {
	state := c.sending.Load()
	switch {
	case state&sendClosed != 0:
		return errClosed
	case state&sendOpen == 0:
		return ErrNotOpen
	case state&sendMidMsg != 0 && !between:
		return ErrMidMessage
	}
	return nil
}

var errClosed = fmt.Errorf("websocket: write: %w", net.ErrClosed)

// send sends a frame. A client's is masked on its way. mu is held.
func (c *Conn) send(h header, p []byte) error {
	if !c.loop.client {
		var head [maxHeader]byte
		return c.conn.WriteFrame(appendHeader(head[:0], h), p)
	}
	b := buffer.Get(maxHeader + len(p))
	b.B = appendMasked(b.B, h, p)
	_, err := c.conn.Write(b.B)
	buffer.Put(b)
	return err
}

// appendMasked appends a client's frame to b.
func appendMasked(b []byte, h header, p []byte) []byte {
	h.masked, h.key = true, newKey()
	b = appendHeader(b, h)
	n := len(b)
	b = append(b, p...)
	mask(b[n:], h.key)
	return b
}

// writeDeflated sends a message compressed, unless it would not become shorter. Only a message that may refer to those
// before it is compressed while nobody else can send.
func (c *Conn) writeDeflated(h header, p []byte) error {
	d := deflation{c.loop.Deflate.Level, int(c.deflates & deflateBits)}
	var z *buffer.Buffer
	if c.deflates&deflateContexts == 0 {
		z = d.compress(p, nil)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.mayWrite(false)
	if err == nil {
		if z == nil {
			z = d.compress(p, c.more.contexts.sent)
		}
		if len(z.B) >= len(p) {
			err = c.send(h, p)
		} else {
			h.compressed, h.length = true, uint64(len(z.B))
			if err = c.send(h, z.B); err == nil {
				c.remember(p)
			}
		}
	}
	if z != nil {
		buffer.Put(z)
	}
	return err
}

// remember keeps what was sent compressed, if the next message may refer to it. mu is held.
func (c *Conn) remember(p []byte) {
	if c.deflates&deflateContexts == 0 {
		return
	}
	if ctx := c.more.contexts; ctx.keepSent > 0 {
		ctx.sent = remember(ctx.sent, p, ctx.keepSent)
	}
}

// remember appends p to history, of which the last bytes are kept.
func remember(history, p []byte, keep int) []byte {
	if len(p) >= keep {
		return append(history[:0], p[len(p)-keep:]...)
	}
	if over := len(history) + len(p) - keep; over > 0 {
		history = history[:copy(history, history[over:])]
	}
	return append(history, p...)
}
