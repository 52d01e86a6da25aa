package scenarios

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"runtime"
	"runtime/pprof"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/internal/systest"
	"github.com/switchboard-go/switchboard/internal/testshard"
	"github.com/switchboard-go/switchboard/socket"
)

// patience is how long a test waits for what must come. It is never waited out by a test that passes.
const patience = 60 * time.Second

// engines are all that Server.Engine can name on this platform.
func engines() []string { return switchboard.Engines() }

// onEveryEngine runs a test with a server on each engine, in the clear and, for one engine of each kind, over TLS. It
// looks behind each for what was left.
func onEveryEngine(t *testing.T, promise func(t *testing.T, s *switchboard.Server)) {
	inTheClear(t, promise)
	overTLS(t, promise)
}

// inTheClear is onEveryEngine for what is about bytes on the wire, or system calls.
func inTheClear(t *testing.T, promise func(t *testing.T, s *switchboard.Server)) {
	for _, engine := range engines() {
		t.Run(engine, func(t *testing.T) {
			leavesNothing(t)
			promise(t, newServer(t, engine))
		})
	}
}

func newServer(t testing.TB, engine string) *switchboard.Server {
	return &switchboard.Server{Engine: engine, Loops: 2, Logger: slog.New(slog.NewTextHandler(t.Output(), nil))}
}

// start serves on a free port until the test ends.
func start(t testing.TB, s *switchboard.Server) (address string) {
	t.Helper()
	address, _ = serveAt(t, s, "127.0.0.1:0")
	return address
}

// hasUnix reports whether the system has Unix sockets: Windows since 2018.
var hasUnix = sync.OnceValue(func() bool {
	s, err := socket.New(socket.AF_UNIX, socket.SOCK_STREAM, 0)
	if err == nil {
		s.Close()
	}
	return err == nil
})

// serveAt serves at an address until the test ends. What ServeSocket returns comes through the channel.
func serveAt(t testing.TB, s *switchboard.Server, at string) (address string, served <-chan error) {
	t.Helper()
	l, err := socket.CreateServer(at, nil)
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	a, err := l.LocalAddr()
	if err != nil {
		t.Fatal(err)
	}
	if s.TLSConfig != nil {
		secured.Store(a.String(), true)
		t.Cleanup(func() { secured.Delete(a.String()) })
	}
	ch := make(chan error, 1)
	go func() {
		ch <- s.ServeSocket(l)
		close(ch)
	}()
	t.Cleanup(func() {
		stop(s)
		if err := next(t, ch); err != nil && !errors.Is(err, switchboard.ErrServerClosed) {
			t.Errorf("ServeSocket returned %v", err)
		}
	})
	return a.String(), ch
}

// stop ends a server at once, and returns when its loops are over.
func stop(s *switchboard.Server) {
	s.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	s.Shutdown(ctx)
}

// everyone is a Server.Accept that has h serve all.
func everyone(h switchboard.Handler) func(*switchboard.Conn) (switchboard.Handler, error) {
	return func(*switchboard.Conn) (switchboard.Handler, error) { return h, nil }
}

// echo is the shortest server.
var echo = switchboard.DataFunc((*switchboard.Conn).Write)

// A watched handler passes on how its connections end.
type watched struct {
	data  func(c *switchboard.Conn, p []byte) (int, error)
	ended chan error
}

func watch(data func(c *switchboard.Conn, p []byte) (int, error)) *watched {
	return &watched{data, make(chan error, 10000)}
}

func (h *watched) Data(c *switchboard.Conn, p []byte) (int, error) { return h.data(c, p) }
func (h *watched) Closed(_ *switchboard.Conn, err error)           { h.ended <- err }

// A peer is a plain connection of package net. What it says or hears amiss fails the test.
type peer struct {
	net.Conn
	t testing.TB
}

func call(t testing.TB, address string) peer {
	t.Helper()
	return callWith(t, address, net.Dialer{})
}

// callWith is call with a dialer of the test's. If TLS is spoken at the address, the peer does.
func callWith(t testing.TB, address string, d net.Dialer) peer {
	t.Helper()
	p := reach(t, address, d)
	if _, ok := secured.Load(address); ok {
		return p.secures(clientTLS())
	}
	return p
}

// reach connects and says nothing.
func reach(t testing.TB, address string, d net.Dialer) peer {
	t.Helper()
	network := "tcp"
	if strings.ContainsAny(address, `/\@`) {
		network = "unix"
	}
	c, err := d.Dial(network, address)
	if err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(patience))
	t.Cleanup(func() { c.Close() })
	return peer{c, t}
}

// secures goes on over TLS, as crypto/tls does it everywhere else.
func (p peer) secures(config *tls.Config) peer {
	p.t.Helper()
	c := tls.Client(p.Conn, config)
	if err := c.Handshake(); err != nil {
		p.t.Fatal(err)
	}
	return peer{c, p.t}
}

