package web

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/socket"
)

// A Server runs an http.Server on event loops. The zero value serves http.DefaultServeMux with one loop for each
// processor. Do not change the fields, nor those of HTTP and Loops, once it serves. Do not copy a Server. It serves
// once, until Shutdown or Close of HTTP or of Loops. Any goroutine may call its methods.
type Server struct {
	// HTTP serves the requests. Its hooks BaseContext, ConnContext and ConnState are wrapped when serving begins. nil
	// means a zero http.Server.
	HTTP *http.Server

	// Loops accepts the connections and carries their bytes. nil means a zero switchboard.Server. Accept must be nil:
	// Other chooses what is not HTTP. IdleTimeout and HalfCloseTimeout do not apply while a request is served; the timeouts
	// of HTTP apply as well. An InputLimit of 0 means what HTTP.MaxHeaderBytes needs. An Engine of "" means the best
	// readiness engine ("epoll" on Linux): it wakes the goroutines of net/http with less work than "uring".
	Loops *switchboard.Server

	// Other is asked, as switchboard.Server.Accept is, who serves a new connection that is not HTTP, such as those that come to another
	// address. A nil Handler means that the connection is HTTP. Other may be nil.
	Other func(c *switchboard.Conn) (switchboard.Handler, error)

	// ParkAfter is how long a busy connection keeps its goroutine and buffers after an answer, while it waits for the
	// next request. Then it is parked. Parking and waking together cost up to half of a request. A connection is
	// busy if its requests follow each other within ParkAfter, or if those of most others do and at most 1000
	// connections have goroutines. Other connections are parked at once, or after a fiftieth of ParkAfter if the request
	// was their first. 0 means 250 milliseconds. A negative value means that connections are not parked after their
	// first request.
	ParkAfter time.Duration

	// FreeMemory runs the garbage collector and returns memory to the system when the last connection has given up
	// its goroutine. It collects the whole program, and takes at most 1 percent of the time. Use it in programs that
	// mostly hold idle connections and do little else. Without it, this happens only while a collection is cheap: the
	// heap has at most 64 MiB and 4 KiB for each connection, and the collector is not off (GOGC=off). Otherwise the
	// runtime does the same some minutes later.
	FreeMemory bool

	once   sync.Once
	failed error // what begin returned

	// What begin makes of the fields.
	known       bool          // net/http does what reading and parking rely on
	parkAfter   time.Duration // 0: connections are not parked
	headerLimit int           // bytes at which a header is given to net/http, complete or not
	highWater   int
	queueLimit  int
	next        struct { // the user's hooks
		base    func(net.Listener) context.Context
		context func(context.Context, net.Conn) context.Context
		state   func(net.Conn, http.ConnState)
	}

	refuses       atomic.Bool // http.Server serves no more requests
	leaves        atomic.Bool // the loops are being shut down, or http.Server is
	keepsIdle     atomic.Bool // http.Server is told that answers are the last, and closes what is idle, which is not to be
	lastOnce      sync.Once   // has every answer be its connection's last
	shutOnce      sync.Once
	needlessParks atomic.Int64 // connections that were parked and came back within parkAfter, less those that came later
	idleWatch     atomic.Pointer[idleWatch]
	release       memoryRelease

	mu        sync.Mutex
	listeners []*listener
	open      int // connections
}

// ListenAndServe listens on the TCP address HTTP.Addr, or ":http" if that is empty, and calls Serve. Its error is
// never nil: http.ErrServerClosed after Shutdown or Close.
func (s *Server) ListenAndServe() error {
	l, err := s.listen(":http")
	if err != nil {
		return err
	}
	return s.Serve(l)
}

// ListenAndServeTLS is ListenAndServe over TLS, on ":https" if HTTP.Addr is empty. See ServeTLS.
func (s *Server) ListenAndServeTLS(certFile, keyFile string) error {
	l, err := s.listen(":https")
	if err != nil {
		return err
	}
	return s.ServeTLS(l, certFile, keyFile)
}

func (s *Server) listen(otherwise string) (net.Listener, error) {
	if s.HTTP == nil {
		s.HTTP = new(http.Server)
	}
	return net.Listen("tcp", cmp.Or(s.HTTP.Addr, otherwise))
}

// Serve accepts HTTP connections from l until Shutdown or Close, and closes l. l is a *net.TCPListener or
// *net.UnixListener. If Loops has a TLSConfig it serves HTTPS. A Server may serve several listeners, each in its own
// goroutine. The error is never nil: http.ErrServerClosed after Shutdown or Close.
func (s *Server) Serve(l net.Listener) error {
	defer l.Close()
	if err := s.begin(nil); err != nil {
		return err
	}
	return s.serve(l, func() error { return s.Loops.Serve(l) })
}

// ServeTLS is Serve over TLS with HTTP.TLSConfig. It uses the files as http.Server.ServeTLS does: they may be "" if
// the configuration has a certificate. The least of HTTP.ReadHeaderTimeout, ReadTimeout and WriteTimeout limits a
// handshake, as in net/http; if none is set, Loops.HandshakeTimeout does.
func (s *Server) ServeTLS(l net.Listener, certFile, keyFile string) error {
	defer l.Close()
	if err := s.begin(&certificate{certFile, keyFile}); err != nil {
		return err
	}
	return s.serve(l, func() error { return s.Loops.Serve(l) })
}

