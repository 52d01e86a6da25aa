//go:build unix

package scenarios

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/switchboard-go/switchboard"
)

// What Accept wrote reaches a client that has spoken already, whose bytes nobody has read.
func TestRefusalReachesAClientThatHasSpoken(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		spoken := make(chan bool)
		s.Accept = func(c *switchboard.Conn) (switchboard.Handler, error) {
			<-spoken
			c.Write([]byte("busy\n"))
			return nil, errors.New("no room")
		}
		s.SlowCall = -1
		address := start(t, s)
		p := reach(t, address, net.Dialer{})
		if s.TLSConfig != nil {
			go func() { spoken <- true }()
			p = p.secures(clientTLS())
			p.says("hello")
		} else {
			p.says("hello")
			spoken <- true
		}
		p.hearsEnd("busy\n")
		p.Close()
		eventually(t, "it is gone", func() bool { return s.Stats().Active == 0 && s.Stats().Refused == 1 })
	})
}

// A panic in Accept, again and again and on every loop, keeps nobody else out.
func TestPanicInAcceptKeepsNobodyOut(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		logTo(s)
		var turn atomic.Int64
		s.Accept = func(c *switchboard.Conn) (switchboard.Handler, error) {
			if turn.Add(1)%3 != 0 {
				panic("in Accept")
			}
			return echo, nil
		}
		address := start(t, s)
		for range 6 {
			visit(s, address)
			visit(s, address)
			p := call(t, address)
			p.says("hello")
			p.hears("hello")
			p.Close()
		}
	})
}

// A panic of Trace is logged, ends its connection and nobody else's, and the server shuts down as ever.
func TestPanicOfTraceAndDialControl(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		log := logTo(s)
		s.Trace = &switchboard.Trace{
			Opened: func(c *switchboard.Conn) { panic("in Opened") },
			Closed: func(c *switchboard.Conn, err error) { panic("in Closed") },
		}
		s.DialControl = func(int) error { panic("in DialControl") }
		s.Accept = everyone(echo)
		address := start(t, s)
		visit(s, address)
		visit(s, address)
		h := watch((*switchboard.Conn).Write)
		if _, err := s.Dial(context.Background(), address, h); err != nil {
			t.Fatal(err)
		}
		var panicked *switchboard.PanicError
		if err := next(t, h.ended); !errors.As(err, &panicked) {
			t.Errorf("ended with %v", err)
		}
		for _, what := range []string{"in Opened", "in Closed", "in DialControl"} {
			eventually(t, "the log tells of "+what, func() bool { return strings.Contains(log(), what) })
		}
		eventually(t, "nobody is left", func() bool { return s.Stats().Active == 0 })
	})
}

// A port that nobody listens on, and that the system gives to the very socket which connects to it, is refused.
func TestConnectionWithItselfIsRefused(t *testing.T) {
	inTheClear(t, func(t *testing.T, s *switchboard.Server) {
		l := listen(t)
		address := l.Addr().(*net.TCPAddr)
		l.Close()
		s.DialControl = func(fd int) error {
			// The ring may close the socket before this one a little later.
			syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1)
			return syscall.Bind(fd, &syscall.SockaddrInet4{Port: address.Port, Addr: [4]byte{127, 0, 0, 1}})
		}
		h := watch((*switchboard.Conn).Write)
		for range 3 {
			if _, err := s.Dial(context.Background(), address.String(), h); err != nil {
				t.Fatal(err)
			}
			if err := next(t, h.ended); !errors.Is(err, syscall.ECONNREFUSED) {
				t.Errorf("ended with %v", err)
			}
		}
		stop(s)
	})
}
