//go:build unix

package bench

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// patience is how long a test waits for what must happen. It is far more than a working run needs.
const patience = 30 * time.Second

func TestMain(m *testing.M) {
	goroutines := runtime.NumGoroutine()
	code := m.Run()
	// A runtime timer or a pipe's reader may be about to end.
	for deadline := time.Now().Add(5 * time.Second); code == 0 && !fuzzing() && runtime.NumGoroutine() > goroutines; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			stacks := make([]byte, 1<<20)
			fmt.Printf("goroutines are left:\n%s\n", stacks[:runtime.Stack(stacks, true)])
			code = 1
		}
	}
	os.Exit(code)
}

// fuzzing tells whether the package's fuzzer runs, which has goroutines of its own.
func fuzzing() bool { return flag.Lookup("test.fuzz").Value.String() != "" }

// load runs a short load, with what the test does not say filled in.
func load(t testing.TB, cfg Config) *Result {
	t.Helper()
	r, err := Run(context.Background(), filled(cfg))
	if err != nil {
		t.Fatal(err)
	}
	addsUp(t, r)
	return r
}

// addsUp expects that each message has one fate, in the whole run and in the measurement.
func addsUp(t testing.TB, r *Result) {
	t.Helper()
	if r.Settings.Expect == None {
		return
	}
	if n := r.Totals; n.Sent != n.Answered+n.Lost+n.NoAnswer {
		t.Errorf("%d messages sent in all, but %d answered, %d lost and %d unanswered", n.Sent, n.Answered, n.Lost, n.NoAnswer)
	}
	if m := r.Messages; m.Sent != m.Answered+m.Lost+m.NoAnswer || m.Late > m.Answered {
		t.Errorf("messages do not add up: %+v", m)
	}
	if l := r.Latency; l != nil && l.Count != r.Messages.Answered {
		t.Errorf("%d latencies of %d answers", l.Count, r.Messages.Answered)
	}
}

func filled(cfg Config) Config {
	if cfg.Conns == 0 && cfg.Idle == 0 {
		cfg.Conns = 5
	}
	if cfg.Size == (Range{}) {
		cfg.Size = Range{64, 64}
	}
	if cfg.Duration == 0 {
		cfg.Duration = 300 * time.Millisecond
	}
	return cfg
}

// well expects that nothing went wrong and something was answered.
func well(t testing.TB, r *Result) {
	t.Helper()
	for _, e := range r.Errors {
		t.Errorf("%d and %d x %s (%s)", e.Before, e.Count, e.Kind, e.Example)
	}
	if r.Messages.Answered == 0 || r.Latency == nil { // all late: on a very busy machine
		t.Errorf("nothing was answered: %+v", r.Messages)
	}
}

// trouble returns how many errors of a kind there were, and expects no others.
func trouble(t testing.TB, r *Result, kind string) int64 {
	t.Helper()
	n := int64(0)
	for _, e := range r.Errors {
		if e.Kind == kind {
			n += e.Before + e.Count
		} else {
			t.Errorf("wanted none but %q: %d and %d x %s (%s)", kind, e.Before, e.Count, e.Kind, e.Example)
		}
	}
	if n == 0 {
		t.Errorf("no %q was counted: %+v", kind, r.Messages)
	}
	return n
}

// A server is one of the test's own, for what no well-behaved program does. It counts.
type server struct {
	net.Listener
	connections, bytes atomic.Int64

	handlers sync.WaitGroup
	mu       sync.Mutex
	open     map[net.Conn]bool
	stopped  bool
}

// serve has every connection handled until the test ends.
func serve(t testing.TB, network, address string, handle func(s *server, conn net.Conn)) *server {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	s := &server{Listener: l, open: map[net.Conn]bool{}}
	s.handlers.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			s.connections.Add(1)
			if !s.keep(conn) {
				return
			}
			s.handlers.Go(func() {
				handle(s, conn)
				s.drop(conn)
			})
		}
	})
	t.Cleanup(s.stop)
	return s
}

func (s *server) keep(conn net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		conn.Close()
		return false
	}
	s.open[conn] = true
	return true
}

func (s *server) drop(conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	conn.Close()
	delete(s.open, conn)
}

// stop ends the server and all its connections.
func (s *server) stop() {
	s.Close()
	s.mu.Lock()
	s.stopped = true
	for conn := range s.open {
		conn.Close()
	}
	s.mu.Unlock()
	s.handlers.Wait()
}

func (s *server) at() string { return s.Addr().String() }

// echoing is what a good server does.
func echoing(s *server, conn net.Conn) {
	buf := make([]byte, 64<<10)
	for {
		n, err := conn.Read(buf)
		s.bytes.Add(int64(n))
		if _, bad := conn.Write(buf[:n]); err != nil || bad != nil {
			return
		}
	}
}

// A peer is a server that nobody here wrote, in a process group of its own.
type peer struct {
	cmd  *exec.Cmd
	out  *bufio.Reader
	once sync.Once
}

// peerServer starts a program that must be there.
func peerServer(t testing.TB, name string, args ...string) *peer {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil && name == "nginx" {
		path, err = exec.LookPath("/usr/sbin/nginx")
	}
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is not installed", name)
		}
		t.Skipf("%s is not installed", name)
	}
	p := &peer{cmd: exec.Command(path, args...)}
	p.cmd.Stderr = os.Stderr
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.out = bufio.NewReader(out)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.end)
	return p
}

// line returns the next line that the program prints.
func (p *peer) line(t testing.TB) string {
	t.Helper()
	text, err := p.out.ReadString('\n')
	if err != nil {
		t.Fatalf("%s printed no line: %v", p.cmd.Path, err)
	}
	return strings.TrimSpace(text)
}

// end ends the program and all that it has started.
func (p *peer) end() {
	p.once.Do(func() {
		p.signal(syscall.SIGCONT)
		p.signal(syscall.SIGKILL)
		io.Copy(io.Discard, p.out)
		p.cmd.Wait()
	})
}

// signal sends a signal to the program and all that it has started.
func (p *peer) signal(s syscall.Signal) { syscall.Kill(-p.cmd.Process.Pid, s) }

// freeAddress is one that nobody listens on.
func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// awaitListener waits until somebody listens on a TCP address. It costs the server a connection.
func awaitListener(t testing.TB, network, address string) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		conn, err := net.Dial(network, address)
		if err == nil {
			conn.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("nobody listens: %v", err)
		}
	}
}

func inFolder(t testing.TB, name string) string { return filepath.Join(t.TempDir(), name) }

func addresses(all ...string) (list []netip.Addr) {
	for _, a := range all {
		list = append(list, netip.MustParseAddr(a))
	}
	return list
}
