package scenarios

import (
	"errors"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/switchboard-go/switchboard"
)

func TestEchoIsOneExpression(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		s.Accept = everyone(switchboard.DataFunc((*switchboard.Conn).Write))
		p := call(t, start(t, s))
		p.says("hello")
		p.hears("hello")
	})
}

// Each of these says a megabyte, ends its output and hears everything again.
func TestProgramsThatNobodyHereWroteAreServed(t *testing.T) {
	inTheClear(t, func(t *testing.T, s *switchboard.Server) {
		s.Accept = everyone(echo)
		path := filepath.Join(t.TempDir(), "s")
		tcp := start(t, s)
		tcp6, _ := serveAt(t, s, "[::1]:0")
		if hasUnix() {
			serveAt(t, s, path)
		}
		host, port, _ := net.SplitHostPort(tcp)
		_, port6, _ := net.SplitHostPort(tcp6)
		said := noise(1, 1_000_000)
		for _, command := range [][]string{
			{"nc", "-N", host, port},
			{"nc", "-N", "::1", port6},
			{"nc", "-N", "-U", path},
			{"socat", "-t30", "-", "TCP4:" + tcp},
			{"socat", "-t30", "-", "TCP6:" + tcp6},
			{"socat", "-t30", "-", "UNIX-CONNECT:" + path},
		} {
			if strings.Contains(command[len(command)-1], path) && !hasUnix() {
				continue
			}
			if heard := run(t, said, command[0], command[1:]...); heard != said {
				t.Errorf("%v: %d bytes came back of %d", command, len(heard), len(said))
			}
		}
	})
}

func TestWhatDataLeavesIsOfferedAgainWithWhatFollows(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		offered := make(chan string, 10)
		s.Accept = everyone(switchboard.DataFunc(func(c *switchboard.Conn, p []byte) (int, error) {
			offered <- string(p)
			return len(p) / 4 * 4, nil // in messages of four bytes
		}))
		p := call(t, start(t, s))
		for _, turn := range []struct{ said, offered string }{
			{"ab", "ab"}, {"c", "abc"}, {"def", "abcdef"}, {"gh", "ef"}, {"", "efgh"}, {"ij", "ij"},
		} {
			p.says(turn.said)
			if got := next(t, offered); got != turn.offered {
				t.Fatalf("offered %q after %q, want %q", got, turn.said, turn.offered)
			}
		}
	})
}

func TestHandlerMayTakeOneMessageACall(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		var calls count
		s.Accept = everyone(switchboard.DataFunc(func(c *switchboard.Conn, p []byte) (int, error) {
			calls.Add(1)
			c.Write(p[:1])
			return 1, nil
		}))
		p := call(t, start(t, s))
		p.says("0123456789")
		p.hears("0123456789")
		if n := calls.Load(); n != 10 {
			t.Errorf("%d calls for ten messages", n)
		}
		p.endsOutput()
		p.hearsEnd("")
	})
}

func TestErrorOfDataEndsTheConnectionOnceEverythingIsSent(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		enough := errors.New("enough")
		h := watch(func(c *switchboard.Conn, p []byte) (int, error) {
			c.Write([]byte("goodbye"))
			if string(p) == "EOF" {
				return len(p), io.EOF
			}
			return len(p), enough
		})
		s.Accept = everyone(h)
		address := start(t, s)
		for said, want := range map[string]error{"EOF": nil, "x": enough} {
			p := call(t, address)
			p.says(said)
			p.hearsEndFor(want, "goodbye")
			p.Close()
			if err := next(t, h.ended); err != want {
				t.Errorf("the end after %q was %v, want %v", said, err, want)
			}
		}
	})
}

func TestAcceptMayRefuse(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		s.Accept = func(c *switchboard.Conn) (switchboard.Handler, error) {
			c.Write([]byte("busy\n"))
			return nil, errors.New("no room")
		}
		p := call(t, start(t, s))
		p.hearsEnd("busy\n")
		p.Close()
		eventually(t, "nobody is there", func() bool { st := s.Stats(); return st.Refused == 1 && st.Active == 0 })
	})
}

