package scenarios

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/internal/systest"
	"github.com/switchboard-go/switchboard/socket"
)

// A dialler is a Handler of dialled connections that passes on what it is told.
type dialler struct {
	*watched
	opened chan *switchboard.Conn
	err    error // of Open
}

func newDialler() *dialler {
	h := &dialler{opened: make(chan *switchboard.Conn, 10000)}
	h.watched = watch(func(c *switchboard.Conn, p []byte) (int, error) { return len(p), nil })
	return h
}

func (h *dialler) Opened(c *switchboard.Conn) error {
	h.opened <- c
	return h.err
}

// dialling is a server that only dials.
func dialling(t *testing.T, s *switchboard.Server) { t.Cleanup(func() { stop(s) }) }

func dial(t testing.TB, s *switchboard.Server, address string, h switchboard.Handler) *switchboard.Conn {
	t.Helper()
	c, err := s.Dial(context.Background(), address, h)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestDialledConnectionIsServedLikeAnAcceptedOne(t *testing.T) {
	inTheClear(t, func(t *testing.T, s *switchboard.Server) {
		s.Accept = everyone(echo)
		path := filepath.Join(t.TempDir(), "s")
		serveAt(t, s, path)
		tcp6, _ := serveAt(t, s, "[::1]:0")
		for _, address := range []string{start(t, s), tcp6, path} {
			heard := make(chan string, 10)
			h := newDialler()
			h.data = func(c *switchboard.Conn, p []byte) (int, error) {
				heard <- string(p)
				return len(p), nil
			}
			c := dial(t, s, address, h)
			if got := c.RemoteAddr().String(); got != address {
				t.Errorf("RemoteAddr is %s before it is there, want %s", got, address)
			}
			c.Write([]byte("written at once"))
			if next(t, h.opened) != c {
				t.Error("Open was told of another")
			}
			if got := next(t, heard); got != "written at once" {
				t.Errorf("heard %q", got)
			}
			if got := c.RemoteAddr().String(); got != address {
				t.Errorf("RemoteAddr is %s, want %s", got, address)
			}
			if c.LocalAddr() == nil {
				t.Error("no LocalAddr")
			}
			c.Close()
			if err := next(t, h.ended); err != nil {
				t.Errorf("ended with %v", err)
			}
		}
		eventually(t, "it is counted", func() bool { return s.Stats().Dialled == 3 })
	})
}

func TestDialOfNobodyIsRefused(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		dialling(t, s)
		l := listen(t)
		l.Close()
		refusals := map[string]error{
			l.Addr().String():   syscall.ECONNREFUSED,
			"255.255.255.255:1": syscall.ENETUNREACH,
		}
		if runtime.GOOS != "windows" {
			refusals[filepath.Join(t.TempDir(), "nobody")] = syscall.ENOENT
			refusals["@nobody-is-here"] = syscall.ECONNREFUSED
		}
		for address, want := range refusals {
			h := newDialler()
			c := dial(t, s, address, h)
			_, refused := c.Write([]byte("lost")) // if it is not over by now
			err := next(t, h.ended)
			if !errors.Is(err, want) && want != syscall.ENETUNREACH || !strings.HasPrefix(err.Error(), "dial ") ||
				!strings.Contains(err.Error(), address) {
				t.Errorf("dial of %s ended with %v", address, err)
			}
			if errors.Is(err, switchboard.ErrUnsent) != (refused == nil) {
				t.Errorf("%v does not say that something was not sent", err)
			}
			if len(h.opened) > 0 {
				t.Error("it was opened")
			}
		}
		eventually(t, "nothing is left", func() bool { return s.Stats().Active == 0 })
	})
}

func TestDialOfWhatIsNoAddressIsAnErrorAtOnce(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		dialling(t, s)
		for _, address := range []string{"", "nothing", "127.0.0.1", "127.0.0.1:http2", "127.0.0.1:70000", "[::1", "[fe80::1%no-such-zone]:1"} {
			c, err := s.Dial(context.Background(), address, newDialler())
			if c != nil || err == nil || !strings.HasPrefix(err.Error(), "dial ") {
				t.Errorf("dial of %q: %v, %v", address, c, err)
			}
			if strings.Contains(address, "no-such-zone") && !strings.Contains(err.Error(), `there is no network interface "no-such-zone"`) {
				t.Errorf("dial of %q: %v, which does not say that the zone is missing", address, err)
			}
		}
		if _, err := s.Dial(context.Background(), "127.0.0.1:1", nil); err == nil {
			t.Error("a dial without a handler")
		}
		if n := s.Stats().Active; n != 0 {
			t.Errorf("%d are active", n)
		}
	})
}

