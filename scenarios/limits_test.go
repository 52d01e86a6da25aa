package scenarios

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard"
)

func TestMaxConnsMakesFurtherClientsWait(t *testing.T) {
	inTheClear(t, func(t *testing.T, s *switchboard.Server) {
		s.MaxConns = 3
		s.Accept = everyone(echo)
		address := start(t, s)
		var peers []peer
		for range 8 {
			p := call(t, address)
			p.says("hello")
			peers = append(peers, p)
		}
		for waiting := 8; waiting > 0; waiting-- {
			eventually(t, "three are served", func() bool { return s.Stats().Active == int64(min(waiting, 3)) })
			stays(t, "three are served", func() bool { return s.Stats().Active <= 3 })
			peers[8-waiting].hears("hello")
			peers[8-waiting].Close()
		}
		eventually(t, "all are gone", func() bool { return s.Stats().Active == 0 })
		if st := s.Stats(); st.Accepted != 8 || st.Refused != 0 || st.AcceptPauses == 0 { // it need not pause for a place that is free again before the next client is looked for
			t.Errorf("%+v", st)
		}
	})
}

func TestMaxConnsHoldsForAllListenersTogether(t *testing.T) {
	inTheClear(t, func(t *testing.T, s *switchboard.Server) {
		s.MaxConns = 2
		s.Loops = 4
		s.Accept = everyone(echo)
		var addresses []string
		for range 4 {
			addresses = append(addresses, start(t, s))
		}
		var peers []peer
		for range 2 {
			for _, address := range addresses {
				peers = append(peers, call(t, address))
			}
		}
		for left := int64(len(peers)); left > 0; left-- {
			eventually(t, "two are served", func() bool { return s.Stats().Active == min(left, 2) })
			stays(t, "two are served", func() bool { return s.Stats().Active <= 2 })
			served := slices.IndexFunc(peers, func(p peer) bool {
				io.WriteString(p, "x")
				p.SetReadDeadline(time.Now().Add(time.Millisecond))
				_, err := p.Read(make([]byte, 100))
				return err == nil
			})
			if served < 0 {
				left++ // the machine was too slow
				continue
			}
			peers[served].resets()
			peers = slices.Delete(peers, served, served+1)
		}
	})
}

// A handler that consumes nothing has the peer stopped, and gets the rest once it does.
func TestInputLimitStopsReading(t *testing.T) {
	for _, limit := range []int{1, 1000, 200_000} {
		inTheClear(t, func(t *testing.T, s *switchboard.Server) {
			s.InputLimit = limit
			size := min(3000*limit, 300_000)
			most := 0
			open := false
			heard := make(chan string, 1)
			var all strings.Builder
			h := switchboard.DataFunc(func(c *switchboard.Conn, p []byte) (int, error) {
				most = max(most, len(p))
				if !open {
					return 0, nil
				}
				all.Write(p)
				if all.Len() == size {
					heard <- all.String()
				}
				return len(p), nil
			})
			conns := accepted(s, h)
			p := call(t, start(t, s))
			said := noise(7, size)
			go io.WriteString(p, said)
			c := next(t, conns)
			ahead := 0 // what the kernel may have received before it was told to stop
			if s.Engine == "uring" {
				ahead = 256 << 10
			}
			eventually(t, "the limit is reached", func() bool { return c.Received() >= int64(limit) })
			stays(t, "little more is read", func() bool { return c.Received() <= int64(limit+ahead) })
			c.Do(func() {
				if n := c.Buffered(); n < limit || n > limit+ahead {
					t.Errorf("%d are buffered", n)
				}
				open = true
				c.Resume()
			})
			if next(t, heard) != said {
				t.Error("what was said is not what was heard")
			}
			if most > limit {
				t.Errorf("%d bytes were offered at once", most)
			}
		})
	}
}

func TestMessageOfFramesAboveTheInputLimitEndsTheConnection(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		s.InputLimit = 100
		h := &framed{switchboard.Frames(bufio.ScanLines, func(c *switchboard.Conn, m []byte) error {
			_, err := c.Write(append(m, '\n'))
			return err
		}), make(chan error, 10)}
		s.Accept = everyone(h)
		address := start(t, s)
		longest := strings.Repeat("x", 99) + "\n"
		for tooLong, inPieces := range map[string]bool{"y" + longest: false, strings.Repeat("z", 5000): true} {
			t.Run(fmt.Sprintf("in pieces %v", inPieces), func(t *testing.T) {
				p := call(t, address)
				p.says(longest)
				p.hears(longest)
				if inPieces {
					p.says(tooLong[:50])
					io.WriteString(p, tooLong[50:]) // the reset may come in the middle
				} else {
					p.says(tooLong)
				}
				if !inPieces {
					p.hearsReset()
				}
				io.Copy(io.Discard, p) // whoever was told of the reset in writing hears only the end in reading
				p.Close()
				if err := next(t, h.ended); !errors.Is(err, switchboard.ErrTooLong) {
					t.Errorf("ended with %v", err)
				}
			})
		}
	})
}

type framed struct {
	*switchboard.FrameHandler
	ended chan error
}

func (h *framed) Closed(_ *switchboard.Conn, err error) { h.ended <- err }

