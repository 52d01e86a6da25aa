package wheel

import (
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"
)

type numbered struct {
	Timer
	number int
}

func TestTimersFireOnceInOrderAndNeverEarly(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var w Wheel
	timers := make([]numbered, 5000)
	want := map[int]int64{}
	for i := range timers {
		timers[i].number = i
		span := int64(1) << rng.IntN(30)
		when := rng.Int64N(span)
		w.Start(&timers[i].Timer, when)
		want[i] = when
	}
	for i := range 1000 { // stop some, move some
		if i%2 == 0 {
			w.Stop(&timers[i].Timer)
			delete(want, i)
		} else {
			want[i] = rng.Int64N(1 << 20)
			w.Start(&timers[i].Timer, want[i])
		}
	}
	if w.Len() != len(want) {
		t.Fatalf("Len is %d, want %d", w.Len(), len(want))
	}
	now, last := int64(0), int64(-1)
	for w.Len() > 0 {
		next, ok := w.Next()
		if !ok || next < now {
			t.Fatalf("Next is %d, %v at %d with %d running", next, ok, now, w.Len())
		}
		now = next
		if rng.IntN(3) == 0 {
			now += rng.Int64N(1000)
		}
		w.Advance(now, func(t0 *Timer) {
			tm := (*numbered)(unsafe.Pointer(t0))
			when, running := want[tm.number]
			if !running || tm.Running() {
				t.Fatalf("timer %d fired though stopped or fired before", tm.number)
			}
			if when > now || when < last {
				t.Fatalf("timer %d for %d fired at %d after one for %d", tm.number, when, now, last)
			}
			last = when
			delete(want, tm.number)
		})
		for i, when := range want {
			if when <= now {
				t.Fatalf("timer %d for %d did not fire by %d", i, when, now)
			}
		}
		if len(want) > 3000 {
			break // the map walk above is quadratic: the rest without it
		}
	}
	w.Advance(1<<31, func(tm *Timer) { delete(want, (*numbered)(unsafe.Pointer(tm)).number) })
	if len(want) != 0 || w.Len() != 0 {
		t.Fatalf("%d timers never fired", len(want))
	}
}

func TestFireMayStartAndStopTimers(t *testing.T) {
	var w Wheel
	var again, victim, past Timer
	names := map[*Timer]string{&again: "again", &victim: "victim", &past: "past"}
	w.Start(&again, 10)
	w.Start(&victim, 10)
	var fired []string
	w.Advance(100, func(tm *Timer) {
		fired = append(fired, names[tm])
		switch {
		case len(fired) == 1:
			w.Stop(&victim)
			w.Start(&again, 70)
		case len(fired) == 2:
			w.Start(&past, 3)
		}
	})
	if want := []string{"again", "again", "past"}; !slices.Equal(fired, want) {
		t.Fatalf("fired %v, want %v", fired, want)
	}
	if _, ok := w.Next(); ok {
		t.Fatal("Next says a timer runs")
	}
}

func BenchmarkStartStop(b *testing.B) {
	var w Wheel
	timers := make([]Timer, 1024)
	b.ReportAllocs()
	for i := range b.N {
		w.Start(&timers[i%1024], int64(i%100000))
	}
}

func TestTimerBeyondTheLastLevelWaits(t *testing.T) {
	for _, now := range []int64{0, 1, 63, 64, 12345, 1<<30 - 1, 1 << 30, 1<<36 - 1, 1<<36 + 5} {
		for _, when := range []int64{1<<36 - 1 + now, 1<<36 + now, 1<<40 + now, 1<<62 + now, 1<<63 - 1} {
			var w Wheel
			var timer Timer
			w.Advance(now, func(*Timer) { t.Fatal("nothing was started") })
			w.Start(&timer, when)
			for _, step := range []int64{0, 1, 1 << 20, 1 << 31, 1 << 35} {
				w.Advance(now+step, func(*Timer) { t.Fatalf("at %d it fires at %d, not %d", now, now+step, when) })
			}
			if next, ok := w.Next(); !ok || next > when {
				t.Errorf("at %d the next is %d, %v, for %d", now, next, ok, when)
			}
		}
	}
}
