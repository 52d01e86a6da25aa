package socket

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"
)

// children are the parts of this program that tests run in a process of their own, by name.
var children = map[string]func() error{}

const childVariable = "SWITCHBOARD_SOCKET_TEST_CHILD"

func TestMain(m *testing.M) {
	if name := os.Getenv(childVariable); name != "" {
		if err := children[name](); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	startPoller()
	goroutines, before := runtime.NumGoroutine(), openFiles()
	code := m.Run()
	if flag.Lookup("test.fuzz").Value.String() != "" {
		os.Exit(code) // fuzzing leaves goroutines of its own
	}
	if code == 0 && !settled(func() bool { return runtime.NumGoroutine() <= goroutines }) {
		stacks := make([]byte, 1<<20)
		fmt.Printf("goroutines are left:\n%s\n", stacks[:runtime.Stack(stacks, true)])
		code = 1
	}
	if code == 0 && !settled(func() bool { return len(openFiles()) <= len(before) }) {
		fmt.Printf("descriptors are left: %v at the start, %v now\n", before, openFiles())
		code = 1
	}
	os.Exit(code)
}

// openFiles returns what the descriptors of this process are, save for the runtime's own.
func openFiles() (list []string) {
	dir := "/proc/self/fd"
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		name, err := os.Readlink(dir + "/" + e.Name())
		if err == nil && !strings.HasPrefix(name, "anon_inode:") && !strings.HasPrefix(name, "/proc") {
			list = append(list, e.Name()+" "+name)
		}
	}
	return list
}

// child prepares to run a part of this program in a process of its own.
func child(name string) *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	// The race detector would have every process sleep for a second before it ends.
	cmd.Env = append(os.Environ(), childVariable+"="+name, "GORACE=atexit_sleep_ms=0")
	cmd.Stderr = os.Stderr
	return cmd
}

// settled waits for a condition, up to ten seconds.
func settled(condition func() bool) bool {
	for end := time.Now().Add(10 * time.Second); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}

// waitParked waits until n goroutines are parked in the method of Socket.
func waitParked(t *testing.T, method string, n int) {
	t.Helper()
	stacks := make([]byte, 1<<20)
	if !settled(func() bool {
		found := 0
		for _, g := range bytes.Split(stacks[:runtime.Stack(stacks, true)], []byte("\n\n")) {
			if bytes.Contains(g, []byte(waitState)) && bytes.Contains(g, []byte("(*Socket)."+method+"(")) {
				found++
			}
		}
		return found >= n
	}) {
		t.Fatalf("not %d goroutines in %s", n, method)
	}
}

// in returns what a call in another goroutine ends with.
func in(call func() error) <-chan error {
	done := make(chan error, 1)
	go func() { done <- call() }()
	return done
}

func noError(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// supported skips the test if the system lacks what made err.
func supported(t testing.TB, err error) {
	t.Helper()
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	}
	noError(t, err)
}

// needUnix skips the test if the system has no Unix sockets.
func needUnix(t testing.TB) {
	t.Helper()
	made(t, AF_UNIX, SOCK_STREAM)
}

// listening makes a server and returns it with its address.
func listening(t testing.TB, address string, o *ServerOptions) (*Socket, Addr) {
	t.Helper()
	l, err := CreateServer(address, o)
	supported(t, err)
	t.Cleanup(func() { l.Close() })
	return l, localAddr(t, l)
}

func localAddr(t testing.TB, s *Socket) Addr {
	t.Helper()
	a, err := s.LocalAddr()
	noError(t, err)
	return a
}

// made is New, closed when the test ends.
func made(t testing.TB, family, typ int) *Socket {
	t.Helper()
	s, err := New(family, typ, 0)
	supported(t, err)
	t.Cleanup(func() { s.Close() })
	return s
}

func connectedTo(t testing.TB, to Addr) *Socket {
	t.Helper()
	s := made(t, to.Family(), SOCK_STREAM)
	noError(t, s.Connect(to))
	return s
}

func accepted(t testing.TB, l *Socket) *Socket {
	t.Helper()
	s, _, err := l.Accept()
	noError(t, err)
	t.Cleanup(func() { s.Close() })
	return s
}

// tcpPair returns two ends of a TCP connection.
func tcpPair(t testing.TB) (x, y *Socket) {
	t.Helper()
	l, to := listening(t, "127.0.0.1:0", nil)
	x = connectedTo(t, to)
	return x, accepted(t, l)
}

// unixPair returns two connected Unix sockets.
func unixPair(t testing.TB, typ int) (x, y *Socket) {
	t.Helper()
	x, y, err := Pair(AF_UNIX, typ, 0)
	supported(t, err)
	t.Cleanup(func() {
		x.Close()
		y.Close()
	})
	return x, y
}

// boundDatagram returns a datagram socket on loopback.
func boundDatagram(t testing.TB, family int) (*Socket, Addr) {
	t.Helper()
	s := made(t, family, SOCK_DGRAM)
	host := "127.0.0.1:0"
	if family == AF_INET6 {
		host = "[::1]:0"
	}
	noError(t, s.Bind(parsed(t, host)))
	return s, localAddr(t, s)
}

// blackHole returns the address of a server that never answers: its backlog is full, and so the system drops who comes.
func blackHole(t testing.TB, address string) Addr {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("Windows refuses who finds the backlog full")
	}
	_, to := listening(t, address, &ServerOptions{Backlog: 1})
	connectedTo(t, to)
	connectedTo(t, to)
	return to
}

func parsed(t testing.TB, s string) Addr {
	t.Helper()
	a, err := ParseAddr(s)
	noError(t, err)
	return a
}
