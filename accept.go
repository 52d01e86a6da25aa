package switchboard

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"github.com/switchboard-go/switchboard/internal/engine"
	"github.com/switchboard-go/switchboard/internal/rawio"
)

// A listener is accepted from by one loop, which gives each connection to the quietest one. One acceptor keeps the loops
// even: with a listening socket for each loop (SO_REUSEPORT) it is chance that spreads connections, and long-lived ones
// stay where they fell.
type listener struct {
	line   engine.Listener // the first field, see listenerOf; its descriptor is in nobody's poller but ours
	server *Server
	loop   *loop
	number uint32 // in the order of their beginning
	origin uint32 // its number, see Server.origins
	coming bool   // from another process, before which its connections come: under Server.mu
	addr   net.Addr
	tls    *tls.Config  // nil: its connections speak no TLS
	check  func() error // nil, or tells whether somebody else has closed what fd is a copy of
	failed chan error   // why serve returns
	handed bool         // another process has it: of serve's goroutine

	// The loop's.
	burst      int
	optionless int // connections still to come that lack its options
	closed     bool
	waits      bool          // accepting is paused until connections go or the timer fires
	held       bool          // or until a handover has failed
	short      bool          // the log knows that descriptors are out
	told       time.Duration // when it last said so
	refused    time.Duration // when it last said that it cannot be watched
	yielded    bool          // kernel pipes have been given up for it since it last accepted
	again      *Timer

	wanted atomic.Bool // resumeAccepting is on its way
	full   atomic.Bool // accepting is paused until connections go
	spent  atomic.Bool // the last connection that waited could not be accepted for want of a descriptor
}

// listenerOf returns the listener that ln is the engine's part of.
func listenerOf(ln *engine.Listener) *listener { return (*listener)(unsafe.Pointer(ln)) }

const (
	// retry is how long accepting pauses at the end of descriptors when no connection of our own goes meanwhile: somebody
	// else may have given some back.
	retry = 100 * time.Millisecond

	// tellAgain is after how long a new shortage of descriptors is worth a new line in the log: while clients wait, each
	// connection that goes begins and ends one.
	tellAgain = time.Minute

	// checkEvery is how soon Serve notices that somebody else has closed its net.Listener. Go's poller tells nobody but
	// who waits in Accept, and who waits there would take connections.
	checkEvery = time.Second
)

// copyOf makes a listener of a net.Listener.
func copyOf(l net.Listener) (*listener, error) {
	sc, ok := l.(syscall.Conn)
	if !ok {
		return nil, fmt.Errorf("switchboard: serve: a %T has no descriptor to wait on", l)
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil, err
	}
	ln := &listener{addr: l.Addr(), check: func() error { return raw.Control(func(uintptr) {}) }}
	var inner error
	if err := raw.Control(func(fd uintptr) { ln.line.FD, inner = rawio.Dup(int(fd)) }); err != nil {
		return nil, err
	}
	if inner != nil {
		return nil, fmt.Errorf("switchboard: serve %v: %w", l.Addr(), inner)
	}
	return ln, nil
}

// serve accepts until end is called. The descriptor is its caller's again when it returns.
func (s *Server) serve(ln *listener) error {
	if err := s.begin(ln); err != nil {
		return err
	}
	return s.await(ln)
}

// begin begins to accept.
func (s *Server) begin(ln *listener) error {
	if s.Accept == nil && s.Handler == nil {
		return errors.New("switchboard: Server.Handler and Server.Accept are nil: set one to serve connections")
	}
	if err := checkTLS(ln.tls); err != nil {
		return err
	}
	loops, err := s.run()
	if err != nil {
		return err
	}
	ln.server, ln.number = s, s.next.Add(1)-1
	ln.loop = loops[int(ln.number)%len(loops)]
	ln.burst, ln.failed = 1, make(chan error, 1)
	ln.again = &Timer{l: ln.loop, f: ln.look}
	if ln.tcp() {
		ln.loop.setOptions(ln.line.FD)
		ln.optionless = ln.loop.kernel.Uninherited(ln.line.FD)
	}
	s.mu.Lock()
	running := s.state == serverRunning
	if running {
		s.listeners[ln] = struct{}{}
		ln.origin = s.originOf(ln)
	}
	s.mu.Unlock()
	if !running {
		return ErrServerClosed
	}
	if s.Listening != nil {
		s.Listening(ln.addr)
	}
	if !ln.loop.give(task{f: ln.resume}) {
		s.removeListener(ln)
		return ErrServerClosed
	}
	return nil
}

