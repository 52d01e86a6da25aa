package switchboard

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/switchboard-go/switchboard/internal/engine"
	"github.com/switchboard-go/switchboard/internal/rawio"
	"github.com/switchboard-go/switchboard/socket"
)

// A Server serves connections on event loops. To accept connections it needs a Handler or Accept. All other fields are
// optional; they must not change after the server has begun to serve or to dial. A Server must not be copied. It serves
// once: after Shutdown or Close it cannot serve again.
type Server struct {
	// Handler serves every accepted connection for which Accept returns no other handler.
	Handler Handler

	// Accept chooses the handler of a new connection. Nil as the handler means Server.Handler. An error refuses the
	// connection: what Accept has written to it is sent, and then it is closed. Accept runs on the loop of the connection
	// and must not wait. If the field is nil, Handler serves every connection.
	Accept func(c *Conn) (Handler, error)

	// Admission decides about every accepted connection before TLS begins and before Accept is called: each Admitter in
	// order. If it is empty, every connection is admitted.
	Admission []Admitter

	// Listening is called with the address of each listener when it is ready to accept. If port 0 was requested, the
	// address has the port that the system chose. It runs on the goroutine that called ListenAndServe, Serve or
	// ServeSocket; accepting begins when it returns. It may be nil.
	Listening func(addr net.Addr)

	// Loops is the number of event loops. Zero means GOMAXPROCS.
	Loops int

	// TLSConfig makes every accepted connection speak TLS, as crypto/tls does with this configuration. It needs a
	// certificate; package certs reads certificates from files. The handshake does not run on the loop. When it is
	// complete, Accept is called, and the handler reads and writes plaintext. With a nil TLSConfig, TLS is spoken only on
	// the listeners of ListenAndServeTLS and ServeTLS, and on connections that call StartTLS.
	TLSConfig *tls.Config

	// Handshakes limits the TLS handshakes that are in progress at once on one loop. Each needs a goroutine and about 30
	// KB. A handshake begins when the first message of the client has arrived. When the limit is reached and clients are
	// waiting, the handshake that has waited longest for its peer is ended to make room. Handshakes that wait for the
	// processor take their turns in order of arrival. Zero means 1024.
	Handshakes int

	// HandshakeTimeout limits how long a TLS handshake waits for the peer, in total. For accepted connections it starts
	// when the connection is accepted, for dialled ones when TCP is connected, and for StartTLS with the call. Time in
	// which received bytes wait for the processor does not count. A callback of the tls.Config has the same limit, and what
	// Admission waits for counts as well. Zero means 10 seconds; a negative value means no limit.
	HandshakeTimeout time.Duration

	// Engine names the mechanism of the event loops: one of Engines, or "auto". "epoll" (Linux), "kqueue" (macOS and the
	// BSDs), "afd" (Windows), "poll" and "select" wait until a connection is ready and then read it. With "uring"
	// (io_uring, Linux 6.12 and later) the kernel receives and sends by itself, and each loop keeps a thread, which Go
	// preempts only where a handler calls a function. Empty means "auto": the first of Engines that this system provides.
	// Stats tells which one it is and why.
	Engine string

	// MaxConns limits the accepted connections that are open at once. When it is reached, the server stops accepting until
	// a connection ends; clients wait in the backlog of the system. Zero means no limit. When the process has no
	// descriptors left, accepting stops in the same way.
	MaxConns int

	// ReadBuffer is how many bytes one connection may deliver before the loop serves the next one. Each loop has one
	// buffer of this size. It is never larger than InputLimit. Zero means 64 KiB.
	ReadBuffer int

	// InputLimit is how many received bytes a connection may hold that its handler has not consumed. It is also the most
	// that is offered at once. When it is reached, the connection is not read until the handler has consumed some; a
	// connection of Frames ends with ErrTooLong instead. With the engine "uring" the connections of a loop may together
	// exceed it by four times ReadBuffer. Zero means 1 MiB.
	InputLimit int

	// HighWater and LowWater bound the output queue of a connection, in bytes. When the queue reaches HighWater the loop
	// stops reading the connection; it reads again when the queue has drained to LowWater. Zero means 64 KiB and a quarter
	// of HighWater.
	HighWater, LowWater int

	// QueueLimit is the most that the output queue may hold, in bytes. A Write that would exceed it takes nothing and
	// returns ErrQueueFull. It must not be less than HighWater. Zero means 1 MiB, or four times HighWater if that is more.
	// Three things may exceed it: 16 KiB that "uring" had passed to the kernel and the kernel gave back; over TLS, the
	// encryption of 64 KiB and the answers that TLS itself sends, up to HighWater and what one turn brings; and the 256 KiB
	// that a Pipe splices.
	QueueLimit int

	// MemoryLimit bounds the memory of all connections together, in bytes: input that is not consumed, output queues, what
	// TLS needs, and what handlers add with Conn.CountMemory. Each loop has an equal share. When three quarters of a share
	// are in use, the loop does not read the connections that hold more than the average for a second. If that does not
	// help, or the whole share is in use, the heaviest connections end with ErrMemory and a reset. The heap needs about twice
	// as much until the next collection; SetMemoryLimit of package debug bounds that. Zero means no limit. Any other value
	// must be at least 1 MiB for each loop.
	MemoryLimit int64

	// IdleTimeout ends a connection with ErrIdle when no byte was received or sent for this time. The end is orderly if
	// all output was sent, otherwise it is a reset. Zero means no limit. If HalfCloseTimeout is over at the same time, that
	// decides.
	IdleTimeout time.Duration

	// MessageTimeout limits the time for one message. It ends a connection with ErrMessageTimeout and a reset when the
	// handler has been offered bytes and has consumed none for this time, no matter how often more bytes arrive. The time
	// does not run while the connection is paused or its output queue is full. Over TLS an incomplete record counts as an
	// incomplete message. It does not limit Blocking, whose function sets deadlines. Zero means no limit.
	MessageTimeout time.Duration

	// WriteTimeout ends a connection with ErrStalled and a reset when output is waiting and the peer has taken none of it
	// for this time. Zero means one minute; a negative value means no limit.
	WriteTimeout time.Duration

	// LingerTimeout is how long a connection that was closed in order waits for the peer to close its side, see
	// Conn.Close. Zero means 5 seconds; a negative value means that it does not wait.
	LingerTimeout time.Duration

	// HalfCloseTimeout ends a connection with ErrHalfClosed and a reset when its peer has ended its output and no byte was
	// received or sent for this time. Zero means no limit.
	HalfCloseTimeout time.Duration

	// DialTimeout limits how long Dial waits for one address to answer. Zero means 10 seconds; a negative value means the
	// limit of the system.
	DialTimeout time.Duration

	// DialControl is called with the descriptor of every socket that Dial creates, before it connects: to bind it to an
	// address or to set options. An error makes connecting to that address fail. It may run on any loop, must not wait,
	// and must not keep the descriptor. It may be nil.
	DialControl func(fd int) error

	// KeepAlive sets TCP keep-alive for accepted and dialled connections. After this time of silence the system sends a
	// probe, and further probes at the same interval. Four probes without an answer end the connection with ETIMEDOUT. On
	// systems other than Linux the interval and the count are those of the system. Zero means 15 seconds; a negative value
	// means no keep-alive.
	KeepAlive time.Duration

	// PlainReply returns what a client of a TLS listener is sent, in plaintext, when it does not speak TLS; net/http answers
	// an HTTP request that way. first is the first five bytes of the client; it is valid until PlainReply returns. It runs on
	// the loop of the connection. If it returns no bytes or is nil, the connection ends without an answer.
	PlainReply func(first []byte) []byte

	// SlowCall is how long a call of a handler may occupy its loop before a warning is logged that names the handler. The
	// warning also comes if the call never returns. It may come a quarter of the time late. Zero means 100 ms; a negative
	// value means no warnings.
	SlowCall time.Duration

	// SampleCalls makes the loops measure how long each of their turns takes, and one in so many calls of handlers: see
	// Stats.Turns and Stats.Calls. A measured call costs two readings of the clock, about 0.1 µs; a turn costs one. Zero
	// measures nothing and costs nothing.
	SampleCalls int

	// Logger receives errors and warnings: panics, slow handlers, a lack of descriptors. What it receives at Debug level
	// is for finding faults: failed connections, the choice of the engine. Nothing is logged at Info level. Nil means
	// slog.Default().
	Logger *slog.Logger

	// Trace has functions that are called when connections open and close, for metrics and logs. It may be nil.
	Trace *Trace

	// LeaveTime is the time over which Shutdown asks the connections to leave that a Handover has left here, one after the other,
	// so that their clients do not all come back at once. Zero means that all are asked at once.
	LeaveTime time.Duration

	// Moved makes the handler of a connection that Takeover receives, of what its Mover in the other process said. It runs on
	// the loop of c, which is not served yet: Moved may call After and SetValue, and what it writes is sent when the
	// connection has come over. If the handover fails, the handler's Closed is called, with ErrNotMoved, and the peer notices
	// nothing. An error leaves the connection in the other process, which goes on serving it. If Moved is nil, only Pipes
	// whose handlers have nothing to say come over.
	Moved func(c *Conn, from HandlerState) (Handler, error)

	// Shared is what the handlers share and what moves with their connections, in Handover and Takeover. It may be nil.
	Shared Shared

	mu           sync.Mutex
	state        serverState
	loops        []*loop
	listeners    map[*listener]struct{}
	origins      atomic.Pointer[[]*origin] // of connections, replaced under mu; the first is Dial
	limits       limits
	trace        *Trace
	watch        *watch        // nil: nobody looks for slow handlers
	next         atomic.Uint32 // the loop that the next listener goes to
	active       atomic.Int64  // connections
	accepted     atomic.Int64  // those of them that were not dialled
	paused       atomic.Int64  // listeners that wait for connections to go
	stopping     atomic.Bool
	running      atomic.Int64  // loops
	ended        chan struct{} // closed when the last loop has ended; nil before there are any
	idle         chan struct{} // made by Shutdown or Close, closed when the last connection is gone
	isIdle       bool
	splices      splices
	handedOver   atomic.Bool
	stopped      chan struct{}            // closed when no listener is left to come; nil: nobody has asked
	handing      chan struct{}            // has one item while a Handover or a Takeover runs
	misfitLogged atomic.Bool              // the log knows of a handler from Accept that cannot serve
	kernel       engine.Kernel            // nil: engine.System
	elsewhere    func(done func()) func() // nil, or says when a step of a handshake is done: for the simulator

	// lookup is net.Resolver.LookupNetIP; nil: of net.DefaultResolver.
	lookup func(ctx context.Context, network, host string) ([]netip.Addr, error)
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
	MessageTimeout                                                                                                 time.Duration
	MemoryLimit                                                                                                    int64
	SampleCalls                                                                                                    int
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
		MemoryLimit:      s.MemoryLimit,
		SampleCalls:      s.SampleCalls,
		MessageTimeout:   s.MessageTimeout,
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
		"QueueLimit": s.QueueLimit, "SampleCalls": s.SampleCalls} {
		if v < 0 {
			return l, fmt.Errorf("switchboard: Server.%s is %d: must not be less than 0", name, v)
		}
	}
	if least := int64(l.Loops) << 20; l.MemoryLimit != 0 && l.MemoryLimit < least {
		return l, fmt.Errorf("switchboard: Server.MemoryLimit is %d: must be 0 or at least %d, which is 1 MiB for each loop",
			l.MemoryLimit, least)
	}
	if n := len(s.Admission); n > mostAdmitters || slices.Contains(s.Admission, nil) {
		return l, fmt.Errorf("switchboard: Server.Admission has %d Admitters: must be at most %d, none of them nil", n, mostAdmitters)
	}
	if l.QueueLimit > 1<<30 {
		return l, fmt.Errorf("switchboard: Server.QueueLimit is %d: must not be more than 1 GiB", l.QueueLimit)
	}
	if l.LowWater >= l.HighWater || l.HighWater > l.QueueLimit {
		return l, fmt.Errorf("switchboard: Server.LowWater, HighWater and QueueLimit are %d, %d and %d: must rise",
			l.LowWater, l.HighWater, l.QueueLimit)
	}
	if l.Engine != "auto" && l.Engine != "uring" && !slices.Contains(Engines(), l.Engine) { // what lacks for uring is told later
		return l, fmt.Errorf("switchboard: Server.Engine is %q: the engines of this system are auto, %s", l.Engine,
			strings.Join(Engines(), ", "))
	}
	if n := rawio.Descriptors(); n > 0 {
		l.pipes = n / spliceShare / 2
	}
	return l, nil
}