// secured are the addresses that TLS is spoken at.
var secured sync.Map

func (p peer) says(s string) {
	p.t.Helper()
	if _, err := io.WriteString(p, s); err != nil {
		p.t.Fatal(err)
	}
}

func (p peer) hears(want string) {
	p.t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(p, got); err != nil || string(got) != want {
		p.t.Fatalf("heard %q, %v; want %q", got[:n], err, want)
	}
}

// hearsEnd reads all that comes before the end of input, which must be want.
func (p peer) hearsEnd(want string) {
	p.t.Helper()
	if got, err := io.ReadAll(p); err != nil || string(got) != want {
		p.t.Fatalf("heard %q before the end, %v; want %q", got, err, want)
	}
}

// visit connects to a server that may reset the connection at any time, also while it is being made, and waits for the end.
func visit(s *switchboard.Server, address string) {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer c.Close()
	if s.TLSConfig != nil {
		over := tls.Client(c, clientTLS())
		over.Handshake()
		c = over
	}
	io.Copy(io.Discard, c)
}

// hearsFailure reads all that comes before a reset, which must be want.
func (p peer) hearsFailure(want string) {
	p.t.Helper()
	if got, err := io.ReadAll(p); !systest.Is(err, syscall.ECONNRESET) || string(got) != want {
		p.t.Fatalf("heard %q before %v; want %q before a reset", got, err, want)
	}
}

// hearsEndFor reads all that comes before the end that a connection has because of err: of input without one, else a reset.
func (p peer) hearsEndFor(err error, want string) {
	p.t.Helper()
	if err == nil {
		p.hearsEnd(want)
	} else {
		p.hearsFailure(want)
	}
}

func (p peer) hearsReset() {
	p.t.Helper()
	if _, err := io.Copy(io.Discard, p); !systest.Is(err, syscall.ECONNRESET) {
		p.t.Fatalf("heard %v; want a reset", err)
	}
}

func (p peer) endsOutput() {
	p.t.Helper()
	if err := p.Conn.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		p.t.Fatal(err)
	}
}

// resets ends the connection without an orderly close.
func (p peer) resets() {
	c := p.Conn
	if over, ok := c.(*tls.Conn); ok {
		c = over.NetConn()
	}
	c.(*net.TCPConn).SetLinger(0)
	c.Close()
}

// next returns what comes through a channel, in time.
func next[T any](t testing.TB, ch <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-ch:
	case <-time.After(patience):
		t.Fatal("nothing came")
	}
	return v
}

// eventually waits until something holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for limit := time.Now().Add(patience); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("still not so: %s", what)
		}
	}
}

// stays makes sure that something holds, for a moment.
func stays(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for limit := time.Now().Add(30 * time.Millisecond); time.Now().Before(limit); time.Sleep(time.Millisecond) {
		if !holds() {
			t.Fatalf("no longer so: %s", what)
		}
	}
}

// settles waits until something holds and goes on to hold for a moment.
func settles(t testing.TB, what string, holds func() bool) {
	t.Helper()
	since := time.Now()
	eventually(t, what, func() bool {
		if !holds() {
			since = time.Now()
		}
		return time.Since(since) > 30*time.Millisecond
	})
}

// leavesNothing makes sure that at its end the test has as few goroutines and descriptors as it had to begin with.
func leavesNothing(t testing.TB) {
	goroutines, descriptors := runtime.NumGoroutine(), openDescriptors()
	t.Cleanup(func() {
		for limit := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
			g, d := runtime.NumGoroutine(), openDescriptors()
			if g <= goroutines && d <= descriptors {
				return
			}
			if d > descriptors { // package net keeps kernel pipes of io.Copy until the collector has come twice
				runtime.GC()
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

// program finds a program that nobody here wrote. In CI it must be there.
func program(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	return path
}

// run has a program talk to the server: it gets input, and what it says is returned.
func run(t testing.TB, input string, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, program(t, name), args...)
	cmd.Stdin = strings.NewReader(input)
	var complaint strings.Builder
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v: %s", cmd, err, complaint.String())
	}
	return string(out)
}

// children are what this binary does instead of testing when it is started again as a process of its own.
var children = map[string]func(){}

const childVariable = "SWITCHBOARD_TEST_CHILD"

func TestMain(m *testing.M) {
	if child := children[os.Getenv(childVariable)]; child != nil {
		child()
		return
	}
	l, err := net.Listen("tcp", "127.0.0.1:0") // Go's own poller opens its descriptors now, and not in a test
	if err != nil {
		panic(err)
	}
	l.Close()
	os.Exit(testshard.Run(m))
}

// count is a number that several goroutines count up.
type count struct{ atomic.Int64 }

// noise is n bytes that look like nothing else, the same for the same seed.
func noise(seed byte, n int) string {
	p := make([]byte, n)
	rand.NewChaCha8([32]byte{seed}).Read(p)
	return string(p)
}
