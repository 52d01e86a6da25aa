package scenarios

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/internal/testsocket"
)

// movingEcho is an echo whose connections can move.
type movingEcho struct{ switchboard.DataFunc }

func (movingEcho) Move(*switchboard.Conn) (switchboard.HandlerState, error) {
	return switchboard.HandlerState{Kind: "echo", Version: 1}, nil
}

func (movingEcho) MovesEarly(*switchboard.Conn) bool { return true }

var theMovingEcho = movingEcho{func(c *switchboard.Conn, p []byte) (int, error) {
	if _, err := c.Write(p); err == switchboard.ErrQueueFull {
		return 0, nil
	} else if err != nil {
		return 0, err
	}
	return len(p), nil
}}

func movedEcho(_ *switchboard.Conn, from switchboard.HandlerState) (switchboard.Handler, error) {
	if from.Kind != "echo" || from.Version != 1 {
		return nil, errors.New("no echo")
	}
	return theMovingEcho, nil
}

// handOver has one server take over what another one has.
func handOver(t testing.TB, from, to *switchboard.Server) switchboard.Handed {
	t.Helper()
	a, b := testsocket.UnixPair(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	taken := make(chan error, 1)
	var got switchboard.Handed
	go func() {
		var err error
		got, err = to.Takeover(ctx, b)
		taken <- err
	}()
	given, err := from.Handover(ctx, a)
	if err != nil {
		t.Error(err)
	}
	if err := <-taken; err != nil {
		t.Error(err)
	}
	if given.Conns != got.Conns || given.Listeners != got.Listeners {
		t.Errorf("given %+v, taken %+v", given, got)
	}
	return given
}

// keepAsking sends bytes to an echo until stop is closed, and checks each that comes back.
func keepAsking(t testing.TB, c net.Conn, seed uint64, stop chan struct{}) {
	rng := rand.New(rand.NewPCG(seed, 1))
	for {
		select {
		case <-stop:
			return
		default:
		}
		p := make([]byte, 1+rng.IntN(1<<rng.IntN(18)))
		for i := range p {
			p[i] = byte(rng.Uint32())
		}
		c.SetDeadline(time.Now().Add(patience))
		sent := make(chan error, 1)
		go func() {
			_, err := c.Write(p)
			sent <- err
		}()
		got := make([]byte, len(p))
		if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, p) {
			t.Errorf("%v: %d bytes came back, %v", c.LocalAddr(), len(p), err)
			return
		}
		if err := <-sent; err != nil {
			t.Error(err)
		}
	}
}

// clientsOf connects clients that ask until over is closed, and clients that wait.
func clientsOf(t *testing.T, address string, busy, idle int) (over chan struct{}, asking *sync.WaitGroup, waiting []net.Conn) {
	t.Helper()
	over, asking = make(chan struct{}), new(sync.WaitGroup)
	for i := range busy + idle {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		if i < busy {
			asking.Go(func() { keepAsking(t, c, uint64(i), over) })
		} else {
			waiting = append(waiting, c)
		}
	}
	return over, asking, waiting
}

func TestAHandoverLosesNoByte(t *testing.T) {
	inTheClear(t, func(t *testing.T, s *switchboard.Server) {
		s.Accept, s.Moved = everyone(theMovingEcho), movedEcho
		address := start(t, s)
		over, busy, idle := clientsOf(t, address, 20, 300)
		for range 5 {
			next := newServer(t, s.Engine)
			next.Accept, next.Moved = everyone(theMovingEcho), movedEcho
			defer stop(next)
			before := s
			handed := handOver(t, s, next)
			t.Logf("%+v", handed)
			if handed.Listeners != 1 || handed.Conns+handed.Stayed < 20 {
				t.Errorf("%+v", handed)
			}
			s = next
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			if err := before.Shutdown(ctx); err != nil {
				t.Error(err, before.Stats().Active)
			}
			cancel()
			c, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c.Write([]byte("new")); err != nil {
				t.Error(err)
			}
			c.SetDeadline(time.Now().Add(patience))
			if _, err := io.ReadFull(c, make([]byte, 3)); err != nil {
				t.Error(err)
			}
			c.Close()
		}
		close(over)
		busy.Wait()
		for _, c := range idle {
			c.SetDeadline(time.Now().Add(patience))
			if _, err := c.Write([]byte("still here")); err != nil {
				t.Error(err)
			}
			if _, err := io.ReadFull(c, make([]byte, 10)); err != nil {
				t.Error(err)
			}
		}
	})
}

