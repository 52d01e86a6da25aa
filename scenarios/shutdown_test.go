package scenarios

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard"
)

// shutdown is Server.Shutdown with a context that only a failing test sees the end of.
func shutdown(t testing.TB, s *switchboard.Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}

// A connection that its handler has paused is not idle: what its peer sends meanwhile is served before the server ends.
func TestShutdownWaitsForWhoIsPaused(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		conns := accepted(s, echo)
		p := call(t, start(t, s))
		p.says("before")
		p.hears("before")
		c := next(t, conns)
		onLoop(t, c, c.Pause)
		over := make(chan bool)
		go func() {
			shutdown(t, s)
			close(over)
		}()
		stays(t, "the server waits", func() bool { return s.Stats().Active > 0 })
		p.says("meanwhile")
		onLoop(t, c, func() { c.Resume() })
		p.hearsEnd("meanwhile")
		p.Close()
		next(t, over)
	})
}

// Each client asks again as soon as it has its answer. Every request that the server took is answered whole, and then
// there is an end and no reset.
func TestShutdownUnderLoadLosesNoAcceptedByte(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		var taken, answered atomic.Int64
		reply := noise(9, 20_000)
		s.Accept = everyone(switchboard.Frames(bufio.ScanLines, func(c *switchboard.Conn, m []byte) error {
			taken.Add(1)
			_, err := c.Write([]byte(reply))
			return err
		}))
		address := start(t, s)
		var clients sync.WaitGroup
		for range 20 {
			p := call(t, address)
			clients.Go(func() {
				defer p.Close()
				got := make([]byte, len(reply))
				for {
					if _, err := io.WriteString(p, "request\n"); err != nil {
						t.Errorf("request: %v", err)
						return
					}
					n, err := io.ReadFull(p, got)
					if err == io.EOF {
						return
					}
					if err != nil || string(got) != reply {
						t.Errorf("%d bytes of an answer, %v", n, err)
						return
					}
					answered.Add(1)
				}
			})
		}
		eventually(t, "there is load", func() bool { return answered.Load() > 500 })
		shutdown(t, s)
		clients.Wait()
		if taken.Load() != answered.Load() {
			t.Errorf("%d requests were taken and %d answered", taken.Load(), answered.Load())
		}
	})
}

func TestShutdownSendsWhatIsQueued(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		s.QueueLimit = 16 << 20
		all := noise(10, 10_000_000)
		conns := accepted(s, echo)
		p := call(t, start(t, s))
		p.says("x")
		p.hears("x")
		c := next(t, conns)
		c.Write([]byte(all))
		done := make(chan bool)
		go func() {
			shutdown(t, s)
			close(done)
		}()
		stays(t, "it waits for the queue", func() bool { return len(done) == 0 && c.Queued() > 0 })
		p.hearsEnd(all)
		p.Close()
		next(t, done)
	})
}

// A courteous handler says goodbye when the server leaves, and then waits for its peer's last word.
type courteous struct{ *watched }

func (h *courteous) Leaving(c *switchboard.Conn) { c.Write([]byte("leaving\n")) }

func TestLeaverSaysGoodbyeAndClosesItself(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		h := &courteous{watch(func(c *switchboard.Conn, p []byte) (int, error) {
			c.Write([]byte("you said " + string(p)))
			if string(p) == "bye" {
				c.Close()
			}
			return len(p), nil
		})}
		s.Accept = everyone(h)
		p := call(t, start(t, s))
		p.says("x")
		p.hears("you said x")
		done := make(chan bool)
		go func() {
			shutdown(t, s)
			close(done)
		}()
		p.hears("leaving\n")
		p.says("wait")
		p.hears("you said wait")
		stays(t, "it waits", func() bool { return len(done) == 0 && len(h.ended) == 0 })
		p.says("bye")
		p.hearsEnd("you said bye")
		p.Close()
		if err := next(t, h.ended); err != nil {
			t.Errorf("ended with %v", err)
		}
		next(t, done)
	})
}

func TestShutdownWaitsForHalfAMessage(t *testing.T) {
	inTheClear(t, func(t *testing.T, s *switchboard.Server) {
		s.Accept = everyone(switchboard.Frames(bufio.ScanLines, func(c *switchboard.Conn, m []byte) error {
			_, err := c.Write(append(m, '\n'))
			return err
		}))
		conns := make(chan *switchboard.Conn, 1)
		s.Trace = &switchboard.Trace{Opened: func(c *switchboard.Conn) { conns <- c }}
		p := call(t, start(t, s))
		p.says("half a ")
		c := next(t, conns)
		eventually(t, "it is received", func() bool { return c.Received() == 7 })
		done := make(chan bool)
		go func() {
			shutdown(t, s)
			close(done)
		}()
		stays(t, "it waits", func() bool { return len(done) == 0 })
		p.says("message\n")
		p.hearsEnd("half a message\n")
		p.Close()
		next(t, done)
	})
}

