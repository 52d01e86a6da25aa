package selector

import (
	"errors"
	"math"
	"runtime"
	"runtime/pprof"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard/internal/testsocket"
)

func TestTimeoutNeverEndsEarly(t *testing.T) {
	each(t, func(t *testing.T, s *Selector) {
		r, _ := ownedPipe(t)
		register(t, s, r, Read, nil)
		for _, timeout := range []time.Duration{
			1, time.Microsecond, 999 * time.Microsecond, time.Millisecond + 1, 5*time.Millisecond + 300*time.Microsecond,
		} {
			for range 3 {
				began := time.Now()
				selects(t, s, timeout)
				if took := time.Since(began); took < timeout {
					t.Errorf("Select(%v) took %v", timeout, took)
				}
			}
		}
	})
}

func TestShortTimeoutDoesNotSpin(t *testing.T) {
	each(t, func(t *testing.T, s *Selector) {
		for range 3 {
			looks := looksDuring(s, func() { selects(t, s, 900*time.Microsecond) })
			if looks > 5 {
				t.Errorf("one wait took %d looks", looks)
			}
		}
	})
}

func TestReadyIsFoundWhateverTheTimeout(t *testing.T) {
	each(t, func(t *testing.T, s *Selector) {
		r, w := ownedPipe(t)
		write(t, w, "x")
		register(t, s, r, Read, nil)
		for _, timeout := range []time.Duration{
			0, 1, time.Microsecond, time.Hour, 60 * 24 * time.Hour, math.MaxInt64, -1, math.MinInt64,
		} {
			selects(t, s, timeout, Ready{Key{r, Read, nil}, Read})
			testsocket.Read(r, one[:])
			selects(t, s, 0) // what was found before must not be found again
			write(t, w, "x")
		}
	})
}

// A short timeout must not be left over for the wait that follows, nor a long one outlast a short one.
func TestTimeoutsDoNotMeddle(t *testing.T) {
	each(t, func(t *testing.T, s *Selector) {
		r, w := ownedPipe(t)
		register(t, s, r, Read, nil)
		selects(t, s, 2*time.Millisecond)
		began := time.Now()
		selects(t, s, 20*time.Millisecond)
		if took := time.Since(began); took < 20*time.Millisecond {
			t.Errorf("20ms after 2ms took %v", took)
		}
		write(t, w, "x")
		selects(t, s, time.Hour, Ready{Key{r, Read, nil}, Read})
		testsocket.Read(r, make([]byte, 1))
		selects(t, s, time.Millisecond) // would hang on the hour
		write(t, w, "x")
		selects(t, s, time.Millisecond, Ready{Key{r, Read, nil}, Read})
		testsocket.Read(r, make([]byte, 1))
		done := waits(s)
		began = time.Now()
		for time.Since(began) < 3*time.Millisecond { // past the alarm that was set for a millisecond
			runtime.Gosched()
		}
		if len(done) > 0 {
			t.Fatal("a wait without end ended")
		}
		must(t, s.Wake())
		<-done
	})
}

func TestNothingRegisteredStillWaits(t *testing.T) {
	each(t, func(t *testing.T, s *Selector) {
		began := time.Now()
		selects(t, s, 3*time.Millisecond)
		if took := time.Since(began); took < 3*time.Millisecond {
			t.Errorf("took %v", took)
		}
	})
}

func TestCloseEndsTheWait(t *testing.T) {
	each(t, func(t *testing.T, s *Selector) {
		r, _ := ownedPipe(t)
		register(t, s, r, Read, nil)
		done := waits(s)
		must(t, s.Close())
		if got := <-done; !errors.Is(got.err, ErrClosed) || len(got.ready) != 0 {
			t.Errorf("got %v", got)
		}
	})
}

func TestSecondSelectIsRefused(t *testing.T) {
	each(t, func(t *testing.T, s *Selector) {
		done := waits(s)
		if _, err := s.Select(0); err == nil || !strings.Contains(err.Error(), "another goroutine") {
			t.Errorf("got %v", err)
		}
		must(t, s.Wake())
		<-done
	})
}

