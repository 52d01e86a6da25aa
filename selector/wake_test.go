package selector

import (
	"sync"
	"testing"
	"time"
)

func TestWakeEndsTheWait(t *testing.T) {
	each(t, func(t *testing.T, s *Selector) {
		for range 100 {
			done := waits(s)
			must(t, s.Wake())
			if got := <-done; got.err != nil || len(got.ready) != 0 {
				t.Fatalf("woken with %v", got)
			}
		}
		began := time.Now()
		looks := looksDuring(s, func() { selects(t, s, 10*time.Millisecond) })
		if took := time.Since(began); took < 10*time.Millisecond || looks > 5 {
			t.Errorf("the next wait took %v of 10ms, and %d looks", took, looks)
		}
	})
}

func TestWakeBeforeSelectIsRememberedOnce(t *testing.T) {
	each(t, func(t *testing.T, s *Selector) {
		for range 5 {
			must(t, s.Wake())
		}
		selects(t, s, -1)
		selects(t, s, time.Millisecond)
		done := waits(s)
		must(t, s.Wake())
		must(t, s.Wake())
		<-done
		s.Select(0) // takes the second Wake, if it came after the first had been served
		done = waits(s)
		if len(done) > 0 {
			t.Fatal("woken without a Wake")
		}
		must(t, s.Wake())
		<-done
	})
}

func TestWakeBeforeSelectHidesNothing(t *testing.T) {
	each(t, func(t *testing.T, s *Selector) {
		r, w := ownedPipe(t)
		write(t, w, "x")
		register(t, s, r, Read, nil)
		must(t, s.Wake())
		selects(t, s, -1, Ready{Key{r, Read, nil}, Read})
	})
}

func TestWakeCostsNoSystemCallWhenNobodyWaits(t *testing.T) {
	each(t, func(t *testing.T, s *Selector) {
		rings := &countedRings{mechanism: s.mechanism}
		s.mechanism = rings
		for range 10 {
			must(t, s.Wake())
			selects(t, s, -1)
		}
		if rings.n != 0 {
			t.Errorf("rang %d times", rings.n)
		}
		done := waits(s)
		must(t, s.Wake())
		<-done
		if rings.n != 1 {
			t.Errorf("rang %d times for one who waited", rings.n)
		}
	})
}

type countedRings struct {
	mechanism
	n int
}

func (c *countedRings) wake() error {
	c.n++
	return c.mechanism.wake()
}

// Whoever changes a variable and then wakes must find it noticed, however the two sides meet.
func TestNoWakeIsLost(t *testing.T) {
	each(t, func(t *testing.T, s *Selector) {
		const wakers, rounds = 4, 500
		var mu sync.Mutex
		told := 0
		ack := make(chan struct{})
		for range wakers {
			go func() {
				for range rounds {
					mu.Lock()
					told++
					mu.Unlock()
					s.Wake()
					<-ack
				}
			}()
		}
		for served := 0; served < wakers*rounds; {
			if _, err := s.Select(10 * time.Second); err != nil {
				t.Fatal(err)
			}
			mu.Lock()
			now := told
			mu.Unlock()
			if now == served {
				continue // a wake for what an earlier round has served already
			}
			for ; served < now; served++ {
				ack <- struct{}{}
			}
		}
	})
}
