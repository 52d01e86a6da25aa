package switchboard

import (
	"context"
	"syscall"
	"time"

	"github.com/switchboard-go/switchboard/internal/engine"
)

// Shutdown ends the server in order. It accepts the connections that are in the backlog, and then no more. It calls
// Leaving of the handlers that have it. It closes every other connection when all its input is consumed, all its output is
// sent and it is not held (Conn.Hold). When all connections have ended, it returns nil. When ctx ends first, it aborts
// what is left, as Close does, and returns the error of ctx.
//
// Connections of a Pipe are not closed for being silent, because one peer may wait for an answer of the other: they stay
// until their peers end them, and IdleTimeout applies. What Conn.Dial and DialPipe have begun for a connection that is still
// served goes on, and they may begin more. What Server.Dial has not connected yet is aborted, unless it is joined by Pipe.
// A TLS handshake is completed if its client has begun it.
//
// Shutdown never takes longer than ctx, even if a handler does not return or calls Shutdown itself. A second call waits as
// the first does, until its own ctx ends. After Close, Shutdown waits until the handlers have been told.
func (s *Server) Shutdown(ctx context.Context) error {
	idle, begins := s.stop(serverStopping)
	if begins {
		for _, l := range s.loops {
			l.give(task{f: l.leaveAll})
		}
	}
	select {
	case <-idle:
	case <-ctx.Done():
		s.Close()
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeGrace)
		defer cancel()
		s.awaitLoops(grace) // so that handlers which can be told are
		return ctx.Err()
	}
	s.Close()
	if !s.awaitLoops(ctx) {
		return ctx.Err()
	}
	return nil
}

// closeGrace is for how long Shutdown, whose context has ended, waits for the loops to tell the handlers.
const closeGrace = 50 * time.Millisecond

// awaitLoops waits until all loops have ended, and tells whether they did before ctx.
func (s *Server) awaitLoops(ctx context.Context) bool {
	s.mu.Lock()
	ended := s.ended
	s.mu.Unlock()
	if ended == nil { // there never were any
		return true
	}
	select {
	case <-ended:
		return true
	case <-ctx.Done():
		return false
	}
}

// Close ends the server and aborts all connections, whose handlers get ErrServerClosed. It does not wait for them, and
// always returns nil. Any goroutine may call it.
func (s *Server) Close() error {
	if _, begins := s.stop(serverClosed); begins {
		for _, l := range s.loops {
			l.give(task{f: l.abortAll})
		}
	}
	return nil
}

// Stopped returns a channel that is closed when s accepts no more: after Shutdown, Close, or a Handover that succeeded. It is
// for a program whose listeners came from Takeover, as no call of Serve waits for them. Any goroutine may call it.
func (s *Server) Stopped() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped == nil {
		s.stopped = make(chan struct{})
		s.tellStopped()
	}
	return s.stopped
}

// tellStopped closes what Stopped returned, if it is time. mu is held.
func (s *Server) tellStopped() {
	if s.stopped == nil || s.state < serverStopping && !s.handedOver.Load() {
		return
	}
	select {
	case <-s.stopped:
	default:
		close(s.stopped)
	}
}

// stop moves the server on towards its end, and tells whether it was not that far yet. What it returns is closed when the last
// connection is gone.
func (s *Server) stop(to serverState) (idle chan struct{}, begins bool) {
	s.mu.Lock()
	if s.idle == nil {
		s.idle = make(chan struct{})
	}
	idle = s.idle
	if s.state >= to {
		s.mu.Unlock()
		return idle, false
	}
	s.state = to
	s.stopping.Store(true)
	s.tellStopped()
	s.checkIdle()
	var open []*listener
	for ln := range s.listeners {
		open = append(open, ln)
	}
	s.mu.Unlock()
	for _, ln := range open {
		ln.end(ErrServerClosed)
	}
	return idle, true
}

// departed counts a connection that is gone.
func (s *Server) departed() {
	left := s.active.Add(-1)
	if s.paused.Load() > 0 {
		s.resumeAccepting()
	}
	if left == 0 && s.stopping.Load() {
		s.mu.Lock()
		s.checkIdle()
		s.mu.Unlock()
	}
}

// checkIdle tells who waits for it that the last listener has stopped and the last connection is gone. mu is held.
func (s *Server) checkIdle() {
	if s.idle != nil && !s.isIdle && len(s.listeners) == 0 && s.active.Load() == 0 {
		s.isIdle = true
		close(s.idle)
	}
}

