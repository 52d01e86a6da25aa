package switchboard

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/switchboard-go/switchboard/internal/engine"
	"github.com/switchboard-go/switchboard/internal/rawio"
	"github.com/switchboard-go/switchboard/socket"
)

// A Server serves connections on event loops. Only Accept is needed to serve; its other fields are optional and must not
// change once it serves or dials. A Server must not be copied, and serves once: after Shutdown or Close it is over.
type Server struct {
	// Accept returns the handler of a new connection, or an error to refuse it: what Accept wrote to it is sent then, as
	// far as the system takes it at once, and the connection is closed. It runs on the connection's loop and must not wait.
	Accept func(c *Conn) (Handler, error)

	// Loops is the number of event loops. 0: as many as GOMAXPROCS says.
	Loops int

	// TLSConfig has every accepted connection speak TLS, as crypto/tls does it with this configuration. The handshake runs
	// beside the loop. Then Accept is called, and the handler serves plain bytes. The configuration needs a certificate:
	// package certs reads them from files. nil: no TLS, but on the listeners of ListenAndServeTLS and ServeTLS and for
	// connections that StartTLS.
	TLSConfig *tls.Config

	// Handshakes is how many TLS handshakes may be under way at once on each loop. Each costs a goroutine and about 30 KB
	// until it is done, and begins only when the client has said hello. When so many wait for their peers, the one that
	// has waited longest is given up for a client that arrives; when they wait for the processor, clients wait in the
	// order of their arrival. 0: 1024.
	Handshakes int

	// HandshakeTimeout limits for how long a TLS handshake waits for the peer, in all. It begins when the connection is
	// accepted, connected by Dial, or by StartTLS. While input of the peer's waits for its turn it stands still. Callbacks
	// of the tls.Config have as much time. 0: 10 seconds. Less than 0: no limit.
	HandshakeTimeout time.Duration

	// Engine carries the loops: one of what Engines returns. "epoll" on Linux, "kqueue" on macOS and the BSDs, "poll" and
	// "select" wait until a connection is ready and then read it. "uring", on Linux 6.12 and later where io_uring is not
	// forbidden, has the kernel receive and send on its own; its loops keep a thread each. "" or "auto": the first of what
	// Engines returns that can be had, which on Linux is "uring" or else "epoll"; what it is and why is logged.
	Engine string

	// MaxConns is how many accepted connections there may be at once. When they are reached accepting pauses: further
	// clients wait in the system's backlog. 0: no limit but the descriptors, at whose end accepting pauses likewise.
	MaxConns int

	// ReadBuffer is how many bytes one connection may bring in one turn of its loop, before the others have theirs; each
	// loop has one buffer of this size, or of InputLimit if that is less. 0: 64 KiB.
	ReadBuffer int

	// InputLimit is how many unconsumed bytes a connection may have, and how many are offered at once. When they are reached
	// it is not read until its handler has consumed some (the engine "uring" may bring four times ReadBuffer more, for all
	// connections of a loop together, before it has stopped); for Frames, whose messages cannot be longer, they end it with
	// ErrTooLong. 0: 1 MiB.
	InputLimit int

	// HighWater is how many bytes a connection's output queue may hold before the connection is no longer read, as what
	// it sends is mostly what its output comes from, and LowWater to how many it must be down before it is read again.
	// 0: 64 KiB, and a quarter of HighWater.
	HighWater, LowWater int

	// QueueLimit is how many bytes the queue may hold at all: a Write beyond it takes nothing and says ErrQueueFull. It is
	// at least HighWater. 0: 1 MiB, or four times HighWater if that is more.
	QueueLimit int

	// IdleTimeout ends a connection with ErrIdle when nothing was received or sent for so long: in order if everything
	// written was sent, else with a reset. 0: never.
	IdleTimeout time.Duration

	// WriteTimeout ends a connection with ErrStalled when output waits and the peer takes none for so long. 0: one
	// minute. Less than 0: never.
	WriteTimeout time.Duration

	// LingerTimeout is how long a closed connection waits for the peer to end its side, see Conn.Close. 0: 5 seconds. Less
	// than 0: not at all.
	LingerTimeout time.Duration

	// HalfCloseTimeout ends a connection with ErrHalfClosed and a reset when its peer has ended its output and nothing moved
	// since for so long. 0: never.
	HalfCloseTimeout time.Duration

	// DialTimeout is how long one address may take to answer Dial. 0: 10 seconds. Less than 0: as long as the system's.
	DialTimeout time.Duration

	// DialControl is given the descriptor of every socket that Dial makes, before it connects: to bind it to an address,
	// or to set options of its own. It may run on any loop, must not wait and must not keep the descriptor. An error is
	// that address's failure to connect. nil: nothing is done.
	DialControl func(fd int) error

	// KeepAlive is after how much silence of a TCP peer the system asks whether it is there still, and how long it waits
	// between two questions; four without an answer end the connection with ETIMEDOUT. It is set on the connections that
	// are accepted and on those of Dial. Where it is not Linux, the system's own times count. 0: 15 seconds. Less than 0:
	// never.
	KeepAlive time.Duration

	// SlowCall is how long a handler may hold its loop before a warning names it, also if it never returns. It is looked
	// for four times in that time, so a call may be a quarter longer before it is seen. 0: 100 ms. Less than 0: no warnings.
	SlowCall time.Duration

	// Logger is told of what a person should look at: panics, slow handlers, the end of descriptors. nil: slog.Default.
	Logger *slog.Logger

	// Trace is told of connections as they come and go, for metrics. nil: nobody is.
	Trace *Trace

	mu        sync.Mutex
	state     serverState
	loops     []*loop
	listeners map[*listener]struct{}
	limits    limits
	trace     *Trace
	watch     *watch        // nil: nobody looks for slow handlers
	next      atomic.Uint32 // the loop that the next listener goes to
	active    atomic.Int64  // connections
	accepted  atomic.Int64  // those of them that were not dialled
	paused    atomic.Int64  // listeners that wait for connections to go
	stopping  atomic.Bool
	running   atomic.Int64  // loops
	ended     chan struct{} // closed when the last loop has ended; nil before there are any
	idle      chan struct{} // made by Shutdown or Close, closed when the last connection is gone
	isIdle    bool
	splices   splices
	kernel    engine.Kernel            // nil: engine.System
	elsewhere func(done func()) func() // nil, or says when a step of a handshake is done: for the simulator
}

