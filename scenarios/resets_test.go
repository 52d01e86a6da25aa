package scenarios

import (
	"errors"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/internal/systest"
)

func TestAbortResetsThePeer(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		h := watch(func(c *switchboard.Conn, p []byte) (int, error) {
			c.Write(make([]byte, 1<<20))
			c.Write(make([]byte, 1<<20))
			c.Abort()
			c.Abort()
			return len(p), nil
		})
		s.QueueLimit = 64 << 20
		s.Accept = everyone(h)
		p := call(t, start(t, s))
		p.says("x")
		if err := next(t, h.ended); !errors.Is(err, switchboard.ErrAborted) {
			t.Errorf("ended with %v", err)
		}
		p.hearsReset()
	})
}

func TestPeerThatResetsIsToldToCloseWithTheErrno(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		for when, prepare := range map[string]func(p peer){
			"at once":        func(p peer) {},
			"having said":    func(p peer) { p.says("hello") },
			"having talked":  func(p peer) { p.says("hello"); p.hears("hello") },
			"while it reads": func(p peer) { p.says(strings.Repeat("hello", 100_000)) },
		} {
			t.Run(when, func(t *testing.T) {
				s := newServer(t, s.Engine)
				s.WriteTimeout = -1
				h := watch((*switchboard.Conn).Write)
				s.Accept = everyone(h)
				p := call(t, start(t, s))
				prepare(p)
				p.resets()
				err := next(t, h.ended)
				var op *net.OpError
				if !systest.Is(err, syscall.ECONNRESET) && !systest.Is(err, syscall.EPIPE) {
					t.Errorf("ended with %v", err)
				} else if !errors.As(err, &op) || op.Addr.String() != p.LocalAddr().String() {
					t.Errorf("ended with %v, which does not name the peer %v", err, p.LocalAddr())
				}
			})
		}
	})
}

// Close has promised to send what was written: if it cannot, the end says so, and why.
func TestResetBeforeEverythingIsSentIsNotAnOrderlyEnd(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		s.QueueLimit = 64 << 20
		h := watch(nil)
		conns := accepted(s, h)
		p := call(t, start(t, s))
		c := next(t, conns)
		c.Write(make([]byte, 32<<20))
		c.Close()
		p.hears(strings.Repeat("\x00", 1000))
		p.resets()
		err := next(t, h.ended)
		if !errors.Is(err, switchboard.ErrUnsent) || !systest.Is(err, syscall.ECONNRESET) && !systest.Is(err, syscall.EPIPE) {
			t.Errorf("ended with %v", err)
		}
	})
}

func TestAbortFromElsewhereWhileItLingers(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		s.LingerTimeout = time.Millisecond
		h := watch(nil)
		conns := accepted(s, h)
		address := start(t, s)
		for range 40 {
			p := call(t, address)
			c := next(t, conns)
			c.Close()
			p.hearsEnd("")
			time.Sleep(time.Millisecond / 2)
			c.Abort()
			if err := next(t, h.ended); err != nil && !errors.Is(err, switchboard.ErrAborted) {
				t.Errorf("ended with %v", err)
			}
			p.Close()
		}
	})
}

// A peer that resets while it waits to be accepted, and one whose listener goes while it waits, disturb nobody.
func TestResetsDuringAcceptDisturbNobody(t *testing.T) {
	inTheClear(t, func(t *testing.T, s *switchboard.Server) {
		s.MaxConns = 1
		s.Accept = everyone(echo)
		address := start(t, s)
		first := call(t, address)
		first.says("x")
		first.hears("x")
		for range 20 {
			call(t, address).resets() // in the backlog
		}
		last := call(t, address)
		first.resets()
		last.says("hello")
		last.hears("hello")
	})
}
