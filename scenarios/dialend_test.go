package scenarios

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/switchboard-go/switchboard"
)

func TestDialEndsWithItsContext(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		dialling(t, s)
		address := blackHole(t)
		h := newDialler()
		enough := errors.New("enough")
		ctx, cancel := context.WithCancelCause(context.Background())
		if _, err := s.Dial(ctx, address, h); err != nil {
			t.Fatal(err)
		}
		stays(t, "it waits", func() bool { return len(h.ended) == 0 })
		cancel(enough)
		if err := next(t, h.ended); !errors.Is(err, enough) || !strings.Contains(err.Error(), address) {
			t.Errorf("ended with %v", err)
		}
		if c, err := s.Dial(ctx, address, h); c != nil || !errors.Is(err, context.Canceled) {
			t.Errorf("Dial with a context that is over: %v, %v", c, err)
		}
	})
}

// The context is for the dialling: a connection that is there outlives it.
func TestContextThatEndsLaterChangesNothing(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		s.Accept = everyone(echo)
		address := start(t, s)
		h := newDialler()
		ctx, cancel := context.WithCancel(context.Background())
		if _, err := s.Dial(ctx, address, h); err != nil {
			t.Fatal(err)
		}
		next(t, h.opened)
		cancel()
		stays(t, "it stays", func() bool { return len(h.ended) == 0 })
	})
}

// Whenever the context ends, the handler hears of it once, and no other connection is touched.
func TestContextMayEndAtAnyMoment(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		s.Accept = everyone(echo)
		address := start(t, s)
		bystander := call(t, address)
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for i := range 200 {
					h := newDialler()
					ctx, cancel := context.WithCancel(context.Background())
					if i%2 == 0 {
						go cancel()
					}
					c, err := s.Dial(ctx, address, h)
					cancel()
					if err != nil {
						continue
					}
					c.Close()
					<-h.ended
				}
			})
		}
		wg.Wait()
		bystander.says("still there?")
		bystander.hears("still there?")
		eventually(t, "only the bystander is left", func() bool { return s.Stats().Active == 1 })
	})
}

func TestCloseAndAbortEndADial(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		dialling(t, s)
		address := blackHole(t)
		for _, end := range []func(c *switchboard.Conn){func(c *switchboard.Conn) { c.Close() }, (*switchboard.Conn).Abort} {
			h := newDialler()
			end(dial(t, s, address, h))
			if err := next(t, h.ended); !errors.Is(err, switchboard.ErrAborted) {
				t.Errorf("ended with %v", err)
			}
		}
	})
}

func TestShutdownWhileDialling(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		address := blackHole(t)
		h := newDialler()
		for range 20 {
			dial(t, s, address, h)
		}
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		for range 20 {
			if err := next(t, h.ended); !errors.Is(err, switchboard.ErrServerClosed) {
				t.Errorf("ended with %v", err)
			}
		}
		if _, err := s.Dial(context.Background(), address, h); !errors.Is(err, switchboard.ErrServerClosed) {
			t.Errorf("Dial after Shutdown: %v", err)
		}
	})
}

// Dials that begin while the server ends are refused or told the end, every one.
func TestDialsRaceWithTheServersEnd(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		l := listen(t)
		for range 8 {
			s := newServer(t, s.Engine)
			h := newDialler()
			var took count
			var wg sync.WaitGroup
			first := dial(t, s, l.Addr().String(), h)
			for i := range 4 {
				wg.Go(func() {
					for range 500 {
						var err error
						if i%2 == 0 {
							_, err = s.Dial(context.Background(), l.Addr().String(), h)
						} else {
							_, err = first.Dial(context.Background(), l.Addr().String(), h)
						}
						if err != nil {
							return
						}
						took.Add(1)
					}
				})
			}
			eventually(t, "some have dialled", func() bool { return took.Load() > 10 })
			stop(s)
			wg.Wait()
			eventually(t, "each has ended", func() bool { return len(h.ended) >= int(took.Load())+1 })
			if n := len(h.ended); n != int(took.Load())+1 {
				t.Fatalf("%d ends of %d dials", n, took.Load()+1)
			}
		}
	})
}