// What is written from elsewhere keeps a connection as alive as what is received.
func TestIdleTimeoutEndsWhatDoesNotMove(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		whileCalm(t, 200*time.Millisecond, func(span time.Duration, pace *pace) error {
			s := &switchboard.Server{Engine: s.Engine, Loops: 2, Logger: s.Logger, TLSConfig: s.TLSConfig, IdleTimeout: span, LingerTimeout: -1}
			h := watch((*switchboard.Conn).Write)
			conns := accepted(s, h)
			address := start(t, s)
			spokenTo := call(t, address)
			c := next(t, conns)
			began := time.Now()
			silent, busy := call(t, address), call(t, address)
			last := began
			for len(h.ended) == 0 || time.Since(began) < span*3/2 {
				last = time.Now()
				c.Write([]byte("x"))
				if err := attempt(spokenTo, "", "x"); err != nil {
					return fmt.Errorf("who is spoken to: %w", err)
				}
				if err := attempt(busy, "x", "x"); err != nil {
					return fmt.Errorf("who speaks: %w", err)
				}
				pace.step()
				time.Sleep(time.Millisecond)
			}
			if err := <-h.ended; !errors.Is(err, switchboard.ErrIdle) {
				t.Errorf("ended with %v", err)
			}
			if got, err := io.ReadAll(silent); err != nil || len(got) != 0 {
				t.Fatalf("who is silent: heard %q, %v", got, err)
			}
			if len(h.ended) > 0 {
				return fmt.Errorf("another ended with %w", <-h.ended)
			}
			for range 2 {
				if err := next(t, h.ended); !errors.Is(err, switchboard.ErrIdle) {
					t.Errorf("ended with %v", err)
				}
			}
			if took := time.Since(last); took < span-10*time.Millisecond {
				t.Errorf("idle for %v only", took)
			}
			return nil
		})
	})
}

func TestWriteTimeoutEndsWhatDoesNotRead(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		s.WriteTimeout = 50 * time.Millisecond
		s.QueueLimit = 64 << 20
		h := watch(nil)
		conns := accepted(s, h)
		call(t, start(t, s))
		c := next(t, conns)
		c.Write(make([]byte, 32<<20))
		err := next(t, h.ended)
		if !errors.Is(err, switchboard.ErrStalled) || !errors.Is(err, switchboard.ErrUnsent) {
			t.Errorf("ended with %v", err)
		}
		if c.Queued() != 0 {
			t.Errorf("%d bytes are queued at the end", c.Queued())
		}
	})
}

// It is not how long all of it takes, nor how little the peer takes at once.
func TestWriteTimeoutSparesWhoReadsSlowly(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Winsock tells nothing of what the peer takes before it has taken the 64 KiB of one send")
	}
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		whileCalm(t, 100*time.Millisecond, func(span time.Duration, pace *pace) error {
			s := &switchboard.Server{Engine: s.Engine, Loops: 2, Logger: s.Logger, TLSConfig: s.TLSConfig, WriteTimeout: span, QueueLimit: 64 << 20}
			h := watch(nil)
			conns := accepted(s, h)
			p := callWith(t, start(t, s), net.Dialer{Control: func(_, _ string, raw syscall.RawConn) error {
				return raw.Control(func(fd uintptr) { smallReceiveBuffer(fd) })
			}})
			c := next(t, conns)
			pace.step()
			c.Write(make([]byte, 8<<20))
			piece := make([]byte, 16<<10) // 100 of which are not room enough for the system to say that there is some
			for range 60 {
				time.Sleep(span / 20)
				if _, err := io.ReadFull(p, piece); err != nil {
					return fmt.Errorf("%w: %w", err, next(t, h.ended))
				}
				pace.step()
			}
			if len(h.ended) > 0 {
				return fmt.Errorf("ended with %w", <-h.ended)
			}
			return nil
		})
	})
}

func TestLingerTimeoutEndsTheWaitForThePeersEnd(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		for _, linger := range []time.Duration{-1, 50 * time.Millisecond, time.Hour} {
			t.Run(linger.String(), func(t *testing.T) {
				s := newServer(t, s.Engine)
				s.LingerTimeout = linger
				h := watch(nil)
				conns := accepted(s, h)
				p := call(t, start(t, s))
				c := next(t, conns)
				began := time.Now()
				c.Write([]byte("goodbye"))
				c.Close()
				p.hearsEnd("goodbye")
				if linger == time.Hour {
					stays(t, "it waits for the peer's end", func() bool { return len(h.ended) == 0 })
					p.Close()
				}
				if err := next(t, h.ended); err != nil {
					t.Errorf("ended with %v", err)
				}
				if took := time.Since(began); linger < time.Hour && took < linger-5*time.Millisecond {
					t.Errorf("gone after %v", took)
				}
			})
		}
	})
}

// A flood is read in turns of ReadBuffer at most, and between two of them everybody else has theirs.
func TestFloodHasBoundedTurns(t *testing.T) {
	inTheClear(t, func(t *testing.T, s *switchboard.Server) {
		s.Loops = 1
		s.ReadBuffer = 1000
		inRow, most := 0, 0
		var last *switchboard.Conn
		s.Accept = everyone(switchboard.DataFunc(func(c *switchboard.Conn, p []byte) (int, error) {
			if inRow++; c != last || len(p) <= 1 {
				inRow = 1
			}
			last = c
			if len(p) > 1000 {
				t.Errorf("%d bytes in one turn", len(p))
			}
			if len(p) == 1 {
				return c.Write(p)
			}
			most = max(most, inRow)
			return len(p), nil
		}))
		address := start(t, s)
		flood := call(t, address)
		over := make(chan bool)
		go func() {
			defer close(over)
			for {
				if _, err := flood.Write(make([]byte, 100_000)); err != nil {
					return
				}
			}
		}()
		p := call(t, address)
		for range 200 {
			p.says("x")
			p.hears("x")
		}
		flood.resets()
		<-over
	})
}
