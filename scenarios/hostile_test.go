package scenarios

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard"
)

// A saboteur does harm in the callback whose name it was sent, and else echoes. It is a Handler of every kind.
type saboteur struct {
	harm  func()
	where string
	ended chan error
}

func (h *saboteur) in(where string) {
	if h.where == where {
		h.harm()
	}
}

func (h *saboteur) Data(c *switchboard.Conn, p []byte) (int, error) {
	switch h.where {
	case "Do":
		c.Do(h.harm)
	case "After":
		c.After(0, h.harm)
	case "Drained":
		for {
			if _, err := c.Write(make([]byte, 100_000)); err != nil {
				return len(p), nil
			}
		}
	case "Closed":
		return 0, io.EOF
	}
	h.in("Data")
	return len(p), nil
}

func (h *saboteur) Opened(c *switchboard.Conn) error                  { h.in("Opened"); return nil }
func (h *saboteur) InputEnded(c *switchboard.Conn, rest []byte) error { h.in("InputEnded"); return nil }
func (h *saboteur) Drained(c *switchboard.Conn)                       { h.in("Drained") }
func (h *saboteur) Leaving(c *switchboard.Conn)                       { h.in("Leaving") }
func (h *saboteur) Closed(c *switchboard.Conn, err error) {
	h.ended <- err
	h.in("Closed")
}

// Every callback is a place for a panic or a runtime.Goexit. Neither costs anybody but its own connection, which ends
// once.
func TestPanicEndsItsOwnConnectionAndNobodyElses(t *testing.T) {
	oops := errors.New("oops")
	for what, harm := range map[string]func(){"panic": func() { panic(oops) }, "Goexit": func() { runtime.Goexit() }} {
		for _, where := range []string{"Accept", "Data", "Do", "After", "InputEnded", "Drained", "Opened", "Closed"} {
			t.Run(what+" in "+where, func(t *testing.T) {
				onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
					s.Loops = 1
					log := logTo(s)
					h := &saboteur{harm: harm, where: where, ended: make(chan error, 10)}
					var victims atomic.Bool
					s.Accept = func(c *switchboard.Conn) (switchboard.Handler, error) {
						if !victims.Load() {
							return echo, nil
						}
						h.in("Accept")
						return h, nil
					}
					address := start(t, s)
					bystander := call(t, address)
					bystander.says("hello")
					bystander.hears("hello")
					victims.Store(true)

					if where == "Opened" {
						l := listen(t)
						if _, err := s.Dial(context.Background(), l.Addr().String(), h); err != nil {
							t.Fatal(err)
						}
					} else if where == "Accept" {
						visit(s, address)
					} else {
						p := call(t, address)
						p.Write([]byte("x"))
						if where == "InputEnded" {
							p.endsOutput()
						}
						io.Copy(io.Discard, p)
						p.Close()
					}
					switch where {
					case "Accept":
					case "Closed":
						if err := next(t, h.ended); err != nil {
							t.Errorf("ended with %v", err)
						}
					default:
						var panicked *switchboard.PanicError
						if err := next(t, h.ended); !errors.As(err, &panicked) || what == "panic" && !errors.Is(err, oops) ||
							!strings.Contains(string(panicked.Stack), "hostile_test.go") {
							t.Errorf("ended with %v", err)
						}
					}
					eventually(t, "the log tells", func() bool { return strings.Contains(log(), "a handler panicked") })
					bystander.says("still there?")
					bystander.hears("still there?")
					eventually(t, "only the bystander is left", func() bool { return s.Stats().Active == 1 })
					if len(h.ended) > 0 {
						t.Errorf("Close was called twice")
					}
				})
			})
		}
	}
}

func TestPanicInDataAndInCloseIsSurvived(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		logTo(s)
		s.Accept = func(c *switchboard.Conn) (switchboard.Handler, error) { return panicky{}, nil }
		address := start(t, s)
		for range 3 {
			p := call(t, address)
			p.says("x")
			io.Copy(io.Discard, p)
		}
		eventually(t, "all are gone", func() bool { st := s.Stats(); return st.Active == 0 && st.Accepted == 3 })
	})
}

type panicky struct{}

func (panicky) Data(*switchboard.Conn, []byte) (int, error) { panic("in Data") }
func (panicky) Closed(*switchboard.Conn, error)             { panic("in Closed") }

// logTo collects what the server logs.
func logTo(s *switchboard.Server) (log func() string) {
	w := new(collector)
	s.Logger = slog.New(slog.NewTextHandler(w, nil))
	return w.String
}

type collector struct {
	mu   sync.Mutex
	text strings.Builder
}

func (w *collector) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.Write(p)
}

func (w *collector) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}

// listen is a listener of package net, for a server to dial.
func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// sendBack echoes until the end of input. It hides the connection's type from io.Copy, which would splice: package net keeps
// the kernel's pipes until the collector runs, and a test that counts descriptors would wait for that.
func sendBack(c net.Conn) {
	io.Copy(struct{ io.Writer }{c}, struct{ io.Reader }{c})
}

