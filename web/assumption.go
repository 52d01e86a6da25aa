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

// parkingAssumption returns nil if the net/http of this program behaves as parking needs it. It is found out once, by
// http.Server's serving a connection that only plays its part.
var parkingAssumption = sync.OnceValue(func() error {
	return examine(func(conn net.Conn, state func(http.ConnState)) {
		server := &http.Server{
			ErrorLog:  log.New(io.Discard, "", 0),
			ConnState: func(_ net.Conn, s http.ConnState) { state(s) },
			Handler:   http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) }),
		}
		server.Serve(&onlyOne{conn: conn})
	})
})

// examine looks how serve, which is net/http, deals with an idle connection.
//
//   - What it does between an answer and waiting for the next request is to tell StateIdle, set one read deadline, and Read.
//   - That Read is as long as its buffer if, and only if, nothing was read ahead.
//   - No other Read is preceded by these two alone, or has one byte after a read deadline was taken away, but for the Read
//     that watches for the peer's end while a handler runs; that one ends when the deadline is past.
//   - Told that the input has ended, it closes the connection once, tells StateClosed, and is done with it.
func examine(serve func(conn net.Conn, state func(http.ConnState))) error {
	a := &actor{done: make(chan struct{})}
	a.wake.L = &a.mu
	late := time.AfterFunc(10*time.Second, func() { a.fail("it did nothing for 10 seconds") })
	defer late.Stop()
	go serve(a, a.state)
	<-a.done
	return a.err
}

// An actor plays a client to net/http, and watches it. Each of its lines is what one Read gets.
type actor struct {
	mu     sync.Mutex
	wake   sync.Cond
	done   chan struct{}
	err    error
	over   bool
	at     int
	step   step
	zeroed bool
	hurry  bool
	closes int
}

// script is the lines of the play: what net/http is given, and whether it must be seen to be idle with an empty buffer before.
var script = []struct {
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

func (a *actor) fail(format string, args ...any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.finish(fmt.Errorf(format, args...))
}

// finish ends the play. mu is held.
func (a *actor) finish(err error) {
	if a.over {
		return
	}
	a.over, a.err = true, err
	a.wake.Broadcast()
	close(a.done)
}

func (a *actor) state(s http.ConnState) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case s == http.StateIdle:
		a.step = answered
	case s == http.StateClosed && (a.at < len(script) || a.closes != 1):
		a.finish(fmt.Errorf("it told StateClosed after %d of %d reads and %d closes", a.at, len(script), a.closes))
	case s == http.StateClosed:
		a.finish(nil)
	}
}

func (a *actor) Read(p []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	idle, watching := a.step == awaitsNext && len(p) == readerSize, a.zeroed && len(p) == 1
	a.step, a.zeroed = busy, false
	for watching && !a.hurry && !a.over {
		a.wake.Wait()
	}
	if watching || a.hurry {
		return 0, errAborted
	}
	if a.over || a.at == len(script) {
		a.finish(errors.New("it read on after the end of input"))
		return 0, io.EOF
	}
	line := script[a.at]
	if idle != line.idle || len(p) < len(line.input) {
		a.finish(fmt.Errorf("before its read number %d, for %d bytes, it looked idle: %v", a.at+1, len(p), idle))
		return 0, io.EOF
	}
	a.at++
	if line.input == "" {
		return 0, io.EOF
	}
	return copy(p, line.input), nil
}

func (a *actor) SetReadDeadline(t time.Time) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.step != busy {
		a.step = (a.step + 1) % (awaitsNext + 1)
	}
	a.zeroed, a.hurry = t.IsZero(), expired(t)
	a.wake.Broadcast()
	return nil
}

func (a *actor) Close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closes++
	return nil
}

func (a *actor) Write(p []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.step = busy
	return len(p), nil
}

func (a *actor) SetWriteDeadline(time.Time) error { return nil }
func (a *actor) SetDeadline(t time.Time) error    { return a.SetReadDeadline(t) }
func (a *actor) LocalAddr() net.Addr              { return &net.UnixAddr{Name: "actor", Net: "unix"} }
func (a *actor) RemoteAddr() net.Addr             { return a.LocalAddr() }

// An onlyOne is a net.Listener for one connection.
type onlyOne struct{ conn net.Conn }

func (l *onlyOne) Accept() (net.Conn, error) {
	conn := l.conn
	l.conn = nil
	if conn == nil {
		return nil, os.ErrClosed
	}
	return conn, nil
}

func (l *onlyOne) Close() error   { return nil }
func (l *onlyOne) Addr() net.Addr { return l.conn.LocalAddr() }
