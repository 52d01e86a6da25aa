package web

import (
	"errors"
	"net"

	"github.com/switchboard-go/switchboard"
)

// Loop implements Conn.
func (c *conn) Loop(ahead []byte, begin func(*switchboard.Conn) (switchboard.Handler, error)) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.state != taken && c.state != gone:
		return c.failure("loop", errors.New("the connection was not hijacked"))
	case c.s == nil || c.s.closed || c.state == gone:
		return c.failure("loop", net.ErrClosed)
	}
	s := c.s
	c.given, s.closed = true, true // Close does nothing, Read and Write fail
	s.wakeUsers()
	// What comes until the loop looks is put behind what was not read.
	s.in, s.at = append(append([]byte(nil), ahead...), s.unread()...), 0
	err := c.sc.Do(func() { c.handOver(begin) })
	c.given = err == nil
	return err
}

// handOver gives the connection to the handler that begin returns. It runs on the loop.
func (c *conn) handOver(begin func(*switchboard.Conn) (switchboard.Handler, error)) {
	c.mu.Lock()
	s, sc := c.s, c.sc
	c.state, c.s = gone, nil
	c.mu.Unlock()
	sc.SetValue(nil)
	sc.KeepReading(false)
	sc.CountMemory(-servedMemory)
	h, err := begin(sc)
	if h == nil || err != nil {
		sc.SetValue(c)
		sc.Abort()
		return
	}
	c.from.server.forget()
	c.from.server.sessionEnded()
	sc.SetHandler(h)
	if s.paused {
		sc.Resume()
	}
	if s.endHold != nil {
		s.endHold()
	}
	if len(s.unread()) > 0 || s.ended {
		sc.Unread(s.unread())
	}
	if h, ok := h.(switchboard.Leaver); ok && c.left { // the loops tell it to a connection once
		h.Leaving(sc)
	}
}
