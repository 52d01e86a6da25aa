package websocket

import (
	"sync"

	"github.com/switchboard-go/switchboard/internal/buffer"
)

// A Prepared is a message for many WebSockets: it is encoded once, and compressed once for all that agreed on the same.
// Any number of goroutines may use it at the same time. Its zero value is not a message.
type Prepared struct {
	kind  Kind
	p     []byte
	plain []byte // the frame as a server sends it

	mu         sync.Mutex
	compressed map[deflation][]byte // payloads; nil for one that became no shorter
}

// Prepare prepares a message. p is copied.
func Prepare(kind Kind, p []byte) (*Prepared, error) {
	if err := kind.check(); err != nil {
		return nil, err
	}
	frame := appendHeader(make([]byte, 0, maxHeader+len(p)), header{op: opcode(kind), fin: true, length: uint64(len(p))})
	frame = append(frame, p...)
	return &Prepared{kind: kind, p: frame[len(frame)-len(p):], plain: frame}, nil
}

// WritePrepared is Write for a prepared message. Any goroutine may call it.
func (c *Conn) WritePrepared(m *Prepared) error {
	var z []byte
	if c.deflatesNow(len(m.p)) {
		z = m.deflated(deflation{c.loop.Deflate.Level, int(c.deflates & deflateBits)})
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.mayWrite(false); err != nil {
		return err
	}
	if z != nil {
		err := c.send(header{op: opcode(m.kind), fin: true, compressed: true, length: uint64(len(z))}, z)
		if err == nil {
			c.remember(m.p)
		}
		return err
	}
	if c.loop.client {
		return c.send(header{op: opcode(m.kind), fin: true, length: uint64(len(m.p))}, m.p)
	}
	_, err := c.conn.Write(m.plain)
	return err
}

// deflated returns the message compressed so that it refers to nothing before it: whoever remembers may take it as well.
func (m *Prepared) deflated(d deflation) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	z, ok := m.compressed[d]
	if !ok {
		b := d.compress(m.p, nil)
		if len(b.B) < len(m.p) {
			z = append([]byte(nil), b.B...)
		}
		buffer.Put(b)
		if m.compressed == nil {
			m.compressed = map[deflation][]byte{}
		}
		m.compressed[d] = z
	}
	return z
}
