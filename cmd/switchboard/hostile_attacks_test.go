//go:build linux

package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/switchboard-go/switchboard/internal/tlstest"
)

// An attack is what hostile clients do to one server.
type attack struct {
	service abused
	address string
	secure  bool

	mu sync.Mutex
	n  int
}

func (a *attack) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.n
}

// kinds are all that there are, each for one connection.
func (a *attack) kinds() []func(context.Context) {
	all := []func(context.Context){a.storms, a.isSilent, a.halfCloses, a.resetsAfterItsEnd, a.drips, a.neverReads, a.readsSlowly, a.isGiant}
	if a.service.control != "" {
		all = append(all, a.pings)
	}
	if a.secure {
		all = append(all, a.saysHalfAHello, a.beginsHandshakes, a.updatesKeys)
	}
	return all
}

// connect opens a connection for as long as the attack lasts.
func (a *attack) connect(ctx context.Context) *net.TCPConn {
	d := net.Dialer{Timeout: time.Second}
	conn, err := d.DialContext(ctx, "tcp", a.address)
	if err != nil {
		return nil
	}
	a.mu.Lock()
	a.n++
	a.mu.Unlock()
	until, _ := ctx.Deadline()
	conn.SetDeadline(until)
	return conn.(*net.TCPConn)
}

// open is connect to where the service is spoken.
func (a *attack) open(ctx context.Context) (io.ReadWriter, *net.TCPConn) {
	raw := a.connect(ctx)
	if raw == nil {
		return nil, nil
	}
	raw.SetReadBuffer(4 << 10)
	var conn io.ReadWriter = raw
	if a.secure {
		over := tls.Client(raw, &tls.Config{InsecureSkipVerify: true})
		if over.Handshake() != nil {
			raw.Close()
			return nil, nil
		}
		conn = over
	}
	if _, err := io.WriteString(conn, numbered(a.service.opening)); err != nil {
		raw.Close()
		return nil, nil
	}
	return conn, raw
}

// with has f use an open connection.
func (a *attack) with(ctx context.Context, f func(conn io.ReadWriter, raw *net.TCPConn)) {
	if conn, raw := a.open(ctx); conn != nil {
		defer raw.Close()
		f(conn, raw)
	}
}

// endless writes the same until the server or the attack ends it.
func endless(conn io.Writer, text string) {
	for {
		if _, err := io.WriteString(conn, text); err != nil {
			return
		}
	}
}

func (a *attack) storms(ctx context.Context) {
	if raw := a.connect(ctx); raw != nil {
		raw.SetLinger(0)
		raw.Close()
	}
}

func (a *attack) isSilent(ctx context.Context) {
	if raw := a.connect(ctx); raw != nil {
		raw.Read(make([]byte, 1))
		raw.Close()
	}
}

func (a *attack) halfCloses(ctx context.Context) {
	a.with(ctx, func(conn io.ReadWriter, raw *net.TCPConn) {
		io.WriteString(conn, a.service.request)
		raw.CloseWrite()
		<-ctx.Done()
	})
}

func (a *attack) resetsAfterItsEnd(ctx context.Context) {
	a.with(ctx, func(conn io.ReadWriter, raw *net.TCPConn) {
		io.WriteString(conn, a.service.request)
		raw.CloseWrite()
		time.Sleep(5 * time.Millisecond)
		raw.SetLinger(0)
	})
}

func (a *attack) drips(ctx context.Context) {
	a.with(ctx, func(conn io.ReadWriter, _ *net.TCPConn) {
		text := a.service.partial + strings.Repeat("x", 1000)
		for i := range text {
			if _, err := io.WriteString(conn, text[i:i+1]); err != nil {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
	})
}

func (a *attack) neverReads(ctx context.Context) {
	a.with(ctx, func(conn io.ReadWriter, _ *net.TCPConn) { endless(conn, a.service.request) })
}

func (a *attack) readsSlowly(ctx context.Context) {
	a.with(ctx, func(conn io.ReadWriter, _ *net.TCPConn) {
		go endless(conn, a.service.request)
		for p := make([]byte, 1); ctx.Err() == nil; time.Sleep(20 * time.Millisecond) {
			if _, err := conn.Read(p); err != nil {
				return
			}
		}
	})
}

func (a *attack) isGiant(ctx context.Context) {
	a.with(ctx, func(conn io.ReadWriter, raw *net.TCPConn) {
		io.WriteString(conn, a.service.giant)
		go io.Copy(io.Discard, conn)
		endless(conn, strings.Repeat("x", 64<<10))
	})
}

func (a *attack) pings(ctx context.Context) {
	a.with(ctx, func(conn io.ReadWriter, _ *net.TCPConn) { endless(conn, strings.Repeat(a.service.control, 100)) })
}

// hello is how a TLS client begins.
func hello() []byte {
	var said bytes.Buffer
	tls.Client(recorder{&said}, &tls.Config{InsecureSkipVerify: true}).Handshake()
	return said.Bytes()
}

// A recorder is a connection on which nothing is heard.
type recorder struct{ *bytes.Buffer }

func (r recorder) Read([]byte) (int, error)         { return 0, io.EOF }
func (r recorder) Close() error                     { return nil }
func (r recorder) LocalAddr() net.Addr              { return nil }
func (r recorder) RemoteAddr() net.Addr             { return nil }
func (r recorder) SetDeadline(time.Time) error      { return nil }
func (r recorder) SetReadDeadline(time.Time) error  { return nil }
func (r recorder) SetWriteDeadline(time.Time) error { return nil }

func (a *attack) saysHalfAHello(ctx context.Context) {
	if raw := a.connect(ctx); raw != nil {
		defer raw.Close()
		text := hello()
		raw.Write(text[:len(text)/2])
		raw.Read(make([]byte, 1))
	}
}

func (a *attack) beginsHandshakes(ctx context.Context) {
	if raw := a.connect(ctx); raw != nil {
		defer raw.Close()
		raw.Write(hello())
		time.Sleep(10 * time.Millisecond) // it answers, and hears no more
	}
}

func (a *attack) updatesKeys(ctx context.Context) {
	raw := a.connect(ctx)
	if raw == nil {
		return
	}
	defer raw.Close()
	rogue := new(tlstest.Rogue)
	over := tls.Client(raw, &tls.Config{InsecureSkipVerify: true, KeyLogWriter: rogue})
	if over.Handshake() != nil || rogue.Learn(true, over.ConnectionState().CipherSuite) != nil {
		return
	}
	for {
		if _, err := raw.Write(rogue.Flood(nil, 20)); err != nil {
			return
		}
	}
}
