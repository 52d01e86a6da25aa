package bench

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// within tells whether got is want to three digits, the histogram's promise, or to 64 ns, its smallest step.
func within(got, want float64) bool { return math.Abs(got-want) <= max(want*0.001, 0.064) }

func TestPercentilesOfKnownSamples(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for name, draw := range map[string]func(i int) float64{ // microseconds
		"one to a hundred thousand": func(i int) float64 { return float64(i + 1) },
		"all the same":              func(int) float64 { return 42 },
		"two humps":                 func(i int) float64 { return []float64{50, 200000}[i%10/9] },
		"exponential":               func(int) float64 { return 10 + 100*random.ExpFloat64() },
		"over ten decades":          func(int) float64 { return math.Pow(10, -1+10*random.Float64()) },
	} {
		t.Run(name, func(t *testing.T) {
			const n = 100000
			samples := make([]float64, n)
			h, sum := newHistogram(3), 0.0
			for i := range samples {
				samples[i] = math.Round(draw(i)*1e3) / 1e3
				sum += samples[i]
				record(h, int64(math.Round(samples[i]*1e3)))
			}
			slices.Sort(samples)
			l := distribution(h)
			if l.Count != n || !within(l.Mean, sum/n) {
				t.Errorf("%d samples with a mean of %v, wanted %d with %v", l.Count, l.Mean, n, sum/n)
			}
			for _, c := range []struct{ got, percent float64 }{{l.P50, 50}, {l.P90, 90}, {l.P99, 99}, {l.P999, 99.9}, {l.P9999, 99.99}, {l.Max, 100}} {
				if want := samples[int(math.Ceil(c.percent*n/100-1e-6))-1]; !within(c.got, want) {
					t.Errorf("p%v is %v µs, wanted %v", c.percent, c.got, want)
				}
			}
			if !within(l.Min, samples[0]) {
				t.Errorf("the smallest is %v, wanted %v", l.Min, samples[0])
			}
			last := Point{}
			for _, p := range l.Curve {
				if p.Percent < last.Percent || p.Micros < last.Micros {
					t.Errorf("the curve falls from %v to %v", last, p)
				}
				last = p
			}
			if last.Percent != 100 || !within(last.Micros, samples[n-1]) {
				t.Errorf("the curve ends at %v, wanted 100%% and %v", last, samples[n-1])
			}
		})
	}
}

func TestWhatIsTooLongIsRecordedAsTheLongest(t *testing.T) {
	h := newHistogram(3)
	record(h, int64(10*time.Hour))
	record(h, -5)
	if l := distribution(h); l.Count != 2 || l.Max < float64(highest)/1e3*0.99 || l.Min != 0 {
		t.Errorf("%+v", l)
	}
	if distribution(newHistogram(3)) != nil {
		t.Error("no samples have a distribution")
	}
}

func TestNothingIsCountedTwiceOrNotAtAllWhenCountsAreTaken(t *testing.T) {
	rec, sum := newRecorder(), newTally()
	const each, counters = 20000, 4
	done := make(chan bool)
	for range counters {
		go func() {
			for range each {
				rec.mu.Lock()
				rec.now.answered++
				record(rec.now.latency, 1000)
				rec.now.trouble("kind", "example", 1)
				rec.mu.Unlock()
			}
			done <- true
		}()
	}
	for left := counters; left > 0; {
		select {
		case <-done:
			left--
		default:
			rec.take(sum)
		}
	}
	rec.take(sum)
	if want := int64(each * counters); sum.answered != want || sum.latency.TotalCount() != want || sum.troubles["kind"].Count != want {
		t.Errorf("%d, %d and %d counted, wanted %d", sum.answered, sum.latency.TotalCount(), sum.troubles["kind"].Count, want)
	}
}

func TestMessagesInFlightKeepTheirOrder(t *testing.T) {
	var f flight
	next, oldest := int64(0), int64(0)
	random := rand.New(rand.NewPCG(3, 4))
	for range 10000 {
		if random.IntN(2) == 0 || f.n == 0 {
			f.push(message{due: next})
			next++
			continue
		}
		if last := f.at(f.n - 1).due; last != next-1 {
			t.Fatalf("the youngest is %d, wanted %d", last, next-1)
		}
		if m := f.pop(); m.due != oldest {
			t.Fatalf("%d came out, wanted %d", m.due, oldest)
		}
		oldest++
	}
}

func TestTheGeneratorIsBlamedWhenItIsToBlame(t *testing.T) {
	at := func(p50 float64) *Result { return &Result{Latency: &Latency{P50: p50}} }
	for name, c := range map[string]struct {
		g       Generator
		r       *Result
		blamed  bool
		starved bool
	}{
		"idle":                           {Generator{Loops: 1, Processors: 0.1, LagP50: 50}, at(100), false, false},
		"its loop is always busy":        {Generator{Loops: 1, Processors: 0.97, LagP50: 50}, at(100), true, false},
		"busy, and waits a little":       {Generator{Loops: 1, Processors: 0.95, Waited: 0.3}, at(100), true, false},
		"one of two loops is busy":       {Generator{Loops: 2, Processors: 0.97, LagP50: 50}, at(100), false, false},
		"it gets too little":             {Generator{Loops: 1, Processors: 0.5, Waited: 0.45}, at(100), false, true},
		"it lags as it gets too little":  {Generator{Loops: 1, Processors: 0.2, Waited: 0.4, LagP50: 9000}, at(10000), false, true},
		"it waits, and it is no matter":  {Generator{Loops: 1, Processors: 0.2, Waited: 0.4, LagP50: 50}, at(10000), false, false},
		"slow to see to a slow server":   {Generator{Loops: 1, Processors: 0.5, LagP50: 900}, at(10000), false, false},
		"most of the latency is its own": {Generator{Loops: 1, Processors: 0.5, LagP50: 9000}, at(10000), true, false},
		"without answers":                {Generator{Loops: 1, LagP50: 9000}, &Result{}, false, false},
	} {
		c.g.judge(c.r)
		if c.g.Bottleneck != c.blamed || c.g.Starved != c.starved || (c.g.Why != "") != (c.blamed || c.starved) {
			t.Errorf("%s: blamed %v, starved %v (%s)", name, c.g.Bottleneck, c.g.Starved, c.g.Why)
		}
	}
}