// await waits until end is called.
func (s *Server) await(ln *listener) error {
	defer s.removeListener(ln)
	err := <-ln.failed
	if err == ErrMoved { // its loop has stopped it
		ln.handed = true
		return ErrServerClosed
	}
	stopped := make(chan struct{})
	stop := func() {
		ln.handed = ln.closed // and only then what ended it came
		ln.stop()
		if err == ErrServerClosed && !ln.handed {
			ln.acceptBacklog()
		}
		close(stopped)
	}
	if ln.loop.give(task{f: stop}) {
		<-stopped
	} else {
		<-ln.loop.done // which then looks at it no more
	}
	return err
}

// setOptions prepares a TCP socket.
func (l *loop) setOptions(fd int) {
	l.kernel.NoDelay(fd)
	if l.limits.KeepAlive > 0 {
		l.kernel.KeepAlive(fd, l.limits.KeepAlive)
	}
}

func (ln *listener) tcp() bool { return ln.addr.Network() == "tcp" }

// end has serve return err. Any goroutine may call it; the first word counts.
func (ln *listener) end(err error) {
	select {
	case ln.failed <- err:
	default:
	}
}

// stop accepts no more. It runs on the loop.
func (ln *listener) stop() {
	if ln.closed { // it was handed over
		return
	}
	if !ln.waits {
		ln.loop.engine.Unlisten(&ln.line)
	} else {
		ln.server.paused.Add(-1)
	}
	ln.again.stop()
	ln.closed = true
}

// resume begins to accept, or begins again. It runs on the loop.
func (ln *listener) resume() {
	ln.wanted.Store(false)
	if ln.closed || ln.held {
		return
	}
	if ln.waits {
		ln.waits = false
		ln.full.Store(false)
		ln.server.paused.Add(-1)
	}
	ln.watch()
	if ln.spent.Load() && !ln.waitedFor() {
		ln.unspent()
	}
	if err := ln.loop.engine.Listen(&ln.line); err != nil {
		if now := ln.loop.kernel.Now(); ln.refused == 0 || now-ln.refused >= tellAgain {
			ln.refused = now
			ln.server.logger().Error("cannot accept", "address", ln.addr, "error", err)
		}
		ln.pause(retry)
	}
}

// hold stops accepting until release. It runs on the loop.
func (ln *listener) hold() {
	if ln.held = true; !ln.waits && !ln.closed {
		ln.loop.engine.Unlisten(&ln.line)
		ln.waits = true
		ln.server.paused.Add(1)
	}
	ln.again.stop()
}

// release begins to accept again after hold. It runs on the loop.
func (ln *listener) release() {
	if ln.held {
		ln.held = false
		ln.resume()
	}
}

// pause stops accepting until a connection goes, or for the time given if that is not 0.
func (ln *listener) pause(d time.Duration) {
	ln.loop.engine.Unlisten(&ln.line)
	ln.waits = true
	ln.full.Store(d == 0)
	ln.server.paused.Add(1)
	ln.loop.count.AcceptPauses++
	if d > 0 {
		ln.again.start(d)
	} else if ln.server.accepted.Load() < int64(ln.server.limits.MaxConns) {
		ln.resume() // the connection that made room went before anybody could know that it is waited for
	}
}

// watch has the timer fire when a foreign listener is to be looked at.
func (ln *listener) watch() {
	ln.again.stop()
	if ln.check != nil {
		ln.again.start(checkEvery)
	}
}

// look is what the timer is for.
func (ln *listener) look() {
	if ln.check != nil && ln.check() != nil {
		ln.end(fmt.Errorf("switchboard: serve %v: %w", ln.addr, net.ErrClosed))
	}
	if ln.waits {
		ln.resume()
	} else {
		ln.watch()
	}
}

// resumeAccepting has every paused listener try again.
func (s *Server) resumeAccepting() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for ln := range s.listeners {
		if ln.wanted.CompareAndSwap(false, true) {
			ln.loop.give(task{f: func() {
				if ln.wanted.Store(false); ln.waits {
					ln.resume()
				}
			}})
		}
	}
}