// removeListener takes a listener that has stopped out of the books.
func (s *Server) removeListener(ln *listener) {
	s.mu.Lock()
	delete(s.listeners, ln)
	s.checkIdle()
	s.mu.Unlock()
}

// acceptBacklog takes who has connected before the server stopped and waits to be accepted: to close the listener on them would
// be a reset. It runs on the loop, but leaves all handlers to later turns.
func (ln *listener) acceptBacklog() {
	const most = 1 << 16 // no backlog is longer
	for range most {
		if !ln.server.claim() {
			return
		}
		fd, peer, errno := ln.loop.kernel.Accept(ln.line.FD)
		if errno == 0 {
			c := ln.admit(fd, peer)
			ln.hand(c)
			continue
		}
		ln.server.unclaim()
		if errno != syscall.ECONNABORTED {
			return
		}
	}
}

// isLastAccepted tells whether c, which opens while the server stops, is served still, and has it leave when it is idle.
func (c *Conn) isLastAccepted() bool {
	if c.loop.server.isClosed() || c.flags&secured != 0 && !c.speaks() {
		return false
	}
	c.flags |= leaving
	c.later(todoLeave)
	return true
}

// isClosed tells whether Close was called, by Shutdown too.
func (s *Server) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state == serverClosed
}

// leaveAll begins Shutdown on l.
func (l *loop) leaveAll() {
	spread := time.Duration(0)
	if l.server.HandedOver() {
		spread = max(0, l.server.LeaveTime)
	}
	i, n := 0, l.conns.Len()
	for line := range l.conns.All() {
		c := connOf(line)
		at := spread / time.Duration(n) * time.Duration(i)
		switch {
		case c.state >= stateOpen:
		case c.flags&dialled == 0: // what its client says first may be on its way, and no restart may reset it for that
			at = spread
		case !c.isAwaited():
			at = 0
		}
		if at > 0 {
			c.after(at, c.leaveNow)
		} else {
			c.leaveNow()
		}
		i++
	}
}

// leaveNow has c leave when nothing is under way on it.
func (c *Conn) leaveNow() {
	c.flags |= leaving
	if c.state < stateOpen && !c.isAwaited() {
		c.drop(ErrServerClosed)
		return
	}
	c.later(todoLeave)
}

// isAwaited tells whether c, which is not open yet, is to open though the server stops: its client has said something, a
// connection that is still served waits for it, or it was open until StartTLS.
func (c *Conn) isAwaited() bool {
	if c.flags&upgraded != 0 {
		return true
	}
	if c.flags&dialled == 0 {
		return c.in != nil || c.hasClientHello() || c.speaks()
	}
	if _, joined := c.handler.(*pipe); joined {
		return true
	}
	d := c.extra().dial
	return d != nil && d.serves
}

// abortAll is Close on l, which ends with it.
func (l *loop) abortAll() {
	for line := range l.conns.All() {
		c := connOf(line)
		c.drop(ErrServerClosed)
	}
	l.stop()
}

// leave closes c, as Shutdown wants it, if nothing is under way on it. A Pipe stays.
func (c *Conn) leave() {
	h := c.handler
	p, piped := h.(*pipe)
	if piped {
		h = p.before
	}
	if h, ok := h.(Leaver); ok {
		if c.flags&leaveTold == 0 {
			c.flags |= leaveTold
			c.loop.call(c, func() { h.Leaving(c) })
			c.flush()
		}
		return
	}
	if piped || !c.idle(c.Queued()) {
		return
	}
	// What the peer sent before it could know is served. If there was some, flush comes back here.
	if c.line.Watches(engine.Read) && c.speaks() {
		c.later(0) // until it is here
		return
	}
	c.Close()
}

// mayLeave tells whether it is time to call leave.
func (c *Conn) mayLeave(queued int) bool {
	if p, ok := c.handler.(*pipe); ok {
		if _, ok := p.before.(Leaver); !ok {
			return false
		}
	}
	return c.idle(queued)
}

// speaks tells whether the system has something of c's peer that was not read.
func (c *Conn) speaks() bool { return c.loop.kernel.Ready(int(c.line.FD), engine.Read) != 0 }

// idle tells whether nothing is under way on c.
func (c *Conn) idle(queued int) bool {
	if c.flags&secured != 0 && c.state == stateOpen && c.encryption().conn.MidRecord() {
		return false
	}
	return c.state == stateOpen && c.in == nil && queued == 0 && c.flags&paused == 0 && !c.held()
}
