package web

import (
	"io"
	"net"
	"time"

	"github.com/switchboard-go/switchboard"
)

// connHandler is the switchboard.Handler of all connections of a Server.
type connHandler struct{ server *Server }

// Data implements switchboard.Handler. The header of a request stays where the loop keeps what is not consumed, until it is
// complete.
func (h connHandler) Data(sc *switchboard.Conn, p []byte) (int, error) {
	c := sc.Value().(*conn)
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.state == parked:
		return c.receiveParked(p), nil
	case c.s != nil:
		c.receive(p)
	}
	return len(p), nil
}

// InputEnded implements switchboard.InputEnder.
func (h connHandler) InputEnded(sc *switchboard.Conn, rest []byte) error {
	c := sc.Value().(*conn)
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.state != parked:
		if c.s != nil {
			c.s.ended = true
			token(c.s.input)
		}
	case len(rest) == 0 || c.again && len(rest) < peeked:
		return io.EOF
	default: // as in receiveParked
		c.wakeUp(rest, len(rest))
		c.s.ended = true
	}
	return nil
}

// Drained implements switchboard.Drainer.
func (h connHandler) Drained(sc *switchboard.Conn) {
	c := sc.Value().(*conn)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.s != nil {
		token(c.s.room)
	}
}

// Leaving implements switchboard.Leaver: the loops are being shut down. What is idle is closed, a request that has begun
// is served, and its answer is the connection's last: http.Server says so in its header.
func (h connHandler) Leaving(sc *switchboard.Conn) {
	h.server.leave()
	c := sc.Value().(*conn)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.left = true
	if c.state == parked && (sc.Buffered() == 0 || h.server.refuses.Load()) {
		c.closeParked()
	}
}

// leave has every answer be its connection's last, because the loops are being shut down.
func (s *Server) leave() {
	s.leaves.Store(true)
	s.lastOnce.Do(func() {
		if s.Loops.HandedOver() { // each of those that stay has its time: none is closed for being idle at this moment
			s.endIdleWatch()
			s.keepsIdle.Store(true)
			defer s.keepsIdle.Store(false)
		}
		s.HTTP.SetKeepAlivesEnabled(false)
	})
}

// closesWhenIdle tells whether c is closed now that it is idle. mu is held.
func (c *conn) closesWhenIdle() bool {
	s := c.from.server
	return s.leaves.Load() && (c.left || s.refuses.Load() || !s.Loops.HandedOver())
}

// Closed implements switchboard.Handler.
func (h connHandler) Closed(sc *switchboard.Conn, err error) {
	c := sc.Value().(*conn)
	c.mu.Lock()
	was := c.state
	c.state = gone
	if s := c.s; s != nil {
		if err == nil {
			err = net.ErrClosed
		}
		if _, ok := err.(*net.OpError); !ok {
			err = c.failure("read", err)
		}
		s.err = err
		s.wakeUsers()
	}
	if was == parked || was == returning {
		c.endParked()
	}
	c.mu.Unlock()
	h.server.forget()
}

// closeParked closes a connection that net/http does not know. mu is held.
func (c *conn) closeParked() {
	c.endParked()
	c.sc.Close()
}

// endParked has the hook told that a connection is closed that net/http does not know. mu is held.
func (c *conn) endParked() {
	c.drop()
	if c.from.server.next.state != nil {
		c.from.tell(c.shown(), parkedEnded)
	}
}

// receiveParked looks at what has come of a request while the connection is parked, and wakes it when it is time. It returns how
// much of p is consumed. mu is held.
func (c *conn) receiveParked(p []byte) int {
	skipped := emptyLines(p)
	if skipped > 0 {
		c.scan = headerScan{}
		p = p[skipped:]
	}
	if len(p) == 0 || c.again && len(p) < peeked {
		return skipped
	}
	server := c.from.server
	size, ready := c.scan.look(p, server.headerLimit)
	if c.late { // net/http knows what to say to the half of a request
		size, ready = len(p), true
	}
	if ready {
		c.wakeUp(p, size)
		return skipped + len(p)
	}
	if !c.begun && len(p) >= peeked {
		c.begin()
		if d := server.headerTimeout(); d > 0 {
			c.expireAfter(d)
		} else {
			c.stopTimer()
		}
	}
	return skipped
}

// begin notes that a request begins.
func (c *conn) begin() {
	now := time.Since(epoch)
	if server := c.from.server; c.again {
		c.quick = now-c.at < server.parkAfter
		switch n := server.needlessParks.Load(); {
		case c.quick && n < maxWaiting:
			server.needlessParks.Add(1)
		case !c.quick && n > 0:
			server.needlessParks.Add(-1)
		}
	}
	c.at, c.begun = now, true
}