// Engines returns the engines that this system provides, in order of preference. Server.Engine can name any of them.
func Engines() []string { return engine.Names() }

// ListenAndServe serves every connection to address with h, on a Server with default settings. It returns only with an
// error. See Server.ListenAndServe.
func ListenAndServe(address string, h Handler) error {
	if h == nil {
		return errors.New("switchboard: ListenAndServe: the handler is nil: nobody to serve connections")
	}
	return (&Server{Handler: h}).ListenAndServe(address)
}

// ListenAndServe listens on address and serves its connections until Shutdown or Close. Then it returns ErrServerClosed,
// while Shutdown may still be waiting for connections. The address is a TCP address ("127.0.0.1:7007", ":7007",
// "[::1]:7007"), the path of a Unix socket, or the name of an abstract one ("@name"), as socket.CreateServer reads it. One
// server can listen on several addresses: call it once for each, on goroutines of their own.
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

// ServeSocket is ListenAndServe on a stream socket that is listening already. ServeSocket owns l: no one else may use it,
// and it is closed when ServeSocket returns.
func (s *Server) ServeSocket(l *socket.Socket) error { return s.serveSocket(l, s.TLSConfig) }

func (s *Server) serveSocket(l *socket.Socket, config *tls.Config) error {
	var ln *listener
	defer func() {
		if ln != nil && ln.handed { // the file of a Unix socket is another process's
			l.SetTimeout(0) // Detach would make the descriptor blocking, the other process's too
			if fd, err := l.Detach(); err == nil {
				rawio.Close(fd)
			}
			return
		}
		l.Close()
	}()
	addr, err := l.LocalAddr()
	if err != nil {
		return err
	}
	ln = &listener{line: engine.Listener{FD: l.FD()}, addr: &net.UnixAddr{Name: addr.Path(), Net: "unix"}, tls: config}
	if addr.Family() != socket.AF_UNIX {
		ln.addr = net.TCPAddrFromAddrPort(addr.AddrPort())
	}
	return s.serve(ln)
}