type serverState uint8

const (
	serverNew serverState = iota
	serverRunning
	serverStopping
	serverClosed
)

// limits are a Server's fields with their zero values put into words.
type limits struct {
	Loops, MaxConns, Handshakes, ReadBuffer, InputLimit, HighWater, LowWater, QueueLimit                           int
	HandshakeTimeout, IdleTimeout, WriteTimeout, LingerTimeout, DialTimeout, SlowCall, KeepAlive, HalfCloseTimeout time.Duration
	Engine                                                                                                         string

	pipes int // kernel pipes at most, for splicing
}

func (s *Server) resolve() (limits, error) {
	l := limits{
		Loops:            cmp.Or(s.Loops, runtime.GOMAXPROCS(0)),
		MaxConns:         s.MaxConns,
		Handshakes:       cmp.Or(s.Handshakes, 1024),
		HandshakeTimeout: cmp.Or(s.HandshakeTimeout, 10*time.Second),
		ReadBuffer:       cmp.Or(s.ReadBuffer, 64<<10),
		InputLimit:       cmp.Or(s.InputLimit, 1<<20),
		HighWater:        cmp.Or(s.HighWater, 64<<10),
		IdleTimeout:      s.IdleTimeout,
		HalfCloseTimeout: s.HalfCloseTimeout,
		WriteTimeout:     cmp.Or(s.WriteTimeout, time.Minute),
		LingerTimeout:    cmp.Or(s.LingerTimeout, 5*time.Second),
		DialTimeout:      cmp.Or(s.DialTimeout, 10*time.Second),
		SlowCall:         cmp.Or(s.SlowCall, 100*time.Millisecond),
		KeepAlive:        cmp.Or(s.KeepAlive, 15*time.Second),
		Engine:           cmp.Or(s.Engine, "auto"),
	}
	l.LowWater = cmp.Or(s.LowWater, l.HighWater/4)
	l.ReadBuffer = min(l.ReadBuffer, l.InputLimit) // else one read could bring more than the limit
	l.QueueLimit = cmp.Or(s.QueueLimit, max(1<<20, 4*l.HighWater))
	for name, v := range map[string]int{"Loops": s.Loops, "MaxConns": s.MaxConns, "Handshakes": s.Handshakes,
		"ReadBuffer": s.ReadBuffer, "InputLimit": s.InputLimit, "HighWater": s.HighWater, "LowWater": s.LowWater,
		"QueueLimit": s.QueueLimit} {
		if v < 0 {
			return l, fmt.Errorf("switchboard: Server.%s is %d: must not be less than 0", name, v)
		}
	}
	if l.QueueLimit > 1<<30 {
		return l, fmt.Errorf("switchboard: Server.QueueLimit is %d: must not be more than 1 GiB", l.QueueLimit)
	}
	if l.LowWater >= l.HighWater || l.HighWater > l.QueueLimit {
		return l, fmt.Errorf("switchboard: Server.LowWater, HighWater and QueueLimit are %d, %d and %d: must rise",
			l.LowWater, l.HighWater, l.QueueLimit)
	}
	if n := rawio.Descriptors(); n > 0 {
		l.pipes = n / spliceShare / 2
	}
	return l, nil
}

