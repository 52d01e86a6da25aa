package scenarios

import (
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/frame"
)

// presses has many clients say a lot and read nothing, beside one that is served all the time. It tells whether the server kept
// within its limit.
func presses(t *testing.T, s *switchboard.Server, handler switchboard.Handler, says string, endless bool, good string) {
	s.MemoryLimit = 4 << 20
	var ended atomic.Int64
	s.Trace = &switchboard.Trace{Closed: func(_ *switchboard.Conn, err error) {
		if errors.Is(err, switchboard.ErrMemory) {
			ended.Add(1)
		}
	}}
	s.Accept = everyone(handler)
	address := start(t, s)
	served := call(t, address)
	served.SetDeadline(time.Now().Add(3 * patience))
	var bad []peer
	var writers sync.WaitGroup
	small := net.Dialer{Control: func(_, _ string, c syscall.RawConn) error { // or the system would hold what the server cannot
		return c.Control(func(fd uintptr) { smallReceiveBuffer(fd) })
	}}
	for range 80 {
		p := callWith(t, address, small)
		bad = append(bad, p)
		writers.Go(func() {
			for again := true; again; again = endless {
				if _, err := io.WriteString(p, says); err != nil {
					return // the server has ended it, or the test
				}
			}
		})
	}
	eventually(t, "some are ended", func() bool {
		served.says(good)
		served.hears(good)
		if st := s.Stats(); st.Memory > s.MemoryLimit+1<<20 { // as after the last turn; a turn adds what one event brings
			t.Errorf("%d bytes are held, with a limit of %d", st.Memory, s.MemoryLimit)
		}
		return ended.Load() > 0
	})
	for range 20 {
		served.says(good)
		served.hears(good)
	}
	if n := s.Stats().Ends.Memory; n == 0 || n > 78 {
		t.Errorf("%d connections were ended for want of memory", n)
	}
	for _, p := range bad {
		p.Close()
	}
	writers.Wait()
	eventually(t, "nothing is held by those who are gone", func() bool {
		st := s.Stats()
		return st.Active == 1 && st.Memory <= 64<<10
	})
	served.says(good)
	served.hears(good)
}

func TestMemoryLimitHoldsForClientsThatReadNothing(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		presses(t, s, echo, strings.Repeat("x", 256<<10), true, "hello")
	})
}

func TestMemoryLimitHoldsForMessagesWithoutAnEnd(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		lines := switchboard.Frames(frame.Lines(900_000).Split, func(c *switchboard.Conn, line []byte) error {
			_, err := c.Writev(line, []byte("\n"))
			return err
		})
		presses(t, s, lines, strings.Repeat("x", 800_000), false, "hello\n")
	})
}

func TestMemoryThatAHandlerCounts(t *testing.T) {
	inTheClear(t, func(t *testing.T, s *switchboard.Server) {
		s.Loops, s.MemoryLimit = 1, 4<<20
		handler := watch(func(c *switchboard.Conn, p []byte) (int, error) {
			c.CountMemory(1 << 20)
			return c.Write(p)
		})
		s.Accept = everyone(handler)
		address := start(t, s)
		light, heavy := call(t, address), call(t, address)
		light.says("a")
		light.hears("a")
		for range 3 {
			heavy.says("b")
			heavy.hears("b")
		}
		eventually(t, "the heaviest is ended", func() bool { return s.Stats().Ends.Memory == 1 })
		if err := next(t, handler.ended); !errors.Is(err, switchboard.ErrMemory) {
			t.Errorf("the handler was told %v", err)
		}
		heavy.hearsReset()
		light.says("c")
		light.hears("c")
	})
}
