package web_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"runtime/pprof"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/certs"
	"github.com/switchboard-go/switchboard/internal/systest"
	"github.com/switchboard-go/switchboard/internal/testshard"
	"github.com/switchboard-go/switchboard/web"
)

func TestMain(m *testing.M) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // Go's own poller opens its descriptors now, and not in a test
	if err != nil {
		panic(err)
	}
	l.Close()
	os.Exit(testshard.Run(m))
}

// patience is how long a test waits for what must come. It is never waited out by a test that passes.
const patience = time.Minute

// A server is one of those that a promise must hold for.
type server struct {
	name  string
	loops *switchboard.Server // nil: net/http alone
	park  time.Duration
	tls   bool
	frees bool
}

// servers lists net/http itself, which is what the others are compared with, and package web: parking at once on every
// engine, and on the first one also as by default and not at all.
func servers() []server {
	all := []server{{name: "net-http"}}
	for i, engine := range switchboard.Engines() {
		loops := func() *switchboard.Server { return &switchboard.Server{Engine: engine, Loops: 2} }
		all = append(all, server{name: engine + "-parked-at-once", loops: loops(), park: time.Nanosecond})
		if i == 0 {
			all = append(all, server{name: engine, loops: loops()}, server{name: engine + "-never-parked", loops: loops(), park: -1})
		}
	}
	return all
}

// everywhere runs a test with each of the servers. serve serves with hs until the test ends, and returns its address.
func everywhere(t *testing.T, promise func(t *testing.T, serve func(hs *http.Server) (address string))) {
	for _, s := range servers() {
		t.Run(s.name, func(t *testing.T) {
			leavesNothing(t)
			promise(t, func(hs *http.Server) string { return s.start(t, hs) })
		})
	}
}

// onTheLoops is everywhere without net/http alone.
func onTheLoops(t *testing.T, promise func(t *testing.T, s server)) {
	for _, s := range servers() {
		if s.loops != nil {
			t.Run(s.name, func(t *testing.T) {
				leavesNothing(t)
				promise(t, s)
			})
		}
	}
}

// start serves with hs until the test ends.
func (s server) start(t testing.TB, hs *http.Server) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if hs.ErrorLog == nil {
		hs.ErrorLog = log.New(io.Discard, "", 0)
	}
	if s.loops != nil {
		s.loops.Logger = slog.New(slog.DiscardHandler)
		if _, fuzzes := t.(*testing.F); !fuzzes { // its Output is not for the functions that it calls
			s.loops.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
		}
	}
	served := make(chan error, 1)
	go func() { served <- s.serve(hs, l) }()
	t.Cleanup(func() {
		hs.Close()
		if s.loops != nil {
			s.loops.Close()
		}
		if err := next(t, served); err != http.ErrServerClosed {
			t.Errorf("Serve returned %v", err)
		}
	})
	return l.Addr().String()
}

// startTLS is start over TLS, with a certificate for localhost that is in the pool.
func (s server) startTLS(t testing.TB, hs *http.Server) (address string, pool *x509.CertPool) {
	t.Helper()
	own, err := certs.SelfSigned("localhost")
	if err != nil {
		t.Fatal(err)
	}
	pool = x509.NewCertPool()
	pool.AddCert(own.Leaf)
	hs.TLSConfig = &tls.Config{Certificates: []tls.Certificate{own}}
	s.tls = true
	return s.start(t, hs), pool
}

func (s server) serve(hs *http.Server, l net.Listener) error {
	switch looped := (&web.Server{HTTP: hs, Loops: s.loops, ParkAfter: s.park, FreeMemory: s.frees}); {
	case s.loops == nil && s.tls:
		return hs.ServeTLS(l, "", "")
	case s.loops == nil:
		return hs.Serve(l)
	case s.tls:
		return looped.ServeTLS(l, "", "")
	default:
		return looped.Serve(l)
	}
}

// next takes what must come.
func next[T any](t testing.TB, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		stacks := make([]byte, 1<<20)
		t.Fatalf("nothing came\n%s", stacks[:runtime.Stack(stacks, true)])
		panic("not reached")
	}
}

