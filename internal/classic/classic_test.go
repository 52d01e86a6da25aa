//go:build unix

package classic

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/switchboard-go/switchboard/internal/service"
	"github.com/switchboard-go/switchboard/socket"
)

const patience = 20 * time.Second

// run starts a server of this process on a free port. The end it returns drains it and waits.
func run(t testing.TB, s *Server, mode Mode) (addr string, end func()) {
	t.Helper()
	l, err := socket.CreateServer("127.0.0.1:0", nil)
	if err != nil {
		t.Fatal(err)
	}
	at, err := l.LocalAddr()
	if err != nil {
		t.Fatal(err)
	}
	s.Listeners = []*socket.Socket{l}
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx, mode) }()
	return at.String(), func() {
		t.Helper()
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(patience):
			t.Fatal("the server does not end")
		}
	}
}

func inProcess(t *testing.T, test func(t *testing.T, mode Mode)) {
	for _, m := range Modes() {
		if m.Name != "processes" {
			t.Run(m.Name, func(t *testing.T) { test(t, m) })
		}
	}
}

// Clients that end, that reset, that stall and that stay: after the shutdown there is no goroutine of theirs and no
// descriptor.
func TestNothingIsLeftAfterAShutdown(t *testing.T) {
	inProcess(t, func(t *testing.T, mode Mode) {
		for _, what := range service.All() {
			before := 0
			for round := range 2 { // the first opens what the runtime keeps
				addr, end := run(t, &Server{Service: what, Grace: 50 * time.Millisecond, KeepAlive: time.Minute}, mode)
				var conns []*net.TCPConn
				for i := range 8 {
					conn, err := net.Dial("tcp", addr)
					if err != nil {
						t.Fatal(err)
					}
					conn.SetWriteDeadline(time.Now().Add(20 * time.Millisecond))
					conn.Write(make([]byte, i<<18))
					conns = append(conns, conn.(*net.TCPConn))
				}
				conns[1].SetLinger(0)
				conns[1].Close()
				conns[2].CloseWrite()
				conns[3].Close()
				end()
				for _, conn := range conns {
					conn.Close()
				}
				leavesNoGoroutine(t)
				if round == 0 {
					before = openFiles()
				} else if now := openFiles(); now != before {
					t.Errorf("%s: %d descriptors are open, and %d were", what.Name, now, before)
				}
			}
		}
	})
}

// A descriptor that somebody has closed under the server is the only one that it loses.
func TestAClosedDescriptorIsRemovedAndTheOthersAreServed(t *testing.T) {
	for _, name := range []string{"select", "poll"} {
		t.Run(name, func(t *testing.T) {
			addr, end := run(t, &Server{Service: service.Echo, Grace: time.Second}, modeNamed(t, name))
			defer end()
			victim, other := dialEcho(t, addr), dialEcho(t, addr)
			unix.Close(otherEnd(t, victim)) // and nothing is opened from here on, which could get its number
			for _, p := range []string{"one", "two", "three"} {
				if _, err := other.Write([]byte(p)); err != nil {
					t.Fatal(err)
				}
				if _, err := io.ReadFull(other, make([]byte, len(p))); err != nil {
					t.Fatal(err)
				}
			}
			if n, err := victim.Read(make([]byte, 1)); err == nil {
				t.Errorf("%d bytes from a closed descriptor", n)
			}
		})
	}
}

// dialEcho connects, and makes sure that the server has accepted.
func dialEcho(t testing.TB, addr string) *net.TCPConn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	if _, err := conn.Write([]byte("!")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	return conn.(*net.TCPConn)
}

// otherEnd finds the server's descriptor for a connection, in this same process.
func otherEnd(t testing.TB, conn *net.TCPConn) int {
	t.Helper()
	port := conn.LocalAddr().(*net.TCPAddr).Port
	for fd := 3; fd < 1000; fd++ {
		if peer, err := unix.Getpeername(fd); err == nil {
			if in, ok := peer.(*unix.SockaddrInet4); ok && in.Port == port {
				return fd
			}
		}
	}
	t.Fatal("the server has no such connection")
	return -1
}