// Serve is ListenAndServe on a net.Listener. l must have a descriptor, as a *net.TCPListener and a *net.UnixListener have.
// Serve closes l when it returns. If another goroutine closes l, Serve returns an error that is net.ErrClosed, within a
// second; the connections stay open.
//
// Serve sets the options on l that accepted connections inherit: TCP_NODELAY and SO_KEEPALIVE.
func (s *Server) Serve(l net.Listener) error { return s.serveListener(l, s.TLSConfig) }

func (s *Server) serveListener(l net.Listener, config *tls.Config) error {
	defer l.Close()
	ln, err := copyOf(l)
	if err != nil {
		return err
	}
	defer rawio.Close(ln.line.FD)
	ln.tls = config
	err = s.serve(ln)
	if u, ok := l.(*net.UnixListener); ok && ln.handed {
		u.SetUnlinkOnClose(false) // the file is another process's
	}
	return err
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
	if err := s.limits.check(s.Handler); err != nil {
		return nil, err
	}
	s.trace = s.Trace
	if s.limits.SlowCall > 0 {
		s.watch = newWatch(s, s.limits.SlowCall)
	}
	s.origins.Store(&[]*origin{newOrigin(nil, s.limits.Loops)})
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
	s.handing = make(chan struct{}, 1)
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

// Addrs returns the addresses of the listeners that are accepting, in the order in which they began. Any goroutine may
// call it.
func (s *Server) Addrs() []net.Addr {
	s.mu.Lock()
	listeners := slices.SortedFunc(maps.Keys(s.listeners), func(a, b *listener) int { return cmp.Compare(a.number, b.number) })
	s.mu.Unlock()
	var addrs []net.Addr
	for _, ln := range listeners {
		addrs = append(addrs, ln.addr)
	}
	return addrs
}

// Conns iterates over the connections of the server, accepted and dialled, including those that are still connecting or in
// a TLS handshake. It iterates over a snapshot of each loop: connections that open later are missing, and some may have
// ended. Any goroutine may call it. Use Conn.Do for what belongs to the loop of a connection.
func (s *Server) Conns() iter.Seq[*Conn] {
	return func(yield func(*Conn) bool) {
		s.mu.Lock()
		loops := s.loops
		s.mu.Unlock()
		for _, l := range loops {
			for _, c := range l.snapshot() {
				if !yield(c) {
					return
				}
			}
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

// Do schedules f to run on one loop, numbered as by Conn.Loop, for work that concerns many connections of it. It does not
// wait for f. f must not wait; if it panics, the panic is logged. If the server has not begun, or has ended, or there is
// no such loop, Do returns an error that is net.ErrClosed. Any goroutine may call it.
func (s *Server) Do(loop int, f func()) error {
	s.mu.Lock()
	loops := s.loops
	s.mu.Unlock()
	if loop < 0 || loop >= len(loops) || !loops[loop].give(task{f: func() { loops[loop].guard(f) }}) {
		return fmt.Errorf("switchboard: do on loop %d: %w", loop, net.ErrClosed)
	}
	return nil
}

// guard calls f, and logs its panic. After runtime.Goexit the loop goes on on another goroutine.
func (l *loop) guard(f func()) {
	returned := false
	l.guarding.Store(true)
	defer func() {
		l.guarding.Store(false)
		if v := recover(); v != nil {
			l.server.logger().Error("a function given to Do panicked", "panic", v, "stack", string(debug.Stack()))
		} else if !returned {
			l.exiting = true
		}
	}()
	f()
	returned = true
}

func (s *Server) logger() *slog.Logger { return cmp.Or(s.Logger, slog.Default()) }