func TestChangesReachTheWaitThatIsUnderWay(t *testing.T) {
	each(t, func(t *testing.T, s *Selector) {
		a, b := pair(t)
		owned(t, a, b)
		fill(t, a)
		write(t, b, "x") // a is readable and not writable

		done := waits(s)
		register(t, s, a, Read, "registered")
		if got := <-done; len(got.ready) != 1 || got.ready[0].Key.Data != "registered" {
			t.Fatalf("registered while waiting: %v", got)
		}

		must(t, s.Modify(a, Write, nil))
		done = waits(s)
		must(t, s.Modify(a, Read, "modified"))
		if got := <-done; len(got.ready) != 1 || got.ready[0].Key.Data != "modified" {
			t.Fatalf("modified while waiting: %v", got)
		}

		drain(t, a)
		done = waits(s)
		_, err := s.Unregister(a)
		must(t, err)
		write(t, b, "x")
		must(t, s.Wake())
		if got := <-done; len(got.ready) != 0 {
			t.Fatalf("unregistered while waiting: %v", got)
		}
	})
}

func TestAnyGoroutineMayChangeRegistrations(t *testing.T) {
	each(t, func(t *testing.T, s *Selector) {
		if why := failsUnderWine(s); why != "" {
			t.Skip(why)
		}
		const workers, rounds = 4, 100
		var group sync.WaitGroup
		for range workers {
			group.Go(func() {
				for range rounds {
					r, w := pipe(t)
					seen := make(chan struct{}, 1)
					err := s.Register(r, Read, seen)
					testsocket.Write(w, one[:])
					if err == nil {
						<-seen
						_, err = s.Unregister(r)
					}
					if err != nil {
						t.Error(err)
					}
					testsocket.Close(r)
					testsocket.Close(w)
				}
			})
		}
		ended := make(chan struct{})
		go func() {
			group.Wait()
			close(ended)
			s.Wake()
		}()
		for {
			ready, err := s.Select(-1)
			must(t, err)
			for _, r := range ready {
				select {
				case r.Key.Data.(chan struct{}) <- struct{}{}:
				default:
				}
			}
			select {
			case <-ended:
				return
			default:
			}
		}
	})
}

// The file that was looked at when the wait began is not the one that has the number when it ends.
func TestNumberReusedWhileWaiting(t *testing.T) {
	each(t, func(t *testing.T, s *Selector) {
		r, w := pipe(t)
		register(t, s, r, Read, "first")
		write(t, w, "x")
		var w2 int
		inner := s.mechanism
		s.mechanism = &actsAfterWait{inner, func() {
			s.mechanism = inner
			_, err := s.Forget(r)
			must(t, err)
			testsocket.Close(r)
			testsocket.Close(w)
			_, w2 = pipeAt(t, r)
			register(t, s, r, Read, "second")
		}}
		selects(t, s, 5*time.Millisecond)
		write(t, w2, "x")
		selects(t, s, -1, Ready{Key{r, Read, "second"}, Read})
	})
}

type actsAfterWait struct {
	mechanism
	act func()
}

func (m *actsAfterWait) wait(deadline time.Time) error {
	err := m.mechanism.wait(deadline)
	m.act()
	return err
}

func TestOthersRunWhileSelectWaitsWithOneProcessor(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	each(t, func(t *testing.T, s *Selector) {
		done := waits(s)
		ping, pong := make(chan int), make(chan int)
		go func() {
			for n := range ping {
				pong <- n
			}
		}()
		for n := range 1000 {
			ping <- n
			<-pong
		}
		close(ping)
		if len(done) > 0 {
			t.Fatal("the wait ended by itself")
		}
		must(t, s.Wake())
		<-done
	})
}

func TestSelectDoesNotAllocate(t *testing.T) {
	each(t, func(t *testing.T, s *Selector) {
		var pipes [100][2]int
		for i := range pipes {
			pipes[i][0], pipes[i][1] = ownedPipe(t)
			register(t, s, pipes[i][0], Read, i)
		}
		for name, round := range map[string]func(){
			"wait for nothing": func() { s.Select(20 * time.Microsecond) },
			"ask for nothing":  func() { s.Select(0) },
			"woken":            func() { s.Wake(); s.Select(-1) },
			"one":              func() { testsocket.Write(pipes[7][1], one[:]); s.Select(-1); testsocket.Read(pipes[7][0], one[:]) },
			"modify":           func() { s.Modify(pipes[1][0], Write, 1); s.Modify(pipes[1][0], Read, 1) },
			"register again":   func() { s.Unregister(pipes[0][0]); s.Register(pipes[0][0], Read, 0) },
		} {
			round()
			if n := testing.AllocsPerRun(100, round); n != 0 {
				t.Errorf("%s: %v allocations", name, n)
			}
		}
		for i := range pipes {
			write(t, pipes[i][1], "x")
		}
		for range 3 { // lets the buffers grow
			s.Select(-1)
		}
		for name, timeout := range map[string]time.Duration{"all, waiting": -1, "all, asking": 0, "all, timeout": time.Second} {
			if n := testing.AllocsPerRun(100, func() { s.Select(timeout) }); n != 0 {
				t.Errorf("%s: %v allocations", name, n)
			}
		}
	})
}

