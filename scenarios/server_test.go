package scenarios

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard"
)

func TestWhatCannotBeServedIsSaidAtOnce(t *testing.T) {
	leavesNothing(t)
	for name, c := range map[string]struct {
		change func(s *switchboard.Server)
		says   string
	}{
		"no Accept":           {func(s *switchboard.Server) { s.Accept = nil }, "Server.Accept are nil"},
		"unknown engine":      {func(s *switchboard.Server) { s.Engine = "steam" }, `"steam"`},
		"loops below zero":    {func(s *switchboard.Server) { s.Loops = -1 }, "Server.Loops is -1"},
		"MaxConns below zero": {func(s *switchboard.Server) { s.MaxConns = -7 }, "Server.MaxConns is -7"},
		"low above high":      {func(s *switchboard.Server) { s.LowWater, s.HighWater = 200, 100 }, "200, 100"},
		"high above limit":    {func(s *switchboard.Server) { s.HighWater, s.QueueLimit = 100, 50 }, "100 and 50"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &switchboard.Server{Accept: everyone(echo)}
			c.change(s)
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Serve(l); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("Serve said %v", err)
			}
			if err := l.Close(); !errors.Is(err, net.ErrClosed) {
				t.Errorf("the listener was left open: %v", err)
			}
		})
	}
}

// opaque is a net.Listener that hides its descriptor.
type opaque struct{ net.Listener }

func TestListenerWithoutADescriptorIsRefused(t *testing.T) {
	leavesNothing(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &switchboard.Server{Accept: everyone(echo)}
	if err := s.Serve(opaque{l}); err == nil || !strings.Contains(err.Error(), "no descriptor") {
		t.Errorf("Serve said %v", err)
	}
}

func TestStatsAddUp(t *testing.T) {
	inTheClear(t, func(t *testing.T, s *switchboard.Server) {
		s.Accept = func(c *switchboard.Conn) (switchboard.Handler, error) {
			if c.Loop() < 0 || c.Loop() > 1 || c.Server() != s {
				t.Errorf("on loop %d of %p", c.Loop(), c.Server())
			}
			return echo, nil
		}
		address := start(t, s)
		for range 10 {
			p := call(t, address)
			for range 10 {
				p.says("0123456789")
				p.hears("0123456789")
			}
		}
		want := switchboard.Stats{Active: 10, Accepted: 10, BytesIn: 1000, BytesOut: 1000, Messages: 100}
		same := func(a, b switchboard.Stats) bool {
			return a.Active == b.Active && a.Accepted == b.Accepted && a.Refused == b.Refused && a.Dialled == b.Dialled &&
				a.BytesIn == b.BytesIn && a.BytesOut == b.BytesOut && a.Messages == b.Messages && a.Queued == b.Queued &&
				a.Pauses == b.Pauses && a.AcceptPauses == b.AcceptPauses
		}
		eventually(t, fmt.Sprintf("%+v", want), func() bool { return same(s.Stats(), want) })
		st := s.Stats()
		if st.Engine != s.Engine || len(st.Loops) != 2 {
			t.Errorf("engine %q with %d loops", st.Engine, len(st.Loops))
		}
		var sum switchboard.Stats
		for _, l := range st.Loops {
			sum.Active += l.Active
			sum.Accepted += l.Accepted
			sum.BytesIn += l.BytesIn
			sum.BytesOut += l.BytesOut
			sum.Messages += l.Messages
		}
		if !same(sum, want) {
			t.Errorf("the loops' figures give %+v", sum)
		}
		stop(s)
		if st := s.Stats(); st.Active != 0 || st.BytesIn != 1000 || st.BytesOut != 1000 {
			t.Errorf("after the end: %+v", st)
		}
	})
}

func TestStatsBeforeItServesAreZero(t *testing.T) {
	if st := new(switchboard.Server).Stats(); st.Active != 0 || st.Loops != nil {
		t.Errorf("%+v", st)
	}
}

func TestTraceIsToldOfConnectionsAsTheyComeAndGo(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		var mu sync.Mutex
		var told []string
		tell := func(format string, args ...any) {
			mu.Lock()
			told = append(told, fmt.Sprintf(format, args...))
			mu.Unlock()
		}
		oops := errors.New("oops")
		first := true
		var slow atomic.Bool
		s.Loops = 1
		s.Accept = func(c *switchboard.Conn) (switchboard.Handler, error) {
			if !first {
				return nil, oops
			}
			first = false
			return switchboard.DataFunc(func(c *switchboard.Conn, p []byte) (int, error) {
				for began := time.Now(); !slow.Load() && time.Since(began) < patience; { // holds the loop until it is seen
					time.Sleep(time.Millisecond)
				}
				return 0, oops
			}), nil
		}
		s.SlowCall = 8 * time.Millisecond
		s.Trace = &switchboard.Trace{
			Opened:  func(c *switchboard.Conn) { tell("opened") },
			Refused: func(c *switchboard.Conn, err error) { tell("refused %v", err) },
			Closed:  func(c *switchboard.Conn, err error) { tell("closed %v", err) },
			Slow: func(c *switchboard.Conn, held time.Duration) {
				if c.Received() > 0 { // else the machine was slow, not the handler
					tell("slow %v", held >= 8*time.Millisecond)
					slow.Store(true)
				}
			},
		}
		address := start(t, s)
		p := call(t, address)
		p.says("x")
		p.hearsFailure("")
		p.Close()
		eventually(t, "it is gone", func() bool { return s.Stats().Active == 0 })
		call(t, address).hearsEnd("")
		eventually(t, "the other is refused", func() bool { return s.Stats().Refused == 1 })
		stop(s)
		mu.Lock()
		defer mu.Unlock()
		if want := []string{"opened", "slow true", "closed oops", "refused oops"}; !slices.Equal(slices.Compact(told), want) {
			t.Errorf("told %q, want %q", told, want)
		}
	})
}