func TestShutdownWaitsNoLongerThanItsContext(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		h := patient{watch((*switchboard.Conn).Write)}
		s.Accept = everyone(h)
		p := call(t, start(t, s))
		p.says("x")
		p.hears("x")
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
		defer cancel()
		if err := s.Shutdown(ctx); err != context.DeadlineExceeded {
			t.Errorf("Shutdown: %v", err)
		}
		if err := next(t, h.ended); !errors.Is(err, switchboard.ErrServerClosed) {
			t.Errorf("ended with %v", err)
		}
	})
}

func TestEverythingAfterTheEndSaysSo(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		for name, end := range map[string]func(s *switchboard.Server){
			"Shutdown": func(s *switchboard.Server) { shutdown(t, s) },
			"Close":    func(s *switchboard.Server) { s.Close() },
		} {
			for _, served := range []bool{true, false} {
				t.Run(fmt.Sprint(name, " having served ", served), func(t *testing.T) {
					s := newServer(t, s.Engine)
					s.Accept = everyone(echo)
					if served {
						p := call(t, start(t, s))
						p.says("x")
						p.hears("x")
						p.Close()
					}
					end(s)
					end(s)
					if err := s.ListenAndServe("127.0.0.1:0"); err != switchboard.ErrServerClosed {
						t.Errorf("ListenAndServe: %v", err)
					}
					if err := s.Serve(listen(t)); err != switchboard.ErrServerClosed {
						t.Errorf("Serve: %v", err)
					}
					if _, err := s.Dial(context.Background(), "127.0.0.1:1", echo); err != switchboard.ErrServerClosed {
						t.Errorf("Dial: %v", err)
					}
				})
			}
		}
	})
}

func TestCloseEndsEverythingAtOnce(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		h := patient{watch((*switchboard.Conn).Write)}
		s.Accept = everyone(h)
		address, served := serveAt(t, s, "127.0.0.1:0")
		var peers []peer
		for range 50 {
			p := call(t, address)
			p.says("x")
			p.hears("x")
			peers = append(peers, p)
		}
		s.Close()
		for _, p := range peers {
			io.Copy(io.Discard, p)
			if err := next(t, h.ended); !errors.Is(err, switchboard.ErrServerClosed) {
				t.Errorf("ended with %v", err)
			}
		}
		if err := next(t, served); err != switchboard.ErrServerClosed {
			t.Errorf("ServeSocket returned %v", err)
		}
		if _, err := net.Dial("tcp", address); err == nil {
			t.Error("somebody still listens")
		}
	})
}

func TestCloseEndsAShutdownThatWaits(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		h := patient{watch((*switchboard.Conn).Write)}
		s.Accept = everyone(h)
		p := call(t, start(t, s))
		p.says("x")
		p.hears("x")
		done := make(chan error, 2)
		for range 2 {
			go func() { done <- s.Shutdown(context.Background()) }()
		}
		eventually(t, "it shuts down", func() bool {
			_, err := s.Dial(context.Background(), "127.0.0.1:1", echo)
			return err != nil
		})
		s.Close()
		for range 2 {
			next(t, done)
		}
		next(t, h.ended)
	})
}

func TestEndsWhileClientsStreamIn(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		for i := range 10 {
			s := newServer(t, s.Engine)
			s.LingerTimeout = 10 * time.Millisecond
			var opened, closed atomic.Int64
			s.Accept = func(c *switchboard.Conn) (switchboard.Handler, error) {
				opened.Add(1)
				return &closing{&closed}, nil
			}
			address := start(t, s)
			var clients sync.WaitGroup
			for range 4 {
				clients.Go(func() {
					for {
						c, err := net.Dial("tcp", address)
						if err != nil {
							return
						}
						io.WriteString(c, "hello")
						if opened.Load()%2 == 0 {
							c.Close()
						} else {
							defer c.Close()
						}
					}
				})
			}
			eventually(t, "clients stream in", func() bool { return opened.Load() > 20 })
			if i%2 == 0 {
				stop(s)
			} else {
				shutdown(t, s)
			}
			clients.Wait()
			if opened.Load() != closed.Load() {
				t.Errorf("%d connections were opened and %d closed", opened.Load(), closed.Load())
			}
		}
	})
}

type closing struct{ closed *atomic.Int64 }

func (h *closing) Data(c *switchboard.Conn, p []byte) (int, error) { return c.Write(p) }
func (h *closing) Closed(*switchboard.Conn, error)                 { h.closed.Add(1) }

// Serve says within about a second that its listener was closed under it. The connections live on.
func TestListenerClosedUnderTheServer(t *testing.T) {
	leavesNothing(t)
	for _, engine := range engines() {
		t.Run(engine, func(t *testing.T) {
			t.Parallel() // most of it is waiting
			s := newServer(t, engine)
			s.Accept = everyone(echo)
			l := listen(t)
			address := l.Addr().String()
			other := start(t, s)
			served := make(chan error, 1)
			go func() { served <- s.Serve(l) }()
			p := call(t, address)
			p.says("x")
			p.hears("x")
			l.Close()
			if err := next(t, served); !errors.Is(err, net.ErrClosed) || !strings.Contains(err.Error(), address) {
				t.Errorf("Serve returned %v", err)
			}
			p.says("still there?")
			p.hears("still there?")
			q := call(t, other)
			q.says("and here?")
			q.hears("and here?")
		})
	}
}
