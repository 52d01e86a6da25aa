package web

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/switchboard-go/switchboard"
)

func TestThisNetHTTPIsAsParkingNeedsIt(t *testing.T) {
	if err := checkNetHTTP(); err != nil {
		t.Error(err)
	}
}

// imitation plays net/http to checkServing: it answers each request after what change does with the connection.
func imitation(size int, idle func(net.Conn, func(http.ConnState))) func(net.Conn, func(http.ConnState)) {
	return func(conn net.Conn, state func(http.ConnState)) {
		defer state(http.StateClosed)
		defer conn.Close()
		r := bufio.NewReaderSize(conn, size)
		for {
			request, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			conn.SetReadDeadline(time.Time{})
			io.Copy(io.Discard, request.Body)
			io.WriteString(conn, "an answer")
			idle(conn, state)
			if _, err := r.Peek(4); err != nil {
				return
			}
			conn.SetReadDeadline(time.Time{})
		}
	}
}

func TestAnotherNetHTTPIsFoundOut(t *testing.T) {
	as := func(conn net.Conn, state func(http.ConnState)) {
		state(http.StateIdle)
		conn.SetReadDeadline(time.Time{})
	}
	if err := checkServing(imitation(readerSize, as)); err != nil {
		t.Errorf("what net/http does is found wrong: %v", err)
	}
	for name, serve := range map[string]func(net.Conn, func(http.ConnState)){
		"a larger buffer":   imitation(2*readerSize, as),
		"a smaller buffer":  imitation(readerSize/2, as),
		"no StateIdle":      imitation(readerSize, func(conn net.Conn, _ func(http.ConnState)) { conn.SetReadDeadline(time.Time{}) }),
		"no deadline":       imitation(readerSize, func(_ net.Conn, state func(http.ConnState)) { state(http.StateIdle) }),
		"two deadlines":     imitation(readerSize, func(c net.Conn, state func(http.ConnState)) { as(c, state); c.SetReadDeadline(time.Time{}) }),
		"a late write":      imitation(readerSize, func(c net.Conn, state func(http.ConnState)) { as(c, state); c.Write(nil) }),
		"the other order":   imitation(readerSize, func(c net.Conn, state func(http.ConnState)) { c.SetReadDeadline(time.Time{}); state(http.StateIdle) }),
		"closed at once":    func(c net.Conn, state func(http.ConnState)) { c.Close(); state(http.StateClosed) },
		"closed twice":      func(c net.Conn, state func(http.ConnState)) { imitation(readerSize, as)(twice{c}, state) },
		"reading after EOF": func(c net.Conn, state func(http.ConnState)) { imitation(readerSize, as)(persistent{c}, state) },
	} {
		if err := checkServing(serve); err == nil {
			t.Errorf("%s: not found out", name)
		}
	}
}

type twice struct{ net.Conn }

func (c twice) Close() error { c.Conn.Close(); return c.Conn.Close() }

type persistent struct{ net.Conn }

func (c persistent) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err != nil {
		n, err = c.Conn.Read(p)
	}
	return n, err
}

func TestAParkedConnectionIsSmall(t *testing.T) {
	if size := unsafe.Sizeof(conn{}); size > 64 {
		t.Errorf("a conn has %d bytes", size)
	}
}

func TestAnIdleWatchWaitsForEver(t *testing.T) {
	s := &Server{HTTP: new(http.Server), Loops: new(switchboard.Server)}
	p := &idleWatch{server: s}
	p.wake.L = &p.mu
	buf := make([]byte, readerSize)
	if n, err := p.Read(buf); err != nil || !strings.HasPrefix(string(buf[:n]), "OPTIONS * ") {
		t.Errorf("Read returned %q, %v", buf[:n], err)
	}
	p.SetDeadline(time.Now().Add(-time.Second))
	if _, err := p.Read(buf[:1]); err == nil || !err.(net.Error).Timeout() {
		t.Errorf("Read after the deadline returned %v", err)
	}
	p.SetDeadline(time.Now().Add(time.Hour))
	read := make(chan error)
	go func() {
		_, err := p.Read(buf)
		read <- err
	}()
	p.Close()
	p.Close()
	if err := <-read; err != io.EOF {
		t.Errorf("Read after Close returned %v", err)
	}
}