func TestAConnectionIsKeptAliveAndItsRepliesAreNotHeldBack(t *testing.T) {
	s := &Server{KeepAlive: 7 * time.Second, Log: slog.New(slog.DiscardHandler)}
	l, err := socket.CreateServer("127.0.0.1:0", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	at, _ := l.LocalAddr()
	client, err := net.Dial("tcp", at.String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	conn, peer, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	c := s.welcome(conn, peer)
	defer c.Close()
	for name, want := range map[string]struct{ level, option int }{
		"keep-alive": {socket.SOL_SOCKET, socket.SO_KEEPALIVE},
		"no delay":   {socket.IPPROTO_TCP, socket.TCP_NODELAY},
	} {
		if got, err := c.OptionBool(want.level, want.option); err != nil || !got {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

// The record is of what the server logs.
type record struct {
	slog.Handler
	mu   sync.Mutex
	seen []slog.Record
}

func (r *record) Enabled(context.Context, slog.Level) bool { return true }

func (r *record) Handle(_ context.Context, e slog.Record) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen = append(r.seen, e)
	return nil
}

// pauses are the values of "after" so far.
func (r *record) pauses() (pauses []time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.seen {
		e.Attrs(func(a slog.Attr) bool {
			if a.Key == "after" {
				pauses = append(pauses, a.Value.Duration())
			}
			return true
		})
	}
	return pauses
}

func TestAWorkerThatDiesAtOnceIsReplacedWithMoreAndMorePatience(t *testing.T) {
	log := &record{}
	s := &Server{
		MaxConns: 1, // one worker
		Log:      slog.New(log),
		Worker:   func(int) *exec.Cmd { return exec.Command("false") },
	}
	_, end := run(t, s, modeNamed(t, "processes"))
	for deadline := time.Now().Add(patience); len(log.pauses()) < 4; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it is not replaced")
		}
	}
	end()
	want := []time.Duration{shortestDelay, 2 * shortestDelay, 4 * shortestDelay, 8 * shortestDelay}
	if got := log.pauses()[:4]; !slices.Equal(got, want) {
		t.Errorf("pauses %v, want %v", got, want)
	}
	leavesNoGoroutine(t)
}

func TestMaxConnsIsSharedOutAmongTheWorkers(t *testing.T) {
	for _, c := range []struct {
		clients, workers int
		want             []int
	}{
		{0, 3, []int{0, 0, 0}},
		{1, 4, []int{1}},
		{4, 4, []int{1, 1, 1, 1}},
		{10, 4, []int{2, 2, 3, 3}},
	} {
		if got := shares(c.clients, c.workers); !slices.Equal(got, c.want) {
			t.Errorf("%d clients, %d workers: %v, want %v", c.clients, c.workers, got, c.want)
		}
	}
}

func modeNamed(t testing.TB, name string) Mode {
	t.Helper()
	for _, m := range Modes() {
		if m.Name == name {
			return m
		}
	}
	t.Fatalf("no mode %s", name)
	return Mode{}
}

// leavesNoGoroutine waits until no goroutine of this package runs but the test itself.
func leavesNoGoroutine(t testing.TB) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		var all bytes.Buffer
		pprof.Lookup("goroutine").WriteTo(&all, 2)
		left := 0
		for _, stack := range strings.Split(all.String(), "\n\n") {
			if strings.Contains(stack, "classic.(*Server)") || strings.Contains(stack, "os/exec") {
				left++
			}
		}
		if left == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines are left:\n%s", left, all.String())
		}
	}
}

// openFiles counts the descriptors of this process; 0 where /proc does not tell.
func openFiles() int {
	if runtime.GOOS != "linux" {
		return 0
	}
	open, _ := os.ReadDir("/proc/self/fd")
	return len(open)
}

// BenchmarkEcho is one message there and back, in each mode, with one client. The client makes no allocations, so those
// it reports are the server's.
func BenchmarkEcho(b *testing.B) {
	for _, m := range Modes() {
		if m.Name == "processes" {
			continue
		}
		b.Run(m.Name, func(b *testing.B) {
			addr, end := run(b, &Server{Service: service.Echo, Grace: time.Second}, m)
			defer end()
			conn := dialEcho(b, addr)
			conn.SetDeadline(time.Time{})
			message := make([]byte, 64)
			b.SetBytes(64)
			b.ReportAllocs()
			for b.Loop() {
				conn.Write(message)
				if _, err := io.ReadFull(conn, message); err != nil {
					b.Fatal(err)
				}
			}
			conn.Close()
		})
	}
}