func TestAcceptThatReturnsNoHandlerRefuses(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		why := make(chan error, 1)
		s.Accept = func(c *switchboard.Conn) (switchboard.Handler, error) { return nil, nil }
		s.Trace = &switchboard.Trace{Refused: func(_ *switchboard.Conn, err error) { why <- err }}
		call(t, start(t, s)).hearsEnd("")
		if err := next(t, why); err == nil || !strings.Contains(err.Error(), "no handler") {
			t.Errorf("refused for %v", err)
		}
	})
}

func TestAnotherHandlerMayTakeOverInTheMiddle(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		second := watch((*switchboard.Conn).Write)
		s.Accept = everyone(switchboard.DataFunc(func(c *switchboard.Conn, p []byte) (int, error) {
			if _, _, ok := strings.Cut(string(p), "\n"); !ok {
				return 0, nil
			}
			c.SetHandler(second)
			return strings.Index(string(p), "\n") + 1, nil
		}))
		p := call(t, start(t, s))
		p.says("upg")
		p.says("rade\nwhat follows")
		p.hears("what follows")
		p.Close()
		if err := next(t, second.ended); err != nil {
			t.Error(err)
		}
	})
}

func TestPausedConnectionIsNotReadUntilResume(t *testing.T) {
	inTheClear(t, func(t *testing.T, s *switchboard.Server) {
		conns := make(chan *switchboard.Conn, 1)
		s.Accept = everyone(switchboard.DataFunc(func(c *switchboard.Conn, p []byte) (int, error) {
			if p[0] == '!' {
				c.Pause()
				conns <- c
				return 1, nil
			}
			return c.Write(p)
		}))
		p := call(t, start(t, s))
		p.says("!one")
		c := next(t, conns)
		p.says("two")
		stays(t, "nothing is read", func() bool { return c.Received() <= 4 && c.Sent() == 0 })
		c.Do(c.Resume)
		p.hears("onetwo")
	})
}

func TestPauseAndResumeInOneTurnChangeNothing(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		s.Accept = everyone(switchboard.DataFunc(func(c *switchboard.Conn, p []byte) (int, error) {
			c.Pause()
			c.Resume()
			return c.Write(p[:1])
		}))
		p := call(t, start(t, s))
		p.says("abcdef")
		p.hears("abcdef")
		p.endsOutput()
		p.hearsEnd("")
	})
}

func TestDoRunsOnTheLoopInOrder(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		conns := make(chan *switchboard.Conn, 1)
		s.Accept = everyone(switchboard.DataFunc(func(c *switchboard.Conn, p []byte) (int, error) {
			conns <- c
			return len(p), nil
		}))
		p := call(t, start(t, s))
		p.says("x")
		c := next(t, conns)
		n, nested := 0, make(chan int, 1) // n belongs to the loop: the race detector tells if that is not so
		for i := range 1000 {
			c.Do(func() {
				if n != i {
					t.Errorf("call %d ran after %d", i, n)
				}
				n++
			})
		}
		c.Do(func() {
			c.Do(func() { nested <- n })
			n = -1
		})
		if got := next(t, nested); got != -1 {
			t.Errorf("Do on the loop ran its function before it returned: %d", got)
		}
	})
}

func TestDoSaysThatTheConnectionIsGone(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		conns := make(chan *switchboard.Conn, 1)
		h := watch(func(c *switchboard.Conn, p []byte) (int, error) { conns <- c; return len(p), nil })
		s.Accept = everyone(h)
		p := call(t, start(t, s))
		p.says("x")
		c := next(t, conns)
		p.resets()
		next(t, h.ended)
		if err := c.Do(func() { t.Error("ran") }); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Do said %v", err)
		}
	})
}

func TestOneLineServes(t *testing.T) {
	// switchboard.ListenAndServe serves until the process ends, so only that it cannot is tried here.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := switchboard.ListenAndServe(l.Addr().String(), echo); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("a port in use gave %v", err)
	}
}
