package websocket

import (
	"sync"

	"github.com/switchboard-go/switchboard/internal/buffer"
)

// A Prepared is a message for many WebSockets. It is encoded once, and compressed once for all peers with the same
// settings. Any goroutine may use it. The zero value is not usable.
type Prepared struct {
	kind  Kind
	p     []byte
	plain []byte // the frame as a server sends it

	parts []*Prepared // of one that Join has made; it has no p

	mu         sync.Mutex
	compressed map[deflation][]byte // payloads; nil for one that became no shorter
	frames     map[form][]byte      // as a server sends them
}

// A form is what a server's frames depend on.
type form struct {
	deflation
	threshold int
}

// Prepare prepares a message. It copies p.
func Prepare(kind Kind, p []byte) (*Prepared, error) {
	if err := kind.check(); err != nil {
		return nil, err
	}
	frame := appendHeader(make([]byte, 0, maxHeader+len(p)), header{op: opcode(kind), fin: true, length: uint64(len(p))})
	frame = append(frame, p...)
	return &Prepared{kind: kind, p: frame[len(frame)-len(p):], plain: frame}, nil
}

// Join returns a Prepared that sends all these messages, one after the other.
func Join(messages ...*Prepared) *Prepared {
	size := 0
	for _, m := range messages {
		size += len(m.plain)
	}
	all := &Prepared{plain: make([]byte, 0, size)}
	for _, m := range messages {
		all.plain = append(all.plain, m.plain...)
		if m.parts != nil {
			all.parts = append(all.parts, m.parts...)
		} else {
			all.parts = append(all.parts, m)
		}
	}
	return all
}

// messages returns the messages that m is.
func (m *Prepared) messages() []*Prepared {
	if m.parts != nil {
		return m.parts
	}
	return []*Prepared{m}
}

// WriteShared sends prepared messages without copying them, as switchboard.Conn.WriteShared does: all of them, or
// none while earlier output waits to be sent. Then taken is false, and switchboard.Conn.WhenSent reports when to try
// again. Only the loop may call it.
func (c *Conn) WriteShared(messages ...*Prepared) (taken bool, err error) {
	var room [16][]byte
	frames := room[:0]
	deflates := c.deflates&deflateOn != 0
	for _, m := range messages {
		switch {
		case c.loop.client:
			frames = append(frames, m.masked())
		case deflates:
			frames = append(frames, m.frame(form{deflation{c.loop.Deflate.Level, int(c.deflates & deflateBits)}, c.loop.Deflate.Threshold}))
		default:
			frames = append(frames, m.plain)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.mayWrite(false); err != nil {
		return false, err
	}
	taken, err = c.conn.WriteShared(frames...)
	if taken && deflates && c.deflates&deflateContexts != 0 {
		for _, m := range messages {
			for _, m := range m.messages() {
				if c.deflatesNow(len(m.p)) && m.deflated(deflation{c.loop.Deflate.Level, int(c.deflates & deflateBits)}) != nil {
					c.remember(m.p)
				}
			}
		}
	}
	return taken, err
}

// masked returns m as a client sends it.
func (m *Prepared) masked() (frames []byte) {
	for _, m := range m.messages() {
		frames = appendMasked(frames, header{op: opcode(m.kind), fin: true, length: uint64(len(m.p))}, m.p)
	}
	return frames
}

// frame returns m as a server sends it to those who take it compressed. The bytes never change.
func (m *Prepared) frame(f form) []byte {
	if m.parts == nil && len(m.p) < f.threshold {
		return m.plain
	}
	m.mu.Lock()
	frames, ok := m.frames[f]
	m.mu.Unlock()
	if ok {
		return frames
	}
	if m.parts == nil {
		frames = m.plain
		if z := m.deflated(f.deflation); z != nil {
			h := header{op: opcode(m.kind), fin: true, compressed: true, length: uint64(len(z))}
			frames = append(appendHeader(make([]byte, 0, maxHeader+len(z)), h), z...)
		}
	} else {
		for _, part := range m.parts {
			frames = append(frames, part.frame(f)...)
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.frames == nil {
		m.frames = map[form][]byte{}
	}
	m.frames[f] = frames
	return frames
}

// WritePrepared is Write for a prepared message. Any goroutine may call it.
func (c *Conn) WritePrepared(m *Prepared) error {
	for _, part := range m.parts {
		if err := c.WritePrepared(part); err != nil {
			return err
		}
	}
	if m.parts != nil {
		return nil
	}
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