var one [1]byte

func TestResultKeepsNoDataAlive(t *testing.T) {
	each(t, func(t *testing.T, s *Selector) {
		r, w := ownedPipe(t)
		write(t, w, "x")
		gone := make(chan struct{})
		func() {
			data := new([1 << 10]byte)
			runtime.AddCleanup(data, func(struct{}) { close(gone) }, struct{}{})
			register(t, s, r, Read, data)
			s.Select(-1)
			s.Unregister(r)
		}()
		s.Select(0)
		for {
			runtime.GC()
			select {
			case <-gone:
				return
			case <-time.After(time.Millisecond):
			}
		}
	})
}

// However many are ready: one Select reports them all, whether it waits or only asks.
func TestSelectReportsAllThatIsReady(t *testing.T) {
	fds := many(t, 3000)
	each(t, func(t *testing.T, s *Selector) {
		for _, timeout := range []time.Duration{0, -1, time.Hour} {
			for _, n := range []int{63, 64, 65, 1000, 1024, len(fds)} {
				s := opened(t, t.Name()[strings.LastIndex(t.Name(), "/")+1:])
				for i, fd := range fds[:n] {
					register(t, s, fd, Read|Write, i)
				}
				for range 2 {
					ready, err := s.Select(timeout)
					must(t, err)
					seen := make(map[int]bool)
					for _, r := range ready {
						if r.Events != Write || fds[r.Key.Data.(int)] != r.Key.FD || seen[r.Key.FD] {
							t.Fatalf("reported %v, reported before: %v", r, seen[r.Key.FD])
						}
						seen[r.Key.FD] = true
					}
					if len(ready) != n {
						t.Fatalf("Select(%v) with %d ready reported %d", timeout, n, len(ready))
					}
				}
				must(t, s.Close())
			}
		}
	})
}

func TestRoomForEventsShrinksWhenItIsLongTooLarge(t *testing.T) {
	b := buffer{}
	room := 16 * firstEvents
	for range calmLooks - 1 {
		if got := b.size(room, firstEvents); got != room {
			t.Fatalf("shrank to %d", got)
		}
	}
	if got := b.size(room, room/4); got != room { // one look that needs it
		t.Fatalf("shrank to %d", got)
	}
	for looks := 0; room > firstEvents; looks++ {
		if room = b.size(room, 0); looks > 5*calmLooks {
			t.Fatalf("still %d", room)
		}
	}
	for range 2 * calmLooks {
		if got := b.size(firstEvents, 0); got != firstEvents {
			t.Fatalf("shrank to %d", got)
		}
	}
}

func TestTenThousandDescriptorsTakeNoGoroutineAndNoThread(t *testing.T) {
	if testing.Short() {
		t.Skip("opens 10,000 sockets")
	}
	fds := many(t, 10000)
	threads := func() int { return pprof.Lookup("threadcreate").Count() }
	each(t, func(t *testing.T, s *Selector) {
		if s.Mechanism() == "select" && fds[len(fds)-1] > highestForSelect {
			t.Skip("select(2) of this platform ends at 1023")
		}
		goroutines, before := runtime.NumGoroutine(), threads()
		for _, fd := range fds {
			register(t, s, fd, Read, nil)
		}
		selects(t, s, time.Millisecond)
		must(t, s.Modify(fds[777], Write, "777"))
		selects(t, s, -1, Ready{Key{fds[777], Write, "777"}, Write})
		for _, fd := range fds {
			must(t, s.Modify(fd, Read|Write, nil))
		}
		if ready, err := s.Select(-1); len(ready) != len(fds) || err != nil {
			t.Errorf("%d of %d were reported, %v", len(ready), len(fds), err)
		}
		if now := runtime.NumGoroutine(); now > goroutines {
			t.Errorf("%d goroutines, %d before", now, goroutines)
		}
		if now := threads(); now > before+4 { // the Go runtime may have started some of its own
			t.Errorf("%d threads, %d before", now, before)
		}
		for _, fd := range fds {
			_, err := s.Forget(fd)
			must(t, err)
		}
	})
}
