package web

import (
	"io"
	"net"
	"os"
	"time"
)

// Read implements net.Conn.
//
// Of a request it gives net/http the header first, no byte more: what follows is another Read's. So nothing of the next
// request lies in net/http's buffer when a request without a body is answered, and after an Upgrade nothing of the next
// protocol does.
func (c *conn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	c.mu.Lock()
	s, err := c.use("read")
	if err != nil {
		c.mu.Unlock()
		return 0, err
	}
	c.mu.Unlock()
	s.reading.Lock()
	defer s.reading.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	defer func() { s.users-- }()

	idle := s.step == awaitsNext && len(p) == readerSize && c.state == serving && c.from.server.parkAfter > 0
	// net/http watches for the peer's end while a handler runs. What comes of the next request is not for that Read: it
	// would leave net/http's buffer with one byte of it.
	watching := s.zeroed && len(p) == 1 && c.state == serving && c.from.server.known
	s.step, s.zeroed = busy, false
	s.reads = min(s.reads+1, 2)
	if idle {
		return c.readNext(s, p)
	}
	for {
		unread := len(s.unread())
		switch {
		case s.closed:
			return 0, c.failure("read", net.ErrClosed)
		case s.header == 0 && expired(s.readUntil): // a header was received in time
			if len(p) == 1 {
				return 0, errAborted
			}
			return 0, c.failure("read", os.ErrDeadlineExceeded)
		case unread > 0 && !watching:
			return c.afterTake(s, s.take(p)), nil
		case s.err != nil:
			return 0, s.err
		case s.ended && unread == 0:
			return 0, io.EOF
		}
		if !watching {
			s.dst = p
		}
		c.wait(s.input, s.readUntil, &s.readTimer)
		s.dst = nil
		if n := s.got; n > 0 {
			s.got = 0
			return n, nil
		}
	}
}

// readNext is Read when net/http has answered everything and waits for the next request. mu is held.
func (c *conn) readNext(s *session, p []byte) (int, error) {
	server := c.from.server
	server.startIdleWatch(c.from.listener)
	s.scan = headerScan{}
	s.parkDue.Store(false)
	due := false // it is decided when
	defer func() {
		if due && s.parkTimer != nil {
			s.parkTimer.Stop()
		}
	}()
	for {
		if n := emptyLines(s.unread()); n > 0 {
			s.at, s.scan = s.at+n, headerScan{}
		}
		unread := len(s.unread())
		switch {
		case s.closed:
			return 0, c.failure("read", net.ErrClosed)
		case unread > 0:
			if size, ready := s.scan.look(s.unread(), server.headerLimit); ready {
				s.header, c.quick = size, true
				return c.afterTake(s, s.take(p)), nil
			} else if s.ended || s.err != nil {
				return c.afterTake(s, s.take(p)), nil // net/http knows what to say to the half of a request
			}
		case s.err != nil:
			return 0, s.err
		case s.ended:
			return 0, io.EOF
		}
		switch {
		case expired(s.readUntil) && unread < peeked:
			return 0, c.failure("read", os.ErrDeadlineExceeded)
		case s.parkDue.Load() || expired(s.readUntil):
			c.state, s.closes, s.idleUntil = parking, 0, s.readUntil
			return 0, io.EOF
		}
		if !due {
			due = true
			wait := server.parkAfter
			if !c.quick && (server.needlessParks.Load() == 0 || server.release.sessions.Load() > maxWaiting) {
				if c.again {
					s.parkDue.Store(true)
					continue
				}
				wait /= firstWait
			}
			if s.parkTimer == nil {
				s.parkTimer = time.AfterFunc(wait, func() {
					s.parkDue.Store(true)
					token(s.input)
				})
			} else {
				s.parkTimer.Reset(wait)
			}
		}
		c.resumeReading(s)
		c.state = idling
		s.dst = p
		c.wait(s.input, s.readUntil, &s.readTimer)
		s.dst = nil
		if c.state == idling {
			c.state = serving
		}
		if n := s.got; n > 0 {
			s.got = 0
			return n, nil
		}
	}
}

const (
	// firstWait is the part of Server.ParkAfter that a connection waits after its first request. If its requests do not follow
	// each other within ParkAfter, it does not wait at all: one that is busy after that is parked needlessly once.
	firstWait = 50

	// maxWaiting is how many connections may have goroutines while such connections wait the whole ParkAfter, as they do when
	// others were parked needlessly, and the most that is remembered of these.
	maxWaiting = 1000
)

// peeked is for how many bytes of a request net/http waits with its idle timeout; then its header timeout begins.
const peeked = 4

// afterTake goes on reading the connection when what was received is mostly read, and returns n. mu is held.
func (c *conn) afterTake(s *session, n int) int {
	if len(s.unread()) <= c.from.server.highWater/4 {
		c.resumeReading(s)
	}
	return n
}

// resumeReading goes on reading the connection. mu is held.
func (c *conn) resumeReading(s *session) {
	if s.paused {
		s.paused = false
		c.sc.Do(c.sc.Resume)
	}
}

// receive takes what the loop brings while the connection has a session. mu is held.
func (c *conn) receive(p []byte) {
	s := c.s
	if s.dst != nil {
		switch {
		case c.state != idling:
			s.got = copy(s.dst, p)
			s.dst = nil
			s.put(p[s.got:])
			token(s.input)
			return
		case len(s.unread()) == 0:
			p = p[emptyLines(p):]
			if size, ready := s.scan.look(p, c.from.server.headerLimit); ready {
				s.got = copy(s.dst, p[:size])
				s.dst = nil
				s.header, c.quick = size-s.got, true
				s.put(p[s.got:])
				token(s.input)
				return
			}
			s.put(p) // the Read need not know yet
		default:
			s.put(p)
			if _, ready := s.scan.look(s.unread(), c.from.server.headerLimit); ready {
				token(s.input)
			}
		}
	} else {
		s.put(p)
	}
	if len(s.unread()) >= c.from.server.highWater && !s.paused && c.state != idling { // a header is bounded by its limit
		s.paused = true
		c.sc.Pause()
		token(s.input)
	}
}

// SetReadDeadline implements net.Conn.
func (c *conn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.s
	if s == nil {
		return nil
	}
	if s.step != busy {
		s.step++ // a second deadline is not of an idle net/http
		if s.step > awaitsNext {
			s.step = busy
		}
	}
	s.zeroed = t.IsZero()
	// A request that began on the loop has its time from then on.
	switch {
	case s.reads == 0:
		t = earlier(t, s.headerUntil)
	case !s.wholeUntil.IsZero():
		t, s.wholeUntil = earlier(t, s.wholeUntil), time.Time{}
	}
	s.readUntil = t
	if s.users > 0 {
		token(s.input)
	}
	return nil
}

// earlier returns t unless it is later than a limit that is not zero.
func earlier(t, limit time.Time) time.Time {
	if !limit.IsZero() && t.After(limit) {
		return limit
	}
	return t
}