// acceptReady takes the connections that wait. Mostly it is one, and asking for a second would cost a system call to
// hear so: the number it tries doubles while there are more and halves when there are not.
func (ln *listener) acceptReady() {
	for range ln.burst {
		if !ln.server.claim() {
			ln.pause(0)
			return
		}
		fd, peer, errno := ln.loop.kernel.Accept(ln.line.FD)
		if rawio.NoDescriptors(errno) && !ln.waitedFor() { // Linux looks for a descriptor first
			errno = syscall.EAGAIN
		}
		if errno != 0 {
			ln.server.unclaim()
		}
		if rawio.WouldBlock(errno) {
			ln.burst = max(ln.burst/2, 1)
			ln.unspent()
			return
		}
		if !ln.accepted(fd, peer, errno) {
			return
		}
	}
	ln.burst = min(ln.burst*2, 64)
}

// waitedFor tells whether a client waits to be accepted.
func (ln *listener) waitedFor() bool { return ln.loop.kernel.Ready(ln.line.FD, engine.Read) != 0 }

// claim takes a place among MaxConns, if there is one, for a connection that is about to be accepted.
func (s *Server) claim() bool {
	for {
		n := s.accepted.Load()
		if s.limits.MaxConns > 0 && n >= int64(s.limits.MaxConns) {
			return false
		}
		if s.accepted.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// unclaim gives the place back.
func (s *Server) unclaim() {
	s.accepted.Add(-1)
	if s.paused.Load() > 0 {
		s.resumeAccepting()
	}
}

// unspent notes that no connection waits for a descriptor.
func (ln *listener) unspent() {
	if ln.spent.Load() {
		ln.spent.Store(false)
	}
}

// accepted takes what accept(2) gave, in a place that was claimed, and tells whether to go on accepting now.
func (ln *listener) accepted(fd int, peer rawio.Peer, errno syscall.Errno) bool {
	s := ln.server
	switch {
	case errno == 0:
		ln.yielded = false
		ln.unspent()
	case rawio.NoDescriptors(errno):
		if s.giveUpSplicing(ln.loop.kernel.Now()) && !ln.yielded { // there are some again in a moment
			ln.yielded = true
			ln.pause(retry)
			return false
		}
		if !ln.short && (ln.told == 0 || ln.loop.kernel.Now()-ln.told >= tellAgain) {
			ln.short, ln.told = true, ln.loop.kernel.Now()
			s.logger().Error("accepting pauses: "+errno.Error()+" (raise the limit with ulimit -n, or set MaxConns below it)",
				"address", ln.addr, "active", s.active.Load())
		}
		ln.spent.Store(true)
		ln.pause(retry)
		return false
	case errno == syscall.ECONNABORTED: // the client went while it waited in the backlog
		ln.unspent()
		return true
	default:
		if errno == syscall.EINVAL || errno == syscall.EBADF || errno == syscall.ENOTSOCK { // it listens no more
			ln.end(callError("accept", ln.addr, errno))
		}
		ln.pause(retry)
		return false
	}
	if ln.short {
		ln.short = false
		s.logger().Warn("accepting goes on", "address", ln.addr, "active", s.active.Load())
	}
	if c := ln.admit(fd, peer); c.loop == ln.loop {
		c.open()
	} else {
		ln.hand(c)
	}
	if s.limits.MaxConns > 0 && s.accepted.Load() >= int64(s.limits.MaxConns) {
		ln.pause(0)
		return false
	}
	return true
}

// admit makes a connection of what accept(2) gave, for the quietest loop.
func (ln *listener) admit(fd int, peer rawio.Peer) *Conn {
	if ln.optionless > 0 {
		ln.optionless--
		ln.loop.setOptions(fd)
	}
	ln.loop.count.Accepted++
	ln.loop.counts(ln.origin).accepted.Add(1)
	c := newConn(ln.server.quietest(ln.loop), fd, peer, ln.origin)
	if ln.tls != nil {
		c.flags |= secured
		if ln.tls != ln.server.TLSConfig {
			c.extra().config = ln.tls
		}
	}
	return c
}

// hand gives a new connection to its loop.
func (ln *listener) hand(c *Conn) {
	if !c.loop.adopt(c) {
		c.never()
		ln.loop.kernel.Close(int(c.line.FD))
		ln.server.unclaim()
		ln.server.departed()
	}
}