// A client is a connection that a test speaks HTTP on by hand.
type client struct {
	*net.TCPConn
	t testing.TB
	r *bufio.Reader
}

func dial(t testing.TB, address string) *client {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	return &client{conn.(*net.TCPConn), t, bufio.NewReader(conn)}
}

func (c *client) says(s string) {
	c.t.Helper()
	if _, err := io.WriteString(c, s); err != nil {
		c.t.Fatal(err)
	}
}

// hears reads one answer and its body.
func (c *client) hears(method string) (*http.Response, string) {
	c.t.Helper()
	r, err := http.ReadResponse(c.r, &http.Request{Method: method})
	if err != nil {
		c.t.Fatalf("no answer: %v", err)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		c.t.Fatalf("the answer is cut off: %v", err)
	}
	return r, string(body)
}

// asks says something and wants a body for it.
func (c *client) asks(request, want string) *http.Response {
	c.t.Helper()
	c.says(request)
	r, body := c.hears(strings.Fields(request)[0])
	if body != want {
		c.t.Fatalf("%.60q was answered with %q; want %q", request, body, want)
	}
	return r
}

// hearsEnd reads to the end in order, before which must come want.
func (c *client) hearsEnd(want string) {
	c.t.Helper()
	got, err := io.ReadAll(c.r)
	if err != nil || string(got) != want {
		c.t.Fatalf("heard %q and %v; want %q and the end", got, err, want)
	}
}

// get is a plain request.
func get(path string) string { return "GET " + path + " HTTP/1.1\r\nHost: test\r\n\r\n" }

// exchange sends pieces on a connection of its own, waiting between them as long as pause, ends its output, and returns
// all that it hears. reset tells that the connection ended by a reset.
func exchange(t testing.TB, address string, pieces [][]byte, pause func()) (heard []byte, reset bool) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	go func() {
		for i, piece := range pieces {
			if i > 0 {
				pause()
			}
			if _, err := conn.Write(piece); err != nil {
				return // the server had heard enough
			}
		}
		conn.(*net.TCPConn).CloseWrite()
	}()
	heard, err = io.ReadAll(conn)
	if err != nil && !systest.Is(err, syscall.ECONNRESET) {
		t.Fatalf("after %q: %v", heard, err)
	}
	return heard, err != nil
}

// differs matches what differs between two answers to the same request: the date, and the boundary between ranges.
var differs = regexp.MustCompile(`Date: [A-Z][a-z]{2}, [0-9A-Za-z :]{20} GMT|[0-9a-f]{60}`)

func masked(answer []byte) []byte { return differs.ReplaceAll(answer, []byte("-")) }

// leavesNothing makes sure that at its end the test has as few goroutines and descriptors as it had to begin with.
func leavesNothing(t testing.TB) {
	goroutines, descriptors := runtime.NumGoroutine(), openDescriptors()
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		for limit := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
			g, d := runtime.NumGoroutine(), openDescriptors()
			if g <= goroutines && d <= descriptors {
				return
			}
			if time.Now().After(limit) {
				var stacks strings.Builder
				pprof.Lookup("goroutine").WriteTo(&stacks, 1)
				t.Fatalf("%d goroutines and %d descriptors are left of %d and %d\n%s", g, d, goroutines, descriptors, &stacks)
			}
		}
	})
}

// openDescriptors is zero where nothing tells how many there are.
func openDescriptors() int {
	if runtime.GOOS == "windows" { // whose Wine has a /dev/fd that shows its own
		return 0
	}
	entries, _ := os.ReadDir("/dev/fd")
	return len(entries)
}

// eventually waits for something to become true.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for limit := time.Now().Add(patience); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(limit) {
			stacks := make([]byte, 1<<20)
			t.Fatalf("it never came about that %s\n%s", what, stacks[:runtime.Stack(stacks, true)])
		}
	}
}

// program finds a program that nobody here wrote. In CI it must be there.
func program(t testing.TB, names ...string) string {
	t.Helper()
	var err error
	for _, name := range names {
		var path string
		if path, err = exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("CI") != "" {
		t.Fatal(err)
	}
	t.Skip(err)
	return ""
}
