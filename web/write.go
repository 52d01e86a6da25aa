package web

import (
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/switchboard-go/switchboard"
)

// Write implements net.Conn: it waits while the output queue is full.
func (c *conn) Write(p []byte) (n int, err error) {
	c.mu.Lock()
	s, err := c.use("write")
	if err != nil {
		c.mu.Unlock()
		return 0, err
	}
	s.step = busy
	c.mu.Unlock()
	s.writing.Lock()
	defer s.writing.Unlock()
	n, err = c.write(s, p)
	c.mu.Lock()
	s.users--
	c.mu.Unlock()
	return n, err
}

// write is Write with s.writing held.
func (c *conn) write(s *session, p []byte) (n int, err error) {
	server := c.from.server
	most := max(server.queueLimit-server.highWater, 1)
	for {
		c.mu.Lock()
		until, gone, closed := s.writeUntil, s.err, s.closed
		s.cut = s.cut || expired(until)
		c.mu.Unlock()
		switch {
		case closed:
			return n, c.failure("write", net.ErrClosed)
		case expired(until):
			return n, c.failure("write", os.ErrDeadlineExceeded)
		}
		for len(p) > 0 && !c.sc.Full() {
			part := p[:min(len(p), most)]
			if _, err := c.sc.Write(part); err == switchboard.ErrQueueFull {
				break
			} else if err != nil {
				return n, err
			}
			p = p[len(part):]
			n += len(part)
		}
		switch {
		case len(p) == 0:
			return n, nil
		case gone != nil:
			return n, gone
		}
		c.mu.Lock()
		if s.writeUntil.Equal(until) && s.err == nil && !s.closed {
			c.wait(s.room, until, &s.writeTimer)
		}
		c.mu.Unlock()
	}
}

var copies = sync.Pool{New: func() any { return new([32 << 10]byte) }}

// ReadFrom implements io.ReaderFrom.
func (c *conn) ReadFrom(src io.Reader) (n int64, err error) {
	buf := copies.Get().(*[32 << 10]byte)
	defer copies.Put(buf)
	return io.CopyBuffer(writerOnly{c}, src, buf[:])
}

// writerOnly hides that a conn is an io.ReaderFrom from io.CopyBuffer, which would call it again.
type writerOnly struct{ io.Writer }

// SetWriteDeadline implements net.Conn.
func (c *conn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.s; s != nil {
		s.writeUntil = t
		if s.users > 0 {
			token(s.room)
		}
	}
	return nil
}

// SetDeadline implements net.Conn.
func (c *conn) SetDeadline(t time.Time) error {
	c.SetReadDeadline(t)
	return c.SetWriteDeadline(t)
}
