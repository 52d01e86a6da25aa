package scenarios

import (
	"testing"
	"time"

	"github.com/switchboard-go/switchboard"
)

// onLoop runs f on a connection's loop and returns when it has.
func onLoop(t *testing.T, c *switchboard.Conn, f func()) {
	t.Helper()
	done := make(chan bool)
	if err := c.Do(func() { f(); close(done) }); err != nil {
		t.Fatal(err)
	}
	next(t, done)
}

func TestAfterRunsInOrderAndNeverEarly(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		conns := accepted(s, echo)
		call(t, start(t, s))
		c := next(t, conns)
		type timer struct{ d, early, late time.Duration } // it is due between these
		fired := make(chan *timer, 100)
		onLoop(t, c, func() {
			began := time.Now()
			for _, ms := range []int{30, 1, 20, 0, 2, 10, 3} {
				d := time.Duration(ms) * time.Millisecond
				one := &timer{d: d, early: time.Since(began) + d}
				c.After(d, func() {
					if took := time.Since(began); took < one.early {
						t.Errorf("ran after %v, not %v", took, one.early)
					}
					fired <- one
				})
				one.late = time.Since(began) + d
			}
		})
		var order []*timer
		for range 7 {
			one := next(t, fired)
			for _, before := range order {
				if before.early >= one.late+time.Millisecond { // a loop's clock has ticks of a millisecond
					t.Errorf("%v ran before %v, and was due later", before.d, one.d)
				}
			}
			order = append(order, one)
		}
	})
}

func TestStopKeepsATimerFromFiringAndResetPutsItOff(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		conns := accepted(s, echo)
		call(t, start(t, s))
		c := next(t, conns)
		fired := make(chan string, 100)
		name := func(s string) func() { return func() { fired <- s } }
		onLoop(t, c, func() {
			stopped := c.After(time.Second, name("stopped"))
			late := c.After(time.Second, name("put off"))
			var twice *switchboard.Timer
			again := false
			twice = c.After(time.Hour, func() {
				fired <- "twice"
				if again {
					late.Reset(0)
				} else {
					again = true
					twice.Reset(0)
				}
			})
			early := c.After(time.Hour, func() {
				fired <- "brought forward"
				twice.Reset(time.Millisecond)
			})
			c.After(time.Millisecond, func() {
				stopped.Stop()
				stopped.Stop()
				late.Reset(time.Hour)
				early.Reset(5 * time.Millisecond)
			})
		})
		for _, want := range []string{"brought forward", "twice", "twice", "put off"} {
			if got := next(t, fired); got != want {
				t.Fatalf("%q fired, want %q", got, want)
			}
		}
		stays(t, "nothing else fires", func() bool { return len(fired) == 0 })
	})
}

// All are due in the same turn, and the first of them changes its mind about the others.
func TestTimerThatIsDueCanStillBeStoppedAndMoved(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		s.SlowCall = -1
		conns := accepted(s, echo)
		call(t, start(t, s))
		c := next(t, conns)
		fired := make(chan string, 100)
		var moved time.Time
		onLoop(t, c, func() {
			var stopped, later *switchboard.Timer
			c.After(time.Millisecond, func() {
				stopped.Stop()
				later.Reset(10 * time.Millisecond)
				moved = time.Now()
			})
			stopped = c.After(time.Millisecond, func() { fired <- "stopped" })
			later = c.After(time.Millisecond, func() {
				if took := time.Since(moved); took < 10*time.Millisecond {
					t.Errorf("fired after %v", took)
				}
				fired <- "later"
			})
			time.Sleep(5 * time.Millisecond)
		})
		if got := next(t, fired); got != "later" {
			t.Errorf("%q fired", got)
		}
		stays(t, "it fires once", func() bool { return len(fired) == 0 })
	})
}

func TestTimerOfAConnectionThatIsGoneDoesNotRun(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		h := watch(nil)
		conns := accepted(s, h)
		address := start(t, s)
		call(t, address)
		gone, stays := next(t, conns), make(chan bool)
		onLoop(t, gone, func() {
			gone.After(5*time.Millisecond, func() { t.Error("it ran") })
			gone.Abort()
		})
		next(t, h.ended)
		call(t, address)
		other := next(t, conns)
		other.Do(func() { other.After(20*time.Millisecond, func() { close(stays) }) })
		next(t, stays)
	})
}

func TestVeryManyTimersFireOnceEach(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		conns := accepted(s, echo)
		call(t, start(t, s))
		c := next(t, conns)
		const many = 20_000
		fired := make([]int, many)
		left, done := many/2, make(chan bool)
		onLoop(t, c, func() {
			for i := range many {
				timer := c.After(time.Duration(i%37)*time.Millisecond, func() {
					fired[i]++
					if left--; left == 0 {
						close(done)
					}
				})
				if i%2 == 1 {
					timer.Stop()
				}
			}
		})
		next(t, done)
		onLoop(t, c, func() {
			for i, n := range fired {
				if n != (i+1)%2 {
					t.Fatalf("timer %d fired %d times", i, n)
				}
			}
		})
	})
}