// blackHole is an address whose backlog is full, so that nobody answers who connects.
func blackHole(t testing.TB) (address string) {
	t.Helper()
	l, err := socket.CreateServer("127.0.0.1:0", &socket.ServerOptions{Backlog: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	a, err := l.LocalAddr()
	if err != nil {
		t.Fatal(err)
	}
	// A backlog of 1 has room for two on most systems. Before they are in it, a dial that times out tells of a busy machine.
	for waiting, late := 0, 0; waiting+late < 20; {
		c, err := net.DialTimeout("tcp", a.String(), 50*time.Millisecond)
		var timeout net.Error
		switch {
		case errors.As(err, &timeout) && timeout.Timeout():
			if late++; waiting >= 2 || late >= 10 {
				return a.String()
			}
		case err != nil:
			t.Fatal(err)
		default:
			waiting, late = waiting+1, 0
			t.Cleanup(func() { c.Close() })
		}
	}
	t.Skip("a full backlog answers on this system")
	return ""
}

func TestDialOfABlackHoleTimesOut(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		dialling(t, s)
		s.DialTimeout = 60 * time.Millisecond
		address := blackHole(t)
		h := newDialler()
		began := time.Now()
		for range 100 {
			dial(t, s, address, h)
		}
		for range 100 {
			err := next(t, h.ended)
			var timeout net.Error
			if !errors.Is(err, syscall.ETIMEDOUT) || !errors.As(err, &timeout) || !timeout.Timeout() {
				t.Fatalf("ended with %v", err)
			}
		}
		if took := time.Since(began); took < 60*time.Millisecond {
			t.Errorf("timed out after %v", took)
		}
	})
}

func TestManyDialsAtOnce(t *testing.T) {
	inTheClear(t, func(t *testing.T, s *switchboard.Server) {
		const many = 500
		s.Accept = everyone(echo)
		path := filepath.Join(t.TempDir(), "s")
		serveAt(t, s, path)
		for _, address := range []string{start(t, s), path} {
			h := newDialler()
			heard := make(chan bool, many)
			h.data = func(c *switchboard.Conn, p []byte) (int, error) {
				heard <- true
				c.Close()
				return len(p), nil
			}
			for range many {
				dial(t, s, address, h).Write([]byte("x"))
			}
			for range many {
				next(t, heard)
			}
			for range many {
				if err := next(t, h.ended); err != nil {
					t.Errorf("ended with %v", err)
				}
			}
		}
	})
}

// A Unix socket whose backlog is full refuses at once where TCP lets the client wait.
func TestDialWaitsForAUnixBacklog(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		path := filepath.Join(t.TempDir(), "s")
		l, err := socket.CreateServer(path, &socket.ServerOptions{Backlog: 1})
		if errors.Is(err, errors.ErrUnsupported) {
			t.Skip(err)
		}
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		dialling(t, s)
		h := newDialler()
		for range 4 {
			dial(t, s, path, h)
		}
		for range 4 {
			c, _, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
		}
		for range 4 {
			next(t, h.opened)
		}
	})
}

func TestErrorOfOpenEndsTheConnection(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		s.Accept = everyone(echo)
		h := newDialler()
		h.err = errors.New("not this one")
		dial(t, s, start(t, s), h)
		if err := next(t, h.ended); err != h.err {
			t.Errorf("ended with %v", err)
		}
	})
}

func TestDialOnAConnectionsLoopStaysThere(t *testing.T) {
	inTheClear(t, func(t *testing.T, s *switchboard.Server) {
		s.Loops = 3
		conns := accepted(s, echo)
		address := start(t, s)
		for range 3 {
			call(t, address)
			c := next(t, conns)
			h := newDialler()
			d, err := c.Dial(context.Background(), address, h)
			if err != nil {
				t.Fatal(err)
			}
			next(t, h.opened)
			next(t, conns)
			if d.Loop() != c.Loop() {
				t.Errorf("on loop %d, not %d", d.Loop(), c.Loop())
			}
		}
	})
}

func TestPeerThatResetsDuringConnectIsSurvived(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		dialling(t, s)
		l := listen(t)
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				c.(*net.TCPConn).SetLinger(0)
				c.Close()
			}
		}()
		h := newDialler()
		h.data = func(c *switchboard.Conn, p []byte) (int, error) { return 0, fmt.Errorf("data: %q", p) }
		for range 100 {
			dial(t, s, l.Addr().String(), h)
		}
		for range 100 {
			if err := next(t, h.ended); !systest.Is(err, syscall.ECONNRESET) && !systest.Is(err, syscall.EPIPE) {
				t.Errorf("ended with %v", err)
			}
		}
	})
}

func TestDialControlSeesEverySocket(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		no := errors.New("no")
		var calls count
		s.DialControl = func(fd int) error {
			if calls.Add(1) > 1 {
				return no
			}
			return nil
		}
		s.Accept = everyone(echo)
		address := start(t, s)
		h := newDialler()
		dial(t, s, address, h)
		next(t, h.opened)
		dial(t, s, address, h)
		if err := next(t, h.ended); !errors.Is(err, no) {
			t.Errorf("ended with %v", err)
		}
	})
}
