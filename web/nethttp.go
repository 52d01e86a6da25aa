package web

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

// readerSize is the size of the buffer with which net/http reads a connection. A Read for so many bytes finds the buffer
// empty, a shorter one does not.
const readerSize = 4096

// checkNetHTTP returns nil if the net/http of this program behaves as parking needs it. It is found out once, by
// an http.Server that serves a checkConn.
var checkNetHTTP = sync.OnceValue(func() error {
	return checkServing(func(conn net.Conn, state func(http.ConnState)) {
		server := &http.Server{
			ErrorLog:  log.New(io.Discard, "", 0),
			ConnState: func(_ net.Conn, s http.ConnState) { state(s) },
			Handler:   http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) }),
		}
		server.Serve(&oneConn{conn: conn})
	})
})

// checkServing returns nil if serve, which is net/http, deals with an idle connection like this:
//
//   - What it does between an answer and waiting for the next request is to tell StateIdle, set one read deadline, and Read.
//   - That Read is as long as its buffer if, and only if, nothing was read ahead.
//   - No other Read is preceded by these two alone, or has one byte after a read deadline was taken away, but for the Read
//     that watches for the peer's end while a handler runs; that one ends when the deadline is past.
//   - Told that the input has ended, it closes the connection once, tells StateClosed, and is done with it.
func checkServing(serve func(conn net.Conn, state func(http.ConnState))) error {
	c := &checkConn{done: make(chan struct{})}
	c.wake.L = &c.mu
	late := time.AfterFunc(10*time.Second, func() { c.fail("it did nothing for 10 seconds") })
	defer late.Stop()
	go serve(c, c.state)
	<-c.done
	return c.err
}

// A checkConn is a net.Conn without a network. It gives net/http the input of a client, and checks what net/http does with it.
type checkConn struct {
	mu           sync.Mutex
	wake         sync.Cond
	done         chan struct{}
	err          error
	over         bool
	at           int
	step         step
	zeroed       bool
	pastDeadline bool
	closes       int
}

// inputs is what each Read of a checkConn returns, and whether net/http must be idle with an empty buffer before.
var inputs = []struct {
	input string
	idle  bool
}{
	{"GET /1 HTTP/1.1\r\nHost: a\r\n\r\n", false},
	{"POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n", true},
	{"bodyGE", false},
	{"T /3 HTTP/1.1\r\nHost: a\r\n\r\n", false},
	{"GET /4 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", true},
	{"", true},
}

func (c *checkConn) fail(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.finish(fmt.Errorf(format, args...))
}

// finish ends the check. mu is held.
func (c *checkConn) finish(err error) {
	if c.over {
		return
	}
	c.over, c.err = true, err
	c.wake.Broadcast()
	close(c.done)
}

func (c *checkConn) state(s http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case s == http.StateIdle:
		c.step = answered
	case s == http.StateClosed && (c.at < len(inputs) || c.closes != 1):
		c.finish(fmt.Errorf("it told StateClosed after %d of %d reads and %d closes", c.at, len(inputs), c.closes))
	case s == http.StateClosed:
		c.finish(nil)
	}
}

func (c *checkConn) Read(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	idle, watching := c.step == awaitsNext && len(p) == readerSize, c.zeroed && len(p) == 1
	c.step, c.zeroed = busy, false
	for watching && !c.pastDeadline && !c.over {
		c.wake.Wait()
	}
	if watching || c.pastDeadline {
		return 0, errAborted
	}
	if c.over || c.at == len(inputs) {
		c.finish(errors.New("it read on after the end of input"))
		return 0, io.EOF
	}
	next := inputs[c.at]
	if idle != next.idle || len(p) < len(next.input) {
		c.finish(fmt.Errorf("before its read number %d, for %d bytes, it looked idle: %v", c.at+1, len(p), idle))
		return 0, io.EOF
	}
	c.at++
	if next.input == "" {
		return 0, io.EOF
	}
	return copy(p, next.input), nil
}

func (c *checkConn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.step != busy {
		c.step = (c.step + 1) % (awaitsNext + 1)
	}
	c.zeroed, c.pastDeadline = t.IsZero(), expired(t)
	c.wake.Broadcast()
	return nil
}

func (c *checkConn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closes++
	return nil
}

func (c *checkConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.step = busy
	return len(p), nil
}

func (c *checkConn) SetWriteDeadline(time.Time) error { return nil }
func (c *checkConn) SetDeadline(t time.Time) error    { return c.SetReadDeadline(t) }
func (c *checkConn) LocalAddr() net.Addr              { return &net.UnixAddr{Name: "check", Net: "unix"} }
func (c *checkConn) RemoteAddr() net.Addr             { return c.LocalAddr() }

// A oneConn is a net.Listener for one connection.
type oneConn struct{ conn net.Conn }

func (l *oneConn) Accept() (net.Conn, error) {
	conn := l.conn
	l.conn = nil
	if conn == nil {
		return nil, os.ErrClosed
	}
	return conn, nil
}

func (l *oneConn) Close() error   { return nil }
func (l *oneConn) Addr() net.Addr { return l.conn.LocalAddr() }
