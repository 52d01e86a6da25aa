package web

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"sync"
)

// A listener is where http.Server.Serve accepts the connections that the loops have woken. The hooks that http.Server
// would call as it accepts a connection are called here, in the same order and on the same goroutine.
type listener struct {
	server  *Server
	known   net.Listener // what the user's BaseContext is given
	started chan struct{}
	ctx     context.Context // what ConnContext is given
	ended   bool            // it brings no more connections, under Server.mu

	endpoints map[netip.AddrPort]*endpoint // under Server.mu; zero is a Unix socket's

	mu      sync.Mutex
	wake    sync.Cond
	events  []event
	next    int // the first event that was not taken
	closed  bool
	running bool // a goroutine takes the events that come after Close
}

// An endpoint is a listener and the local address of the connections that came to it there. net/http asks for that address
// each time that it serves a connection.
type endpoint struct {
	*listener
	local net.Addr
}

// maxEndpoints is how many endpoints a listener remembers; one beyond them belongs to its connection alone.
const maxEndpoints = 256

// An event is something for http.Server or its hooks.
type event struct {
	conn net.Conn
	what what
}

type what uint8

const (
	accepted    what = iota // a new connection is there, and parked
	woken                   // http.Server shall serve it
	parkedEnded             // it went while it was parked
)

// tell queues an event. Any goroutine may call it.
func (ln *listener) tell(conn net.Conn, what what) {
	ln.mu.Lock()
	defer ln.mu.Unlock()
	ln.events = append(ln.events, event{conn, what})
	switch {
	case !ln.closed:
		ln.wake.Signal()
	case !ln.running:
		ln.running = true
		go ln.finish()
	}
}

// take returns the next event. mu is held.
func (ln *listener) take() (e event, ok bool) {
	if ln.next == len(ln.events) {
		return e, false
	}
	e = ln.events[ln.next]
	ln.events[ln.next] = event{}
	if ln.next++; ln.next == len(ln.events) {
		ln.events, ln.next = ln.events[:0], 0
	}
	return e, true
}

// Accept implements net.Listener.
func (ln *listener) Accept() (net.Conn, error) {
	ln.mu.Lock()
	defer ln.mu.Unlock()
	for !ln.closed {
		e, ok := ln.take()
		if !ok {
			ln.wake.Wait()
			continue
		}
		if e.what == woken {
			return e.conn, nil
		}
		ln.mu.Unlock()
		ln.hook(e)
		ln.mu.Lock()
	}
	return nil, net.ErrClosed
}

// hook calls the hooks of http.Server for e.
func (ln *listener) hook(e event) {
	s := ln.server
	switch e.what {
	case accepted:
		if s.next.context != nil {
			ctx := s.next.context(ln.ctx, e.conn)
			if ctx == nil {
				panic("web: http.Server.ConnContext returned nil")
			}
			connOf(e.conn).extra().ctx = ctx
		}
		if s.next.state != nil {
			s.next.state(e.conn, http.StateNew)
		}
	case parkedEnded:
		if s.next.state != nil {
			go s.next.state(e.conn, http.StateClosed)
		}
	}
}

// finish takes the events that http.Server does not take any more.
func (ln *listener) finish() {
	ln.mu.Lock()
	defer ln.mu.Unlock()
	for {
		e, ok := ln.take()
		if !ok {
			ln.running = false
			return
		}
		ln.mu.Unlock()
		switch e.what {
		case woken:
			ln.refuse(e.conn)
		default:
			ln.hook(e)
		}
		ln.mu.Lock()
	}
}

// refuse closes a connection that http.Server does not serve because it is shut down.
func (ln *listener) refuse(conn net.Conn) {
	conn.Close()
	if c := connOf(conn); c != nil {
		c.mu.Lock()
		c.drop()
		c.mu.Unlock()
		ln.hook(event{conn, parkedEnded})
	}
}

// Close implements net.Listener. http.Server calls it when it is shut down or closed, with its mutex held.
func (ln *listener) Close() error {
	if ln.end() {
		ln.server.refuses.Store(true)
		ln.server.leaves.Store(true)
		go ln.server.shutDown()
	}
	return nil
}

// end has Accept return, and tells whether it had not been called before.
func (ln *listener) end() bool {
	ln.mu.Lock()
	defer ln.mu.Unlock()
	if ln.closed {
		return false
	}
	ln.closed = true
	ln.wake.Broadcast()
	if ln.next < len(ln.events) {
		ln.running = true
		go ln.finish()
	}
	return true
}

// Addr implements net.Listener.
func (ln *listener) Addr() net.Addr { return ln.known.Addr() }

// shutDown ends the loops because http.Server ends: it knows nothing of the connections that are parked.
func (s *Server) shutDown() {
	s.shutOnce.Do(func() {
		s.endIdleWatch()
		s.Loops.Shutdown(context.Background())
	})
}

// endpointOf returns the endpoint of a connection to the local address addr, nil if its listener is gone.
func (s *Server) endpointOf(addr net.Addr) *endpoint {
	s.mu.Lock()
	defer s.mu.Unlock()
	ln := s.listenerOf(addr)
	switch {
	case ln == nil:
		return nil
	case addr == nil: // it has ended
		return &endpoint{listener: ln}
	}
	var port netip.AddrPort
	if tcp, ok := addr.(*net.TCPAddr); ok {
		port = tcp.AddrPort()
	}
	at := ln.endpoints[port]
	if at == nil {
		at = &endpoint{ln, addr}
		if len(ln.endpoints) < maxEndpoints {
			ln.endpoints[port] = at
		}
	}
	return at
}

// listenerOf returns the listener that brought a connection to addr. mu is held.
func (s *Server) listenerOf(addr net.Addr) *listener {
	if len(s.listeners) == 0 {
		return nil
	}
	best := s.listeners[0]
	if len(s.listeners) == 1 {
		return best
	}
	local, isTCP := addr.(*net.TCPAddr)
	for _, ln := range s.listeners {
		switch known := ln.Addr().(type) {
		case *net.TCPAddr:
			if isTCP && known.Port == local.Port && (known.IP.Equal(local.IP) || known.IP.IsUnspecified()) {
				best = ln
				if known.IP.Equal(local.IP) {
					return ln
				}
			}
		case *net.UnixAddr:
			if !isTCP && addr != nil && known.Name == addr.String() {
				return ln
			}
		}
	}
	return best
}
