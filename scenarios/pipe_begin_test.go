package scenarios

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/switchboard-go/switchboard"
)

func TestPipeBeginsWithWhatWasReceivedBefore(t *testing.T) {
	onOneLoopAndOnTwo(t, func(t *testing.T, s *switchboard.Server) {
		pair := accepted(s, watch(func(c *switchboard.Conn, p []byte) (int, error) {
			c.Pause()
			return 0, nil
		}))
		address := start(t, s)
		one, other := call(t, address), call(t, address)
		a, b := next(t, pair), next(t, pair)
		one.says("early")
		other.says("too")
		eventually(t, "both are received", func() bool { return a.Received() > 0 && b.Received() > 0 })
		onLoop(t, a, func() { switchboard.Pipe(a, b) })
		one.says(" and late")
		other.hears("early and late")
		one.hears("too")
	})
}

func TestPipeOnToADialledConnection(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		backend := newServer(t, s.Engine)
		backend.Accept = everyone(switchboard.DataFunc(func(c *switchboard.Conn, p []byte) (int, error) {
			c.Write([]byte(strings.ToUpper(string(p))))
			return len(p), nil
		}))
		to := start(t, backend)
		ends := make(chan error, 10)
		s.Trace = &switchboard.Trace{Closed: func(_ *switchboard.Conn, err error) { ends <- err }}
		s.Accept = func(c *switchboard.Conn) (switchboard.Handler, error) {
			d, err := c.Dial(context.Background(), to, switchboard.DataFunc((*switchboard.Conn).Write))
			if err != nil {
				return nil, err
			}
			c.SetHandler(echo)
			switchboard.Pipe(c, d)
			return c.Handler(), nil
		}
		p := call(t, start(t, s))
		p.says("hello")
		p.hears("HELLO")
		p.endsOutput()
		p.hearsEnd("")
		for range 2 {
			if err := next(t, ends); err != nil {
				t.Errorf("ended with %v", err)
			}
		}
	})
}

func TestPipeToNobodyEndsTheClient(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		nobody := listen(t)
		nobody.Close()
		client, target := watch(func(c *switchboard.Conn, p []byte) (int, error) { return 0, nil }), watch(nil)
		s.Accept = func(c *switchboard.Conn) (switchboard.Handler, error) {
			c.Do(func() {
				d, err := c.Dial(context.Background(), nobody.Addr().String(), target)
				if err != nil {
					t.Error(err)
				}
				switchboard.Pipe(c, d)
			})
			return client, nil
		}
		visit(s, start(t, s))
		if err := next(t, client.ended); !errors.Is(err, switchboard.ErrPiped) {
			t.Errorf("the client's ended with %v", err)
		}
		var op *net.OpError
		if err := next(t, target.ended); !errors.As(err, &op) || op.Op != "dial" {
			t.Errorf("the target's ended with %v", err)
		}
	})
}

// A handler that paused its connection until the target is there need not think of Resume.
func TestPipeResumesWhatWasPaused(t *testing.T) {
	onOneLoopAndOnTwo(t, func(t *testing.T, s *switchboard.Server) {
		pair := accepted(s, watch(nil))
		address := start(t, s)
		one := call(t, address)
		a := next(t, pair)
		other := call(t, address)
		b := next(t, pair)
		onLoop(t, b, b.Pause)
		onLoop(t, a, func() {
			a.Pause()
			switchboard.Pipe(a, b)
		})
		one.says("hello")
		other.hears("hello")
		other.says("hello")
		one.hears("hello")
	})
}

// What a handler kept until its target was there is sent first, however much it is.
func TestPipeBeginsWithMoreThanAQueueHolds(t *testing.T) {
	onOneLoopAndOnTwo(t, func(t *testing.T, s *switchboard.Server) {
		s.InputLimit, s.QueueLimit = 4<<20, 1<<20
		pair := accepted(s, watch(func(c *switchboard.Conn, p []byte) (int, error) { return 0, nil }))
		address := start(t, s)
		one, other := call(t, address), call(t, address)
		a, b := next(t, pair), next(t, pair)
		if a.RemoteAddr().String() != one.LocalAddr().String() {
			a, b = b, a
		}
		all := noise(32, 3_500_000)
		go io.WriteString(one, all)
		kept := 0
		eventually(t, "it is kept", func() bool {
			onLoop(t, a, func() { kept = a.Buffered() })
			return kept == len(all)
		})
		onLoop(t, a, func() { switchboard.Pipe(a, b) })
		one.endsOutput()
		other.hearsEnd(all)
	})
}

// Either connection may be gone before they are joined: the other ends, and its peer sees that something failed.
func TestPipeWithAConnectionThatIsGone(t *testing.T) {
	onOneLoopAndOnTwo(t, func(t *testing.T, s *switchboard.Server) {
		for _, first := range []bool{true, false} {
			s := newServer(t, s.Engine)
			h := watch((*switchboard.Conn).Write)
			pair := accepted(s, h)
			address := start(t, s)
			gone, stays := call(t, address), peer{}
			a := next(t, pair)
			stays = call(t, address)
			b := next(t, pair)
			gone.resets()
			next(t, h.ended)
			onLoop(t, b, func() {
				if first {
					switchboard.Pipe(a, b)
				} else {
					switchboard.Pipe(b, a)
				}
			})
			stays.hearsFailure("")
			if err := next(t, h.ended); !errors.Is(err, switchboard.ErrPiped) {
				t.Errorf("ended with %v", err)
			}
		}
	})
}

// Pipe may be called in Accept, whose handler is told of the end all the same.
func TestPipeInAccept(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		target := listen(t)
		go func() {
			for {
				c, err := target.Accept()
				if err != nil {
					return
				}
				go func() {
					sendBack(c)
					c.Close()
				}()
			}
		}()
		mine, back := watch(nil), watch(nil)
		s.Accept = func(c *switchboard.Conn) (switchboard.Handler, error) {
			to, err := c.Dial(context.Background(), target.Addr().String(), back)
			if err == nil {
				switchboard.Pipe(c, to)
			}
			return mine, err
		}
		p := call(t, start(t, s))
		p.says("there and back")
		p.endsOutput()
		p.hearsEnd("there and back")
		for _, h := range []*watched{mine, back} {
			if err := next(t, h.ended); err != nil {
				t.Errorf("ended with %v", err)
			}
		}
	})
}

// Who is joined with a connection that Accept refuses is told of its end, and nothing is left of the two.
func TestPipeInAcceptThatRefuses(t *testing.T) {
	inTheClear(t, func(t *testing.T, s *switchboard.Server) {
		target := foreign(t, nil, sendBack)
		refused := errors.New("refused")
		back := watch(nil)
		s.Accept = func(c *switchboard.Conn) (switchboard.Handler, error) {
			to, err := c.Dial(context.Background(), target, back)
			if err != nil {
				t.Error(err)
			}
			switchboard.Pipe(c, to)
			return nil, refused
		}
		p := call(t, start(t, s))
		p.Write([]byte("not to be passed on"))
		io.Copy(io.Discard, p)
		p.Close()
		if err := next(t, back.ended); err == nil {
			t.Error("the other ended in order")
		}
		eventually(t, "none is left", func() bool { st := s.Stats(); return st.Active == 0 && st.Refused == 1 })
	})
}
