package tlsconn_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard/certs"
	"github.com/switchboard-go/switchboard/internal/tlsconn"
)

// patience is how long a test waits for what must come. A test that passes never waits it out.
const patience = 20 * time.Second

var versions = []uint16{tls.VersionTLS12, tls.VersionTLS13}

// own is the certificate of every server here, made once.
var own = sync.OnceValue(func() tls.Certificate {
	c, err := certs.SelfSigned("localhost", "127.0.0.1")
	if err != nil {
		panic(err)
	}
	return c
})

func serverConfig(version uint16) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{own()}, MinVersion: version, MaxVersion: version}
}

func clientConfig(version uint16) *tls.Config {
	roots := x509.NewCertPool()
	roots.AddCert(own().Leaf)
	return &tls.Config{RootCAs: roots, ServerName: "localhost", MinVersion: version, MaxVersion: version}
}

// onEveryVersion runs a test for each of the two versions in use.
func onEveryVersion(t *testing.T, promise func(t *testing.T, version uint16)) {
	for _, v := range versions {
		t.Run(tls.VersionName(v), func(t *testing.T) {
			leavesNothing(t)
			promise(t, v)
		})
	}
}

// leavesNothing fails the test if goroutines are left when it is over.
func leavesNothing(t testing.TB) {
	before := runtime.NumGoroutine()
	t.Cleanup(func() {
		for limit := time.Now().Add(patience); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
			if time.Now().After(limit) {
				stacks := make([]byte, 1<<20)
				t.Fatalf("goroutines are left:\n%s", stacks[:runtime.Stack(stacks, true)])
			}
		}
	})
}

// An owner drives a Conn over a wire as an event loop does, from one goroutine. It feeds the Conn with pieces of a size
// that it is told.
type owner struct {
	t        testing.TB
	c        *tlsconn.Conn
	wire     net.Conn
	piece    func() int
	steps    int
	plain    []byte // decrypted, and kept until it is read
	received int    // bytes that came after the handshake
	answers  int    // bytes that Decrypt wanted to be sent
	unread   []byte
	queue    chan []byte // to the goroutine that writes, so that the owner never waits for the peer to read
	written  chan bool   // it has ended
}

func newOwner(t testing.TB, c *tlsconn.Conn, wire net.Conn, piece func() int) *owner {
	o := &owner{t: t, c: c, wire: wire, piece: piece, queue: make(chan []byte, 10_000), written: make(chan bool)}
	go func(queue <-chan []byte) {
		defer close(o.written)
		for p := range queue {
			wire.Write(p) // a peer that is gone is told by Read
		}
	}(o.queue)
	t.Cleanup(o.close)
	return o
}

// close ends the wire, when what was sent is written.
func (o *owner) close() {
	if o.queue != nil {
		close(o.queue)
		o.queue = nil
		select {
		case <-o.written:
		case <-time.After(patience):
			o.t.Error("the peer does not read")
		}
		o.wire.Close()
		<-o.written
	}
}

func (o *owner) send(p []byte) {
	if len(p) > 0 {
		o.queue <- bytes.Clone(p)
	}
}

// step takes the handshake one step on, and sends what it says.
func (o *owner) step(input []byte) (over bool, err error) {
	o.t.Helper()
	done := make(chan bool)
	o.c.Step(input, func() { close(done) })
	next(o.t, done)
	o.steps++
	o.send(o.c.Output())
	return o.c.Handshaken()
}

// handshake takes it to its end.
func (o *owner) handshake() error {
	o.t.Helper()
	over, err := false, error(nil)
	if o.first() {
		over, err = o.step(nil)
	}
	var hello []byte
	for !over {
		p := make([]byte, o.piece())
		n, readErr := o.wire.Read(p)
		if readErr != nil {
			o.c.Cancel()
			return readErr
		}
		if p = p[:n]; !o.first() && o.steps == 0 {
			if hello = append(hello, p...); !tlsconn.Greeted(hello) {
				continue
			}
			p = hello
		}
		over, err = o.step(p)
	}
	o.unread = o.c.Unread()
	return err
}

func (o *owner) first() bool { return tlsconn.IsClient(o.c) }

// read decrypts until there is plaintext, or the end.
func (o *owner) read() (p []byte, err error) {
	o.t.Helper()
	for len(o.plain) == 0 && err == nil {
		err = o.readOnce()
	}
	p, o.plain = o.plain, nil
	return p, err
}