// wakeUp gives net/http the connection with p, of which size bytes are the header of a request. It runs on the loop; mu is
// held.
func (c *conn) wakeUp(p []byte, size int) {
	server := c.from.server
	s := sessions.Get().(*session)
	s.put(p)
	s.header = size
	if loops := server.Loops; loops.IdleTimeout > 0 || loops.HalfCloseTimeout > 0 {
		s.endHold = c.sc.Hold() // a handler takes its time
	}
	if c.begun {
		if d := server.headerTimeout(); d > 0 {
			s.headerUntil = epoch.Add(c.at + d)
		}
		if d := server.HTTP.ReadTimeout; d > 0 {
			s.wholeUntil = epoch.Add(c.at + d)
		}
	} else {
		c.begin()
	}
	c.stopTimer()
	c.s, c.state, c.begun, c.late, c.scan = s, serving, false, false, headerScan{}
	server.release.sessionBegan()
	c.sc.CountMemory(servedMemory)
	c.from.tell(c.shown(), woken)
}

// servedMemory is what a connection costs while net/http serves it, for switchboard.Server.MemoryLimit: the stack of a goroutine,
// two buffers of 4 KiB and the request.
const servedMemory = 20 << 10

// expireAfter ends the time of the request that is awaited, or has begun, in d. It runs on the loop.
func (c *conn) expireAfter(d time.Duration) {
	if more := c.extra(); more.timer == nil {
		more.timer = c.sc.After(d, c.expire)
	} else {
		more.timer.Reset(d)
	}
}

func (c *conn) stopTimer() {
	if more := c.more.Load(); more != nil && more.timer != nil {
		more.timer.Stop()
	}
}

func (c *conn) expire() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != parked {
		return
	}
	if !c.begun || c.sc.Buffered() == 0 {
		c.closeParked()
		return
	}
	c.late = true
	c.sc.Resume() // Data is offered what has come
}

// answered is told that net/http has answered a request and keeps the connection alive.
func (c *conn) answered() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.s != nil {
		c.s.step = answered
	}
}

// hijacked is told that net/http has no more to do with the connection.
func (c *conn) hijacked() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != gone {
		c.state = taken
	}
}

// served is told that net/http is done with the connection, and tells whether it is parked instead of closed.
func (c *conn) served() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.s
	if c.state != parking || s.closes > 1 || s.closed || s.err != nil {
		if c.state == parking {
			c.sc.Close()
		}
		return c.drop()
	}
	if len(s.unread()) == 0 && (s.ended || c.closesWhenIdle()) {
		c.sc.Close()
		return c.drop()
	}
	c.again, c.at = true, time.Since(epoch)
	if len(s.unread()) == 0 && s.idleUntil.IsZero() && !s.paused {
		c.state = parked
		c.endSession()
		return true
	}
	c.state = returning
	c.sc.Do(c.settle) // if it is gone already, Closed is told
	return true
}

// drop lets the session of a connection go that is closed.
func (c *conn) drop() (stays bool) {
	if c.s != nil {
		c.endSession()
	}
	c.state = gone
	return false
}

// endSession gives back what the connection had because net/http served it. mu is held.
func (c *conn) endSession() {
	s := c.s
	c.s = nil
	s.release()
	if sc := c.sc; c.from.server.Loops.MemoryLimit > 0 {
		sc.Do(func() { sc.CountMemory(-servedMemory) }) // if it is gone already, nothing is counted for it
	}
	c.from.server.sessionEnded()
}

// settle parks the connection on its loop, which has something to do for it.
func (c *conn) settle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != returning {
		return
	}
	s := c.s
	c.state = parked
	if s.paused {
		c.sc.Resume()
	}
	if !s.idleUntil.IsZero() {
		c.expireAfter(time.Until(s.idleUntil))
	}
	if len(s.unread()) > 0 || s.ended {
		c.sc.Unread(s.unread())
	} else if c.closesWhenIdle() {
		c.closeParked()
		return
	}
	c.endSession()
}

// closeIdle closes the connections that are parked and have not begun a request: http.Server has closed those that it
// knows to be idle.
func (s *Server) closeIdle() {
	for sc := range s.Loops.Conns() {
		sc.Do(func() {
			if c, ok := sc.Value().(*conn); ok && c.from.server == s {
				c.closeIdle()
			}
		})
	}
}

func (c *conn) closeIdle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case (c.state == parked || c.state == returning) && c.scan.searched == 0:
		c.closeParked()
	case c.state == parking: // http.Server may know it no more
		c.s.closes++
	}
}

var _ interface {
	switchboard.InputEnder
	switchboard.Drainer
	switchboard.Leaver
} = connHandler{}
