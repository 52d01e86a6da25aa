package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard/internal/systest"
	"github.com/switchboard-go/switchboard/internal/testshard"
	"github.com/switchboard-go/switchboard/socket"
)

// patience is how long a test waits for what must happen. It is far more than a working command needs.
const patience = 30 * time.Second

// The test binary is the command when a test starts it, and so are the workers that it starts then.
const asCommand = "SWITCHBOARD_TEST_AS_COMMAND"

func TestMain(m *testing.M) {
	fuzzes := len(os.Args) > 1 && strings.HasPrefix(os.Args[1], "-test.") // fuzzing starts the test binary, too
	if os.Getenv(asCommand) != "" && !fuzzes {
		main()
	}
	os.Setenv(asCommand, "1")
	// Under the race detector a process sleeps for a second before it exits.
	os.Setenv("GORACE", "atexit_sleep_ms=0 "+os.Getenv("GORACE"))
	os.Exit(testshard.Run(m))
}

// eventModes wait for everybody at once.
var eventModes = []string{"loop", "select", "poll", "epoll", "kqueue", "afd"}

// inModes runs a test in those of the modes that this system has.
func inModes(t *testing.T, modes []string, test func(t *testing.T, mode string)) {
	for _, name := range modeNames() {
		if slices.Contains(modes, name) {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				test(t, name)
			})
		}
	}
}

// inEveryMode does so in all of them.
func inEveryMode(t *testing.T, test func(t *testing.T, mode string)) {
	inModes(t, append([]string{"blocking", "goroutines", "processes"}, eventModes...), test)
}

// A server is a running switchboard serve.
type server struct {
	t     testing.TB
	cmd   *exec.Cmd
	addrs []string // where it listens
	ended chan struct{}

	mu   sync.Mutex
	log  []entry
	news chan struct{} // closed at the next entry
}

// An entry is one line of the server's log.
type entry map[string]any

// serve starts a server, on a free port of 127.0.0.1 unless told otherwise, and waits until it listens. When the test
// ends, so must the server.
func serve(t testing.TB, args ...string) *server {
	t.Helper()
	return start(t, exec.Command(os.Args[0], serveArgs(args)...))
}

func serveArgs(args []string) []string {
	if !slices.ContainsFunc(args, func(a string) bool { return strings.HasPrefix(a, "--listen") }) {
		args = append(args, "--listen=127.0.0.1:0")
	}
	if !slices.Contains(args, "--quiet") {
		args = append(args, "--verbose")
	}
	return append([]string{"serve", "--log=json"}, args...)
}

func start(t testing.TB, cmd *exec.Cmd) *server {
	t.Helper()
	cmd.Env = append(os.Environ(), "GOMAXPROCS=2") // two workers in the processes mode
	systest.Interruptible(cmd)
	s := &server{t: t, cmd: cmd, ended: make(chan struct{}), news: make(chan struct{})}
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go s.follow(log)
	t.Cleanup(s.stop)
	listeners := 0
	for _, a := range cmd.Args {
		if strings.HasPrefix(a, "--listen") {
			listeners++
		}
	}
	for i := range listeners {
		msg := s.await("listening on ", i+1)["msg"].(string)
		s.addrs = append(s.addrs, strings.TrimPrefix(msg, "listening on "))
	}
	return s
}

// follow reads the log until nobody holds it open any more: neither the server nor a worker.
func (s *server) follow(log io.Reader) {
	lines := bufio.NewScanner(log)
	for lines.Scan() {
		var e entry
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			s.t.Errorf("not a line of the log: %s", lines.Text()) // a panic, or a data race
			continue
		}
		s.mu.Lock()
		s.log = append(s.log, e)
		close(s.news)
		s.news = make(chan struct{})
		s.mu.Unlock()
	}
	s.cmd.Wait()
	close(s.ended)
}

// lines returns the last of the log.
func (s *server) lines() []entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.log[max(0, len(s.log)-10):])
}

