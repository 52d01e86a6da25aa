package scenarios

import (
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/internal/systest"
)

// An ender is a Handler that is told of the end of input.
type ender struct {
	*watched
	end func(c *switchboard.Conn, rest []byte) error
}

func (h *ender) InputEnded(c *switchboard.Conn, rest []byte) error { return h.end(c, rest) }

func TestNcThatEndsItsInputStillGetsTheReply(t *testing.T) {
	inTheClear(t, func(t *testing.T, s *switchboard.Server) {
		s.Accept = everyone(switchboard.DataFunc(func(c *switchboard.Conn, p []byte) (int, error) {
			reply := strings.ToUpper(string(p))
			c.After(1, func() { c.Write([]byte(reply)) }) // after the end of input was received
			c.Pause()
			c.After(2, c.Resume)
			return len(p), nil
		}))
		host, port, _ := net.SplitHostPort(start(t, s))
		if got := run(t, "hello", "nc", "-N", host, port); got != "HELLO" {
			t.Errorf("got %q", got)
		}
	})
}

func TestLongReplyIsFinishedAfterThePeerEndsItsOutput(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		reply := noise(3, 6_000_000) // more than the system takes at once
		s.QueueLimit = 8_000_000
		h := watch(func(c *switchboard.Conn, p []byte) (int, error) {
			if _, err := c.Write([]byte(reply)); err != nil {
				t.Error(err)
			}
			return len(p), nil
		})
		s.Accept = everyone(h)
		p := call(t, start(t, s))
		p.says("x")
		p.endsOutput()
		if got, err := io.ReadAll(p); err != nil || string(got) != reply {
			t.Errorf("%d bytes of %d, %v", len(got), len(reply), err)
		}
		if err := next(t, h.ended); err != nil {
			t.Errorf("ended with %v", err)
		}
	})
}

func TestInputEndIsToldOnceWithWhatWasLeft(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		rests := make(chan string, 10)
		h := &ender{watch(func(c *switchboard.Conn, p []byte) (int, error) { return min(3, len(p)) / 3 * 3, nil }),
			func(c *switchboard.Conn, rest []byte) error {
				rests <- string(rest)
				return nil
			}}
		conns := accepted(s, h)
		p := call(t, start(t, s))
		p.says("abcdefgh")
		p.endsOutput()
		if got := next(t, rests); got != "gh" {
			t.Errorf("the rest is %q", got)
		}
		c := next(t, conns)
		c.Write([]byte("still here"))
		p.hears("still here")
		stays(t, "told once, and open", func() bool { return len(rests) == 0 && len(h.ended) == 0 })
		c.Close()
		p.hearsEnd("")
		if err := next(t, h.ended); err != nil {
			t.Errorf("ended with %v", err)
		}
	})
}

func TestHandlerThatKnowsNoInputEndIsClosedInOrder(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		h := watch(func(c *switchboard.Conn, p []byte) (int, error) { return c.Write(p[:len(p)/2*2]) })
		s.Accept = everyone(h)
		address := start(t, s)
		for said, want := range map[string]error{"": nil, "even": nil, "odd": io.ErrUnexpectedEOF} {
			p := call(t, address)
			p.says(said)
			p.endsOutput()
			p.hearsEndFor(want, said[:len(said)/2*2])
			if err := next(t, h.ended); err != want {
				t.Errorf("after %q it ended with %v, want %v", said, err, want)
			}
		}
	})
}

func TestCloseWriteLeavesReadingOpen(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		heard := make(chan string, 10)
		h := watch(func(c *switchboard.Conn, p []byte) (int, error) {
			heard <- string(p)
			return len(p), nil
		})
		conns := accepted(s, h)
		p := call(t, start(t, s))
		c := next(t, conns)
		c.Write([]byte("all I have to say"))
		if err := c.CloseWrite(); err != nil {
			t.Error(err)
		}
		if err := c.CloseWrite(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("a second CloseWrite said %v", err)
		}
		if _, err := c.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Write after CloseWrite said %v", err)
		}
		p.hearsEnd("all I have to say")
		for _, word := range []string{"but", "I", "have", "more"} {
			p.says(word)
			if got := next(t, heard); got != word {
				t.Errorf("heard %q", got)
			}
		}
		p.Close()
		if err := next(t, h.ended); err != nil {
			t.Errorf("ended with %v", err)
		}
	})
}

