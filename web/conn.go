package web

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/switchboard-go/switchboard"
)

// A Conn is a connection of a Server, as http.Hijacker.Hijack returns it and the hooks of http.Server receive it.
type Conn interface {
	net.Conn
	io.ReaderFrom

	// CloseWrite ends the output, as (*net.TCPConn).CloseWrite does. Reading continues.
	CloseWrite() error

	// Loop gives a hijacked connection back to its loop. begin runs on the loop and returns the switchboard.Handler
	// that serves the connection from then on; an error of begin ends the connection. After Loop the net.Conn is not
	// usable.
	//
	// ahead is the bytes that were read but not used: those in the bufio.Reader of Hijack. The handler receives them
	// first, then all that was received and not read. Bytes that were written before are sent first.
	//
	// Loop returns an error if the connection was not hijacked, is closed, or was given back before. No Read or Write
	// may be in progress.
	Loop(ahead []byte, begin func(c *switchboard.Conn) (switchboard.Handler, error)) error
}

// A conn is a connection as net/http knows it: the same one each time that it is woken.
//
//	state      who has it                  what ends the state
//	parked     its loop; net/http does     a whole header, or what net/http must judge → serving;
//	           not know it                 the peer's end, a timeout → gone
//	serving    net/http: it reads,         the answer is sent and nothing is left in net/http's buffer → idling;
//	           handles or answers          Hijack → taken; Close, the peer's reset → gone
//	idling     net/http, waiting in Read   a whole header → serving; ParkAfter → parking; a timeout, Close → serving
//	parking    net/http, which was told    net/http has closed it: nothing was received → parked, else returning
//	           that the input has ended
//	returning  nobody                      its loop takes back what was received → parked
//	taken      who hijacked it             Loop, Close → gone
//	gone       nobody
//
// Only http.Server's goroutine leaves serving, idling and parking, apart from gone, which the loop may enter at any time.
type conn struct {
	sc   *switchboard.Conn
	from *endpoint
	more atomic.Pointer[extra]

	mu    sync.Mutex
	s     *session      // nil while it is parked
	at    time.Duration // since epoch, when it was parked, or, if one has begun, when its request began
	scan  headerScan    // of that request, while it is parked
	state state
	again bool // it has been served before
	begun bool // a request is coming
	quick bool // its requests follow each other quickly
	late  bool // the time for its request is over
	left  bool // Leaving was told; the loop's
	given bool // Loop was called
}

// An extra is what a connection has only if its server has hooks or timeouts.
type extra struct {
	ctx   context.Context    // of ConnContext
	timer *switchboard.Timer // of the request that is awaited or has begun; the loop's
}

type state uint8

const (
	parked state = iota
	serving
	idling
	parking
	returning
	taken
	gone
)

// epoch is when conn.at begins.
var epoch = time.Now()

// A tlsConn is a conn that speaks TLS. net/http fills Request.TLS for what has the method, so a plain conn must not.
type tlsConn struct{ *conn }

// ConnectionState is (*tls.Conn).ConnectionState.
func (c tlsConn) ConnectionState() (state tls.ConnectionState) {
	if known := c.sc.TLS(); known != nil {
		state = *known
	}
	return state
}

// connOf returns the conn that a net.Conn is, nil if it is another one.
func connOf(nc net.Conn) *conn {
	switch c := nc.(type) {
	case *conn:
		return c
	case tlsConn:
		return c.conn
	}
	return nil
}

// shown returns c as net/http and its user know it.
func (c *conn) shown() net.Conn {
	if c.from.server.Loops.TLSConfig != nil {
		return tlsConn{c}
	}
	return c
}

// accept is the switchboard.Server's Accept.
func (s *Server) accept(sc *switchboard.Conn) (switchboard.Handler, error) {
	if s.Other != nil {
		if h, err := s.Other(sc); h != nil || err != nil {
			return h, err
		}
	}
	return s.acceptHTTP(sc)
}

func (s *Server) acceptHTTP(sc *switchboard.Conn) (switchboard.Handler, error) {
	from := s.endpointOf(sc.LocalAddr())
	if s.refuses.Load() || from == nil {
		return nil, http.ErrServerClosed
	}
	c := &conn{sc: sc, from: from}
	sc.SetValue(c)
	sc.KeepReading(true) // a handler may write all the time, and read what comes meanwhile: see receive for what bounds that
	if d := s.headerTimeout(); d > 0 {
		c.begin()
		c.expireAfter(d)
	}
	s.mu.Lock()
	s.open++
	s.mu.Unlock()
	if s.next.state != nil || s.next.context != nil {
		c.from.tell(c.shown(), accepted)
	}
	return connHandler{s}, nil
}

// forget is told, once for each connection, that it is no longer one of s.
func (s *Server) forget() {
	s.mu.Lock()
	s.open--
	last := s.open == 0
	s.mu.Unlock()
	if last {
		s.endServing()
	}
}

// extra may be called from any goroutine.
func (c *conn) extra() *extra {
	if more := c.more.Load(); more != nil {
		return more
	}
	c.more.CompareAndSwap(nil, new(extra))
	return c.more.Load()
}

// LocalAddr implements net.Conn.
func (c *conn) LocalAddr() net.Addr { return c.from.local }

// RemoteAddr implements net.Conn.
func (c *conn) RemoteAddr() net.Addr { return c.sc.RemoteAddr() }

// Close implements net.Conn: what was written is still sent. When net/http closes c because it is to be parked, c is not
// closed; if somebody else closes it meanwhile, it is.
func (c *conn) Close() error {
	if c.from.server.keepsIdle.Load() && calledBy("net/http.(*Server).closeIdleConns") {
		return nil
	}
	c.mu.Lock()
	if c.given { // it is another handler's
		c.mu.Unlock()
		return c.failure("close", net.ErrClosed)
	}
	if s := c.s; s != nil {
		if c.state == parking {
			if s.closes++; s.closes == 1 {
				c.mu.Unlock()
				return nil
			}
		}
		s.closed = true
		s.wakeUsers()
	}
	if c.state == parked || c.state == returning {
		c.endParked()
	}
	failed := c.state == serving && (c.s.cut || inFailure())
	c.mu.Unlock()
	if failed { // the client must not take what it has of the answer for all of it
		c.sc.Fail(errCutShort)
		return nil
	}
	return c.sc.Close()
}

var errCutShort = errors.New("web: an answer was cut short: by a panic or runtime.Goexit in the handler, or by a write deadline")

// inFailure tells whether a panic or runtime.Goexit runs the deferred function that calls: net/http closes a connection in
// one whose handler has failed.
func inFailure() bool { return calledBy("runtime.gopanic", "runtime.Goexit") }

// calledBy tells whether one of the functions is among the callers.
func calledBy(names ...string) bool {
	var callers [32]uintptr
	frames := runtime.CallersFrames(callers[:runtime.Callers(2, callers[:])])
	for {
		frame, more := frames.Next()
		if slices.Contains(names, frame.Function) {
			return true
		}
		if !more {
			return false
		}
	}
}

// CloseWrite ends the output.
func (c *conn) CloseWrite() error { return c.sc.CloseWrite() }

func (c *conn) failure(call string, err error) error {
	return &net.OpError{Op: call, Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
}

func expired(until time.Time) bool { return !until.IsZero() && !time.Now().Before(until) }

// errAborted is what the Read of net/http's that watches for the end of a connection gets when it is called off.
var errAborted error = &net.OpError{Op: "read", Net: "tcp", Err: os.ErrDeadlineExceeded}