// entries returns the lines of the log whose message begins so.
func (s *server) entries(msg string) []entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []entry
	for _, e := range s.log {
		if text, _ := e["msg"].(string); strings.HasPrefix(text, msg) {
			found = append(found, e)
		}
	}
	return found
}

// await waits for the nth line of the log whose message begins so.
func (s *server) await(msg string, n int) entry {
	s.t.Helper()
	enough := time.After(patience)
	for {
		s.mu.Lock()
		news := s.news
		s.mu.Unlock()
		if found := s.entries(msg); len(found) >= n {
			return found[n-1]
		}
		select {
		case <-news:
		case <-s.ended:
			s.t.Fatalf("the server ended and did not log %q %d times: %v\n%v", msg, n, s.cmd.ProcessState, s.lines())
		case <-enough:
			s.t.Fatalf("the server has not logged %q %d times but %d", msg, n, len(s.entries(msg)))
		}
	}
}

// stop ends a server that the test has not ended itself, and expects it to end in order, with all its workers.
func (s *server) stop() {
	s.t.Helper()
	select {
	case <-s.ended:
		return
	default:
	}
	systest.Terminate(s.cmd.Process)
	if code := s.wait(); code != 0 {
		s.t.Errorf("exit code %d after SIGTERM\n%v", code, s.lines())
	}
}

// wait waits for the end of a server and of its workers, and returns its exit code: 128 and more for a signal.
func (s *server) wait() int {
	s.t.Helper()
	select {
	case <-s.ended:
	case <-time.After(patience):
		s.cmd.Process.Kill()
		s.t.Fatalf("the server does not end\n%v", s.lines())
	}
	for _, pid := range s.pids() {
		until(s.t, fmt.Sprintf("process %d ends with the server", pid), func() bool { return !alive(pid) })
	}
	return systest.ExitCode(s.cmd.ProcessState)
}

// once runs a command that ends by itself.
func once(t testing.TB, input string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Stdin = strings.NewReader(input)
	var out, complaint strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &complaint
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), complaint.String(), cmd.ProcessState.ExitCode()
}

// needUnix skips the test if the system has no Unix sockets, as Windows before 2018.
func needUnix(t testing.TB) {
	t.Helper()
	if s, err := socket.New(socket.AF_UNIX, socket.SOCK_STREAM, 0); err == nil {
		s.Close()
	} else if errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	}
}

// client connects to a server.
func client(t testing.TB, s *server) *net.TCPConn {
	t.Helper()
	conn, err := net.Dial("tcp", s.addrs[0])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	return conn.(*net.TCPConn)
}

// echoes sends p and expects it back.
func echoes(t testing.TB, conn net.Conn, p []byte) {
	t.Helper()
	if err := roundTrip(conn, p); err != nil {
		t.Fatal(err)
	}
}

func roundTrip(conn io.ReadWriter, p []byte) error {
	sent := make(chan error, 1)
	go func() {
		_, err := conn.Write(p)
		sent <- err
	}()
	got := make([]byte, len(p))
	n, err := io.ReadFull(conn, got)
	if err := errors.Join(err, <-sent); err != nil {
		return fmt.Errorf("%d bytes came back of %d: %w", n, len(p), err)
	}
	if !bytes.Equal(got, p) {
		return fmt.Errorf("%d bytes came back changed", len(p))
	}
	return nil
}

// peer runs a program that nobody here wrote, or fails.
func peer(t testing.TB, input []byte, name string, args ...string) []byte {
	t.Helper()
	path := installed(t, name)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Stdin = bytes.NewReader(input)
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, complaint.Bytes())
	}
	return out
}

func installed(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is not installed", name)
	}
	t.Skipf("%s is not installed", name)
	return ""
}

// noise is n bytes, different everywhere and for every seed.
func noise(seed uint32, n int) []byte {
	p := make([]byte, n)
	x := seed*2654435761 + 1
	for i := range p {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		p[i] = byte(x)
	}
	return p
}