// ServeSocket is Serve for a listening stream socket. It owns the socket and closes it.
func (s *Server) ServeSocket(l *socket.Socket) error {
	defer l.Close()
	if err := s.begin(nil); err != nil {
		return err
	}
	addr, err := l.LocalAddr()
	if err != nil {
		return err
	}
	var known net.Addr = &net.UnixAddr{Name: addr.Path(), Net: "unix"}
	if addr.Family() != socket.AF_UNIX {
		known = net.TCPAddrFromAddrPort(addr.AddrPort())
	}
	return s.serve(addressOnly{known}, func() error { return s.Loops.ServeSocket(l) })
}

// serve runs http.Server.Serve for the connections that accept brings from the listener known to the user as l.
func (s *Server) serve(l net.Listener, accept func() error) error {
	ln := &listener{server: s, known: l, started: make(chan struct{}), endpoints: map[netip.AddrPort]*endpoint{}}
	ln.wake.L = &ln.mu
	s.mu.Lock()
	s.listeners = append(s.listeners, ln)
	s.mu.Unlock()
	over := make(chan error, 1)
	go func() { over <- s.HTTP.Serve(ln) }()
	select {
	case <-ln.started:
	case err := <-over:
		s.remove(ln)
		return err
	}
	s.startIdleWatch(ln)
	err := accept()
	if err == switchboard.ErrServerClosed {
		s.leave()
		err = http.ErrServerClosed
	}
	s.mu.Lock()
	ln.ended = true
	s.mu.Unlock()
	s.endServing()
	return err
}

// endServing ends http.Server.Serve for the listeners that bring no more connections, once there is none left.
func (s *Server) endServing() {
	s.mu.Lock()
	var over []*listener
	if s.open == 0 {
		for _, ln := range s.listeners {
			if ln.ended {
				over = append(over, ln)
			}
		}
	}
	last := len(over) > 0 && len(over) == len(s.listeners)
	s.mu.Unlock()
	for _, ln := range over {
		s.remove(ln)
		ln.end()
	}
	if last {
		s.endIdleWatch()
	}
}

func (s *Server) remove(ln *listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, other := range s.listeners {
		if other == ln {
			s.listeners = append(s.listeners[:i:i], s.listeners[i+1:]...)
			return
		}
	}
}

// begin prepares HTTP and Loops, once. cert says which files ServeTLS was given; nil is for Serve.
func (s *Server) begin(cert *certificate) error {
	s.once.Do(func() { s.failed = s.prepare(cert) })
	if s.failed != nil {
		return s.failed
	}
	if cert != nil && s.Loops.TLSConfig == nil {
		return errors.New("web: ServeTLS: the loops serve plain connections already: use a Server of its own for TLS")
	}
	return nil
}

func (s *Server) prepare(cert *certificate) error {
	if s.HTTP == nil {
		s.HTTP = new(http.Server)
	}
	if s.Loops == nil {
		s.Loops = new(switchboard.Server)
	}
	if s.Loops.Accept != nil {
		return errors.New("web: Server.Loops.Accept is not nil: set Server.Other for connections of another protocol")
	}
	if err := s.secure(cert); err != nil {
		return err
	}
	s.Loops.Accept = s.accept
	if s.Loops.Engine == "" {
		s.Loops.Engine = readiness()
	}
	s.headerLimit = slop + http.DefaultMaxHeaderBytes
	if s.HTTP.MaxHeaderBytes > 0 {
		s.headerLimit = slop + s.HTTP.MaxHeaderBytes
	}
	if s.Loops.InputLimit == 0 {
		s.Loops.InputLimit = max(1<<20, s.headerLimit)
	}
	s.headerLimit = min(s.headerLimit, s.Loops.InputLimit)
	s.highWater = cmp.Or(s.Loops.HighWater, 64<<10)
	s.queueLimit = cmp.Or(s.Loops.QueueLimit, max(1<<20, 4*s.highWater))
	s.parkAfter = max(0, cmp.Or(s.ParkAfter, 250*time.Millisecond))
	err := checkNetHTTP()
	if s.known = err == nil; !s.known && s.parkAfter > 0 {
		s.parkAfter = 0
		cmp.Or(s.Loops.Logger, slog.Default()).Warn("idle connections keep their goroutines: "+
			"this net/http is not as the parking needs it", "error", err)
	}
	s.wrapHooks()
	return nil
}

// readiness returns the name of the best engine that is not a completion engine.
func readiness() string {
	for _, name := range switchboard.Engines() {
		if name != "uring" {
			return name
		}
	}
	return ""
}

// slop is how many bytes more than MaxHeaderBytes net/http reads of a header before it is too long.
const slop = 4 << 10

// headerTimeout is http.Server's rule; 0 means no timeout.
func (s *Server) headerTimeout() time.Duration {
	return max(0, cmp.Or(s.HTTP.ReadHeaderTimeout, s.HTTP.ReadTimeout))
}

// An addressOnly stands for a listening socket where the user expects a net.Listener.
type addressOnly struct{ addr net.Addr }

func (l addressOnly) Addr() net.Addr { return l.addr }
func (l addressOnly) Close() error   { return nil }
func (l addressOnly) Accept() (net.Conn, error) {
	return nil, fmt.Errorf("accept %v: the event loops do", l.addr)
}