func TestCloseWriteSendsTheWholeQueueFirst(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		all := noise(4, 8_000_000)
		s.QueueLimit = 8_000_000
		conns := accepted(s, echo)
		p := call(t, start(t, s))
		c := next(t, conns)
		c.Write([]byte(all))
		c.CloseWrite()
		if c.Queued() == 0 {
			t.Error("the system took all at once: nothing is shown")
		}
		p.hearsEnd(all)
	})
}

func TestConnectionIsOverWhenBothSidesHaveEnded(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		told := make(chan bool, 1)
		h := &ender{watch((*switchboard.Conn).Write), func(*switchboard.Conn, []byte) error {
			told <- true
			return nil
		}}
		conns := accepted(s, h)
		address := start(t, s)
		t.Run("the peer first", func(t *testing.T) {
			p := call(t, address)
			p.endsOutput()
			next(t, told)
			next(t, conns).CloseWrite()
			p.hearsEnd("")
			if err := next(t, h.ended); err != nil {
				t.Errorf("ended with %v", err)
			}
		})
		t.Run("the server first", func(t *testing.T) {
			p := call(t, address)
			next(t, conns).CloseWrite()
			p.hearsEnd("")
			p.endsOutput()
			next(t, told)
			if err := next(t, h.ended); err != nil {
				t.Errorf("ended with %v", err)
			}
		})
		t.Run("both in one turn", func(t *testing.T) {
			p := call(t, address)
			c := next(t, conns)
			c.Do(func() { // the loop is here until the peer's end is there to be read
				p.endsOutput()
				c.CloseWrite()
			})
			p.hearsEnd("")
			next(t, told)
			if err := next(t, h.ended); err != nil {
				t.Errorf("ended with %v", err)
			}
		})
	})
}

func TestEndOfInputWaitsForAPausedHandler(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		var calls []string
		h := &ender{watched: watch(nil)}
		h.data = func(c *switchboard.Conn, p []byte) (int, error) {
			calls = append(calls, string(p[:1]))
			c.Pause()
			return 1, nil
		}
		done := make(chan []string, 1)
		h.end = func(c *switchboard.Conn, rest []byte) error {
			done <- append(calls, "end "+string(rest))
			return io.EOF
		}
		conns := accepted(s, h)
		p := call(t, start(t, s))
		p.says("abc")
		p.endsOutput()
		c := next(t, conns)
		eventually(t, "the end is told", func() bool {
			c.Do(c.Resume)
			return len(done) == 1
		})
		if got := strings.Join(<-done, ","); got != "a,b,c,end " {
			t.Errorf("told %s", got)
		}
	})
}

// The end may be there before the handler has been offered again what it left.
func TestEndOfInputComesAfterWhatResumeOffers(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		h := watch(func(c *switchboard.Conn, p []byte) (int, error) {
			c.Pause()
			c.After(1, c.Resume)
			return c.Write(p[:1])
		})
		s.Accept = everyone(h)
		address := start(t, s)
		for range 20 {
			p := call(t, address)
			p.says("abcdef")
			p.endsOutput()
			p.hearsEnd("abcdef")
			p.Close()
			if err := next(t, h.ended); err != nil {
				t.Errorf("ended with %v", err)
			}
		}
	})
}

// To close a socket on unread input is a reset, which can cost the peer what it was sent last.
func TestCloseOnUnreadInputCostsThePeerNothing(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		goodbye := noise(5, 200_000)
		h := watch(func(c *switchboard.Conn, p []byte) (int, error) {
			c.Write([]byte(goodbye))
			c.Close()
			return 0, nil
		})
		s.Accept = everyone(h)
		address := start(t, s)
		for range 5 {
			p := call(t, address)
			go io.Copy(p, strings.NewReader(noise(6, 500_000))) // more than is read before the close
			got, err := io.ReadAll(p)
			if err != nil || string(got) != goodbye {
				t.Fatalf("%d bytes of %d, %v", len(got), len(goodbye), err)
			}
			p.Close()
			if err := next(t, h.ended); err != nil && !systest.Is(err, syscall.ECONNRESET) {
				t.Errorf("ended with %v", err)
			}
		}
	})
}
