package scenarios

import (
	"testing"
	"time"

	"github.com/switchboard-go/switchboard"
)

// origin returns the figures of the connections from an address, "" for dialled ones.
func origin(s *switchboard.Server, address string) (st switchboard.OriginStats) {
	for _, o := range s.Stats().Origins {
		if o.Addr == nil && address == "" || o.Addr != nil && o.Addr.String() == address {
			st = o
		}
	}
	return st
}

func TestConnectionsAreCountedByListenerAndState(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		s.Handler = echo
		first, second := start(t, s), start(t, s)
		p := call(t, first)
		p.says("x")
		p.hears("x")
		dialled, err := s.Dial(t.Context(), second, echo)
		if err != nil {
			t.Fatal(err)
		}
		is := func(what string, want switchboard.ConnStates, address string) {
			t.Helper()
			eventually(t, what, func() bool { return origin(s, address).Conns == want })
		}
		if s.TLSConfig == nil {
			is("one is dialled", switchboard.ConnStates{Open: 1}, "")
			is("and accepted", switchboard.ConnStates{Open: 1}, second)
		} else {
			is("one is dialled", switchboard.ConnStates{Open: 1}, "")
			is("and waits to be told that it is to speak TLS", switchboard.ConnStates{Handshaking: 1}, second)
		}
		is("one is open", switchboard.ConnStates{Open: 1}, first)
		dialled.Abort()
		is("the dialled one is gone", switchboard.ConnStates{}, "")
		is("and its other end", switchboard.ConnStates{}, second)
		p.Close()
		is("so is the first", switchboard.ConnStates{}, first)
		if a, b := origin(s, first), origin(s, second); a.Accepted != 1 || b.Accepted != 1 || !a.Accepting || a.Full || a.Short {
			t.Errorf("%+v, %+v", a, b)
		}
	})
}

func TestAListenerThatWaitsSaysSo(t *testing.T) {
	inTheClear(t, func(t *testing.T, s *switchboard.Server) {
		s.Handler, s.MaxConns = echo, 1
		address := start(t, s)
		p := call(t, address)
		eventually(t, "the listener is full", func() bool { return origin(s, address).Full })
		p.Close()
		eventually(t, "it is full no more", func() bool { return !origin(s, address).Full })
	})
}

// flooder writes what nobody reads.
type flooder struct {
	switchboard.DataFunc
	open chan *switchboard.Conn
}

func (h flooder) Opened(c *switchboard.Conn) error {
	_, err := c.Write(make([]byte, 1<<20))
	h.open <- c
	return err
}

func TestPausedConnectionsAreCountedByReason(t *testing.T) {
	inTheClear(t, func(t *testing.T, s *switchboard.Server) {
		s.QueueLimit, s.InputLimit = 64<<20, 1<<10
		begun := make(chan *switchboard.Conn, 1)
		pausing := pauser{make(chan *switchboard.Conn, 1)}
		deaf := switchboard.DataFunc(func(*switchboard.Conn, []byte) (int, error) { return 0, nil })
		handlers := make(chan switchboard.Handler, 1)
		s.Accept = func(*switchboard.Conn) (switchboard.Handler, error) { return <-handlers, nil }
		address := start(t, s)

		is := func(want switchboard.PausedConns) {
			t.Helper()
			eventually(t, "paused are those who should be", func() bool { return s.Stats().Paused == want })
		}
		handlers <- pausing
		p := call(t, address)
		p.says("!")
		c := next(t, pausing.paused)
		is(switchboard.PausedConns{Handler: 1})
		if by := c.PausedBy(); by != "handler" {
			t.Errorf("paused by %q", by)
		}
		handlers <- deaf
		call(t, address).says(string(make([]byte, 4<<10)))
		is(switchboard.PausedConns{Handler: 1, Input: 1})
		c.Do(c.Resume)
		is(switchboard.PausedConns{Input: 1})
		handlers <- flooder{open: begun, DataFunc: deaf}
		q := call(t, address)
		c = next(t, begun)
		for range 30 { // more than the system's buffers hold
			c.Write(make([]byte, 1<<20))
		}
		q.says("x") // the loop need not look at the queue before there is something to read
		is(switchboard.PausedConns{Input: 1, Output: 1})
		if by := c.PausedBy(); by != "output" {
			t.Errorf("paused by %q", by)
		}
		q.resets()
		is(switchboard.PausedConns{Input: 1})
	})
}

func TestTurnsAndCallsAreMeasuredWhenAsked(t *testing.T) {
	inTheClear(t, func(t *testing.T, s *switchboard.Server) {
		const held = 5 * time.Millisecond
		s.SampleCalls = 1
		s.Handler = switchboard.DataFunc(func(c *switchboard.Conn, p []byte) (int, error) {
			time.Sleep(held)
			return c.Write(p)
		})
		p := call(t, start(t, s))
		for range 3 {
			p.says("x")
			p.hears("x")
		}
		eventually(t, "three calls are measured", func() bool { return s.Stats().Calls.Count() == 3 })
		longer := func(h *switchboard.Histogram) (n int64) {
			for i, count := range h.Buckets {
				if bound, ok := switchboard.HistogramBound(i); !ok || bound >= held {
					n += count
				}
			}
			return n
		}
		if h := s.Stats().Calls; longer(h) != 3 || h.Sum < 3*held {
			t.Errorf("calls: %+v", h)
		}
		eventually(t, "and their turns", func() bool {
			h := s.Stats().Turns
			return longer(h) >= 3 && h.Sum >= 3*held && s.Stats().Loops[0].Turns != nil
		})
	})
}

func TestNothingIsMeasuredUnasked(t *testing.T) {
	s := newServer(t, engines()[0])
	s.Handler = echo
	p := call(t, start(t, s))
	p.says("x")
	p.hears("x")
	if st := s.Stats(); st.Calls != nil || st.Turns != nil || st.Loops[0].Calls != nil {
		t.Errorf("%+v", st)
	}
}