// readOnce decrypts one piece.
func (o *owner) readOnce() (err error) {
	in := o.unread
	if o.unread = nil; in == nil {
		in = make([]byte, o.piece())
		n, readErr := o.wire.Read(in)
		if readErr != nil {
			return readErr
		}
		in = in[:n]
	}
	o.received += len(in)
	for len(in) > 0 && err == nil {
		var answers []byte
		o.plain, in, answers, err = o.c.Decrypt(o.plain, in, nil)
		if err == io.ErrShortBuffer {
			o.plain, err = append(make([]byte, 0, 2*cap(o.plain)+100_000), o.plain...), nil
		}
		o.answers += len(answers)
		o.send(answers)
	}
	return err
}

// reads reads n bytes.
func (o *owner) reads(n int) []byte {
	o.t.Helper()
	var got []byte
	for len(got) < n {
		p, err := o.read()
		if err != nil {
			o.t.Fatalf("after %d of %d bytes: %v", len(got), n, err)
		}
		got = append(got, p...)
	}
	return got
}

func (o *owner) writes(p []byte) {
	o.t.Helper()
	records, err := o.c.Encrypt(nil, p)
	if err != nil {
		o.t.Fatal(err)
	}
	o.send(records)
}

func (o *owner) endsOutput() {
	o.t.Helper()
	records, err := o.c.CloseNotify(nil)
	if err != nil || len(records) == 0 {
		o.t.Fatal(len(records), err)
	}
	o.send(records)
}

// wires are the two ends of a pipe.
func wires(t testing.TB) (here, there net.Conn) {
	here, there = net.Pipe()
	limit := time.Now().Add(patience)
	here.SetDeadline(limit)
	there.SetDeadline(limit)
	t.Cleanup(func() { here.Close(); there.Close() })
	return here, there
}

// whole are pieces as large as a loop's buffer.
func whole() int { return 64 << 10 }

// A peer is crypto/tls on the other end, in goroutines of its own.
type peer struct {
	*tls.Conn
	ended chan error
}

// does runs the peer's part.
func does(t testing.TB, c *tls.Conn, part func(c *tls.Conn) error) *peer {
	p := &peer{c, make(chan error, 1)}
	go func() { p.ended <- part(c) }()
	return p
}

// did waits for the peer's part to end without an error.
func (p *peer) did(t testing.TB) {
	t.Helper()
	if err := next(t, p.ended); err != nil {
		t.Errorf("the peer: %v", err)
	}
}

// serverWith is an owner of a server's Conn with a client at the other end.
func serverWith(t testing.TB, config, client *tls.Config, piece func() int, part func(c *tls.Conn) error) (*owner, *peer) {
	here, there := wires(t)
	p := does(t, tls.Client(there, client), part)
	return newOwner(t, tlsconn.Server(config, here), here, piece), p
}

// clientWith is an owner of a client's Conn with a server at the other end.
func clientWith(t testing.TB, config, server *tls.Config, piece func() int, part func(c *tls.Conn) error) (*owner, *peer) {
	here, there := wires(t)
	p := does(t, tls.Server(there, server), part)
	return newOwner(t, tlsconn.Client(config, here), here, piece), p
}

// onBothSides is onEveryVersion with a Conn on each side of the connection.
func onBothSides(t *testing.T, promise func(t *testing.T, with func(piece func() int, part func(c *tls.Conn) error) (*owner, *peer))) {
	onEveryVersion(t, func(t *testing.T, v uint16) {
		t.Run("server", func(t *testing.T) {
			promise(t, func(piece func() int, part func(c *tls.Conn) error) (*owner, *peer) {
				return serverWith(t, serverConfig(v), clientConfig(v), piece, part)
			})
		})
		t.Run("client", func(t *testing.T) {
			promise(t, func(piece func() int, part func(c *tls.Conn) error) (*owner, *peer) {
				return clientWith(t, clientConfig(v), serverConfig(v), piece, part)
			})
		})
	})
}

// shakes takes the handshake to its good end.
func (o *owner) shakes() {
	o.t.Helper()
	if err := o.handshake(); err != nil {
		o.t.Fatal(err)
	}
}

// next waits for what ch brings.
func next[T any](t testing.TB, ch <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-ch:
	case <-time.After(patience):
		t.Fatal("it does not come")
	}
	return v
}

// noise is n bytes that say nothing.
func noise(seed uint64, n int) []byte {
	p := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(seed)}).Read(p)
	return p
}

// echoes is a peer that sends back all it reads until the end of input, and then ends too.
func echoes(c *tls.Conn) error {
	_, err := io.Copy(c, c)
	return errors.Join(err, c.CloseWrite())
}