// TestPipesMove has bulk pass through a proxy in both directions, while the proxy is replaced again and again.
func TestPipesMove(t *testing.T) {
	inTheClear(t, func(t *testing.T, s *switchboard.Server) {
		target := newServer(t, s.Engine)
		target.Accept = everyone(theMovingEcho)
		to := start(t, target)
		proxy := func(s *switchboard.Server) {
			s.Accept = func(c *switchboard.Conn) (switchboard.Handler, error) {
				return nil, c.DialPipe(context.Background(), to, nil, nil)
			}
		}
		proxy(s)
		address := start(t, s)
		over := make(chan struct{})
		var wg sync.WaitGroup
		for i := range 8 {
			c, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			wg.Go(func() { keepAsking(t, c, uint64(i), over) })
		}
		const size = 4 << 20
		var half []net.Conn // which have ended their output, and take what comes late
		for i := range 3 {
			c, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			half = append(half, c)
			wg.Go(func() {
				c.SetDeadline(time.Now().Add(patience))
				if _, err := io.WriteString(c, noise(byte(i), size)); err != nil {
					t.Error(err)
				}
				c.(*net.TCPConn).CloseWrite()
			})
		}
		for i := range 6 {
			next := newServer(t, s.Engine)
			proxy(next)
			readmits := new(counting)
			next.Admission = []switchboard.Admitter{readmits}
			defer stop(next)
			before := s
			handed := handOver(t, s, next)
			t.Logf("%+v", handed)
			if n := readmits.readmits.Load(); n > 8+3 {
				t.Errorf("%d clients have come over, and there are 11: the others were dialled", n)
			}
			s = next
			if handed.Listeners != 1 || handed.Why != "" {
				t.Errorf("%+v", handed)
			}
			if i == 2 { // what could not move then was being dialled
				for i, c := range half {
					wg.Go(func() {
						c.SetDeadline(time.Now().Add(patience))
						if got, err := io.ReadAll(c); err != nil || string(got) != noise(byte(i), size) {
							t.Errorf("%d bytes came back, %v", len(got), err)
						}
					})
				}
			}
			t.Cleanup(func() {
				if before.Stats().Active > 0 {
					t.Log("stayed:", before.Stats().Active)
				}
			})
		}
		close(over)
		wg.Wait()
	})
}

// What a connection has received and sent is counted on in the other process.
func TestCountersMove(t *testing.T) {
	inTheClear(t, func(t *testing.T, s *switchboard.Server) {
		s.Accept, s.Moved = everyone(theMovingEcho), movedEcho
		c, err := net.Dial("tcp", start(t, s))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(patience))
		roundTrip(t, c, "before")
		next := newServer(t, s.Engine)
		defer stop(next)
		moved := make(chan *switchboard.Conn, 1)
		next.Accept = s.Accept
		next.Moved = func(c *switchboard.Conn, from switchboard.HandlerState) (switchboard.Handler, error) {
			moved <- c
			return movedEcho(c, from)
		}
		if handed := handOver(t, s, next); handed.Conns != 1 {
			t.Fatalf("%+v", handed)
		}
		roundTrip(t, c, "after")
		got := <-moved
		onLoop(t, got, func() {
			if got.Received() != int64(len("before")+len("after")) || got.Sent() != got.Received() {
				t.Errorf("%d bytes are counted as received, %d as sent", got.Received(), got.Sent())
			}
		})
	})
}

// counting counts what it is told, and readmits.
type counting struct{ admits, readmits, ended atomic.Int64 }

func (a *counting) Admit(*switchboard.Conn, []byte) (int, error) {
	a.admits.Add(1)
	return 0, nil
}

func (a *counting) Readmit(*switchboard.Conn) { a.readmits.Add(1) }

func (a *counting) Ended(*switchboard.Conn) { a.ended.Add(1) }

// An Admitter that is no Readmitter hears nothing of connections that it has not admitted.
func TestReadmittersHearOfWhatWasTakenOver(t *testing.T) {
	for _, alone := range []bool{false, true} {
		inTheClear(t, func(t *testing.T, s *switchboard.Server) { readmits(t, s, alone) })
	}
}

// readmits has next take over from s, with an Admitter that hears of it, alone or behind one that does not.
func readmits(t *testing.T, s *switchboard.Server, alone bool) {
	s.Accept, s.Moved = everyone(theMovingEcho), movedEcho
	address := start(t, s)
	next := newServer(t, s.Engine)
	knows, ignores := &counting{}, &counting{}
	next.Accept, next.Moved, next.Admission = s.Accept, movedEcho, []switchboard.Admitter{struct{ switchboard.Admitter }{ignores}, knows}
	if alone {
		next.Admission = next.Admission[1:]
	}
	var conns []net.Conn
	dial := func() {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		c.SetDeadline(time.Now().Add(patience))
		roundTrip(t, c, "hello")
		conns = append(conns, c)
	}
	dial()
	dial()
	handOver(t, s, next)
	defer stop(next)
	dial()
	for _, c := range conns {
		roundTrip(t, c, "again")
	}
	for _, o := range next.Stats().Origins {
		if o.Addr == nil && o.Conns != (switchboard.ConnStates{}) || o.Addr != nil && o.Conns.Open != 3 {
			t.Errorf("of %v there are %+v, wanted 3 of the listener", o.Addr, o.Conns)
		}
	}
	for _, c := range conns {
		c.Close()
	}
	eventually(t, "all are gone", func() bool { return next.Stats().Active == 0 })
	if a := knows; a.admits.Load() != 1 || a.readmits.Load() != 2 || a.ended.Load() != 3 {
		t.Errorf("%d admitted, %d came over, %d ended", a.admits.Load(), a.readmits.Load(), a.ended.Load())
	}
	if a := ignores; !alone && (a.admits.Load() != 1 || a.readmits.Load() != 0 || a.ended.Load() != 1) {
		t.Errorf("%d admitted, %d came over, %d ended, of an Admitter that hears of none", a.admits.Load(), a.readmits.Load(), a.ended.Load())
	}
}
