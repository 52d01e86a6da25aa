package zmtp_test

import (
	"flag"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard/internal/systest"
	"github.com/switchboard-go/switchboard/internal/testshard"
	"github.com/switchboard-go/switchboard/zmtp"
)

// heap returns the bytes of live objects.
func heap() int {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// TestMain fails if a test has left a goroutine behind.
func TestMain(m *testing.M) {
	code := testshard.Run(m)
	if code == 0 {
		for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
			left := ours()
			if left == "" {
				break
			}
			if time.Now().After(end) {
				os.Stderr.WriteString("goroutines were left behind:\n" + left)
				code = 1
				break
			}
		}
	}
	os.Exit(code)
}

// ours returns the stacks of goroutines of this module, without the one that asks.
func ours() string {
	b := make([]byte, 1<<20)
	b = b[:runtime.Stack(b, true)]
	var left []string
	for _, stack := range strings.Split(string(b), "\n\n") {
		if strings.Contains(stack, "switchboard") && !strings.Contains(stack, "TestMain") {
			left = append(left, stack)
		}
	}
	return strings.Join(left, "\n\n")
}

const patience = 30 * time.Second // for anything that should come at once

var engine = flag.String("engine", "", "what carries the loops in the tests")

// newContext returns a Context that ends with the test, which fails if something of it is left.
func newContext(t *testing.T) *zmtp.Context {
	t.Helper()
	c := &zmtp.Context{Engine: *engine}
	t.Cleanup(func() { c.Close() })
	return c
}

func socketOf(t *testing.T, c *zmtp.Context, typ zmtp.Type, o *zmtp.Options) *zmtp.Socket {
	t.Helper()
	s, err := c.NewSocket(typ, o)
	if err != nil {
		t.Fatal(err)
	}
	s.SetDeadline(time.Now().Add(patience))
	t.Cleanup(func() { s.Close() })
	return s
}

func bind(t *testing.T, s *zmtp.Socket, endpoint string) string {
	t.Helper()
	got, err := s.Bind(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func connect(t *testing.T, s *zmtp.Socket, endpoint string) {
	t.Helper()
	if err := s.Connect(endpoint); err != nil {
		t.Fatal(err)
	}
}

func send(t *testing.T, s *zmtp.Socket, parts ...string) {
	t.Helper()
	if err := s.Send(bytesOf(parts)...); err != nil {
		t.Fatal(err)
	}
}

func bytesOf(parts []string) (b [][]byte) {
	for _, part := range parts {
		b = append(b, []byte(part))
	}
	return b
}

func receive(t *testing.T, s *zmtp.Socket) string {
	t.Helper()
	parts, err := s.Recv()
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, part := range parts {
		all = append(all, string(part))
	}
	return strings.Join(all, "|")
}

func expect(t *testing.T, s *zmtp.Socket, want string) {
	t.Helper()
	if got := receive(t, s); got != want {
		t.Fatalf("received %q, want %q", got, want)
	}
}

// eventually waits for something that no call waits for.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

// overTransports runs f with an endpoint to bind of each transport.
func overTransports(t *testing.T, f func(t *testing.T, endpoint string)) {
	for _, transport := range []string{"tcp", "ipc", "inproc"} {
		t.Run(transport, func(t *testing.T) {
			switch transport {
			case "tcp":
				f(t, "tcp://127.0.0.1:*")
			case "ipc":
				systest.NeedUnix(t)
				f(t, "ipc://"+filepath.Join(t.TempDir(), "s"))
			default:
				f(t, "inproc://"+t.Name())
			}
		})
	}
}