func TestHandlerThatBlocksIsNamedInAWarning(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		log := logTo(s)
		s.SlowCall = 20 * time.Millisecond
		named := make(sleeper)
		wake := sync.OnceFunc(func() { close(named) })
		defer wake()
		s.Accept = everyone(named)
		p := call(t, start(t, s))
		p.says("x")
		eventually(t, "the handler is named", func() bool {
			return strings.Contains(log(), "scenarios.sleeper") && strings.Contains(log(), "level=WARN")
		})
		wake()
		p.hears("x")
		eventually(t, "it is counted", func() bool { return s.Stats().Slow >= 1 })
	})
}

// The watch looks at a connection whose handler is only to come, and its own caller panics: with the race detector this shows
// that it shares nothing with the loop.
func TestAcceptThatBlocksIsSeenWhileItGivesTheHandler(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		log := logTo(s)
		s.SlowCall = 20 * time.Millisecond
		s.Trace = &switchboard.Trace{Slow: func(*switchboard.Conn, time.Duration) { panic("of the trace") }}
		s.Accept = func(*switchboard.Conn) (switchboard.Handler, error) {
			time.Sleep(50 * time.Millisecond) // nothing that would order what the loop and the watch do
			return switchboard.DataFunc((*switchboard.Conn).Write), nil
		}
		address := start(t, s)
		eventually(t, "one is seen", func() bool {
			p := call(t, address)
			p.says("x")
			p.hears("x")
			p.Close()
			return strings.Contains(log(), "a handler panicked")
		})
	})
}

// A sleeper waits until the channel is closed.
type sleeper chan struct{}

func (s sleeper) Data(c *switchboard.Conn, p []byte) (int, error) {
	<-s
	return c.Write(p)
}
func (sleeper) Closed(*switchboard.Conn, error) {}

func TestCountOutOfRangeEndsTheConnection(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		for _, n := range []int{-1, 6, 1 << 62, -1 << 63} {
			t.Run(fmt.Sprint(n), func(t *testing.T) {
				s := newServer(t, s.Engine)
				h := watch(func(*switchboard.Conn, []byte) (int, error) { return n, nil })
				s.Accept = everyone(h)
				p := call(t, start(t, s))
				p.says("hello")
				p.hearsFailure("")
				p.Close()
				if err := next(t, h.ended); !errors.Is(err, switchboard.ErrBadCount) {
					t.Errorf("ended with %v", err)
				}
			})
		}
	})
}

func TestUseAfterCloseIsAnErrorAndCloseTwiceIsNot(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		h := watch((*switchboard.Conn).Write)
		conns := accepted(s, h)
		p := call(t, start(t, s))
		c := next(t, conns)
		check := func() {
			t.Helper()
			if _, err := c.Write([]byte("late")); !errors.Is(err, net.ErrClosed) {
				t.Errorf("Write said %v", err)
			}
			if err := c.CloseWrite(); !errors.Is(err, net.ErrClosed) {
				t.Errorf("CloseWrite said %v", err)
			}
			if err := c.Close(); err != nil {
				t.Errorf("a second Close said %v", err)
			}
		}
		c.Write([]byte("goodbye"))
		c.Close()
		check()
		p.hearsEnd("goodbye")
		p.Close()
		if err := next(t, h.ended); err != nil {
			t.Errorf("ended with %v", err)
		}
		check()
		c.Abort()
		stays(t, "it ended once", func() bool { return len(h.ended) == 0 })
	})
}

// Who counts connections by what a Trace tells hears of each that Accept did not serve, however Accept ended.
func TestARefusalIsToldHoweverAcceptEnds(t *testing.T) {
	for what, harm := range map[string]func(){"error": func() {}, "panic": func() { panic("oops") }, "Goexit": func() { runtime.Goexit() }} {
		t.Run(what, func(t *testing.T) {
			onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
				logTo(s)
				var refused, others atomic.Int64
				s.Trace = &switchboard.Trace{
					Opened:  func(*switchboard.Conn) { others.Add(1) },
					Refused: func(*switchboard.Conn, error) { refused.Add(1) },
					Closed:  func(*switchboard.Conn, error) { others.Add(1) },
				}
				s.Accept = func(*switchboard.Conn) (switchboard.Handler, error) {
					harm()
					return nil, errors.New("not today")
				}
				address := start(t, s)
				for range 3 {
					visit(s, address)
				}
				eventually(t, "all are gone", func() bool { st := s.Stats(); return st.Active == 0 && st.Refused == 3 })
				if refused.Load() != 3 || others.Load() != 0 {
					t.Errorf("the trace was told of %d refusals and %d others", refused.Load(), others.Load())
				}
			})
		})
	}
}