// Engines returns what Server.Engine may name on this system, the one that "auto" takes first.
func Engines() []string { return engine.Names() }

// ListenAndServe serves every connection to address with h until the process ends: Server.ListenAndServe with defaults.
func ListenAndServe(address string, h Handler) error {
	if h == nil {
		return errors.New("switchboard: ListenAndServe: the handler is nil: nobody to serve connections")
	}
	s := &Server{Accept: func(*Conn) (Handler, error) { return h, nil }}
	return s.ListenAndServe(address)
}

// ListenAndServe listens on an address as socket.CreateServer reads it ("127.0.0.1:7007", ":7007", "[::1]:7007", the
// path of a Unix socket, "@abstract") and serves what connects to it until Shutdown or Close. Then it returns
// ErrServerClosed, while Shutdown may still be waiting. One server may listen on several addresses, each call on a
// goroutine of its own.
func (s *Server) ListenAndServe(address string) error {
	return s.listenAndServe(address, s.TLSConfig)
}

func (s *Server) listenAndServe(address string, config *tls.Config) error {
	l, err := socket.CreateServer(address, nil)
	if err != nil {
		return err
	}
	return s.serveSocket(l, config)
}

// ServeSocket serves what connects to a listening stream socket as ListenAndServe does. It takes l over: nobody else may
// use it, and it is closed when ServeSocket returns.
func (s *Server) ServeSocket(l *socket.Socket) error { return s.serveSocket(l, s.TLSConfig) }

func (s *Server) serveSocket(l *socket.Socket, config *tls.Config) error {
	defer l.Close()
	addr, err := l.LocalAddr()
	if err != nil {
		return err
	}
	ln := &listener{line: engine.Listener{FD: l.FD()}, addr: &net.UnixAddr{Name: addr.Path(), Net: "unix"}, tls: config}
	if addr.Family() != socket.AF_UNIX {
		ln.addr = net.TCPAddrFromAddrPort(addr.AddrPort())
	}
	return s.serve(ln)
}

// Serve serves what connects to l as ListenAndServe does, and closes l when it returns. l must have a descriptor: a
// *net.TCPListener or *net.UnixListener. If somebody else closes it, Serve returns an error that is net.ErrClosed, within
// a second; the connections live on.
//
// The options that accepted connections inherit are set on l: TCP_NODELAY, and SO_KEEPALIVE with its times.
func (s *Server) Serve(l net.Listener) error { return s.serveListener(l, s.TLSConfig) }

func (s *Server) serveListener(l net.Listener, config *tls.Config) error {
	defer l.Close()
	ln, err := copyOf(l)
	if err != nil {
		return err
	}
	defer rawio.Close(ln.line.FD)
	ln.tls = config
	return s.serve(ln)
}

// run starts the loops if they do not run yet.
func (s *Server) run() ([]*loop, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch s.state {
	case serverRunning:
		return s.loops, nil
	case serverStopping, serverClosed:
		return nil, ErrServerClosed
	}
	var err error
	if s.limits, err = s.resolve(); err != nil {
		return nil, err
	}
	s.trace = s.Trace
	if s.limits.SlowCall > 0 {
		s.watch = newWatch(s, s.limits.SlowCall)
	}
	for i := range s.limits.Loops {
		l, err := newLoop(s, i, &s.limits)
		if err != nil {
			for _, l := range s.loops {
				l.engine.Close()
			}
			s.loops = nil
			return nil, err
		}
		s.loops = append(s.loops, l)
	}
	s.tellEngine()
	s.listeners = map[*listener]struct{}{}
	s.state = serverRunning
	s.running.Store(int64(len(s.loops)))
	s.ended = make(chan struct{})
	for _, l := range s.loops {
		go l.run()
	}
	if s.watch != nil {
		go s.watch.run()
	}
	return s.loops, nil
}

// tellEngine logs what engine was chosen and why: once, unless the loops did not all get the same.
func (s *Server) tellEngine() {
	told := ""
	for _, l := range s.loops {
		if name := l.engine.Name(); l.why != "" && name != told {
			told = name
			s.logger().Debug("the event loops' engine is chosen", "engine", name, "loop", l.number, "why", l.why)
		}
	}
}

// quietest returns the loop with the fewest connections, l if it is among them.
func (s *Server) quietest(l *loop) *loop {
	for _, other := range s.loops {
		if l == nil || other.active.Load() < l.active.Load() {
			l = other
		}
	}
	return l
}

func (s *Server) logger() *slog.Logger { return cmp.Or(s.Logger, slog.Default()) }
