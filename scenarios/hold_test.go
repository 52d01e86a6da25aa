//go:build unix

package scenarios

import (
	"bufio"
	"context"
	"errors"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard"
)

// An answer that is still to come keeps its connection, through the peer's half-close and through a shutdown.
func TestHoldKeepsAConnectionForItsAnswer(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		s.IdleTimeout = 40 * time.Millisecond
		questions := make(chan func(answer string), 10)
		s.Accept = func(c *switchboard.Conn) (switchboard.Handler, error) {
			asked := c.Hold() // however long the client takes for that
			return switchboard.Frames(bufio.ScanLines, func(c *switchboard.Conn, m []byte) error {
				question, release := string(m), c.Hold()
				questions <- func(answer string) {
					c.Write([]byte(question + answer))
					release()
					release() // counts once
				}
				if question == "two" {
					asked()
				}
				return nil
			}), nil
		}
		address := start(t, s)
		p := call(t, address)
		p.says("one\ntwo\n")
		p.endsOutput()
		one, two := next(t, questions), next(t, questions)
		time.Sleep(3 * s.IdleTimeout) // which does not count meanwhile
		two(" second ")
		p.hears("two second ")
		over := make(chan error, 1)
		go func() { over <- s.Shutdown(context.Background()) }()
		stays(t, "the server waits", func() bool { return len(over) == 0 })
		one(" first")
		p.hearsEnd("one first")
		p.Close()
		if err := next(t, over); err != nil {
			t.Error(err)
		}
	})
}

func TestSyscallConnGivesTheDescriptor(t *testing.T) {
	inTheClear(t, func(t *testing.T, s *switchboard.Server) {
		conns := accepted(s, echo)
		p := call(t, start(t, s))
		c := next(t, conns)
		raw, err := c.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		kind := 0
		if err := raw.Control(func(fd uintptr) { kind, _ = syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_TYPE) }); err != nil {
			t.Error(err)
		}
		if kind != syscall.SOCK_STREAM {
			t.Errorf("the socket is of type %d", kind)
		}
		if err := raw.Read(func(uintptr) bool { return true }); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("Read said %v", err)
		}
		p.Close()
		eventually(t, "it is gone", func() bool { return s.Stats().Active == 0 })
		if err := raw.Control(func(uintptr) { t.Error("called") }); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Control after the end said %v", err)
		}
	})
}
