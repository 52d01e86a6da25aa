package switchboard

import (
	"math/bits"
	"sync/atomic"
	"time"

	"github.com/switchboard-go/switchboard/internal/engine"
)

// A Histogram counts durations by their size. Bucket i has those of at most HistogramBound(i) that are in no bucket before;
// the last has all that are longer.
type Histogram struct {
	Buckets [histogramBounds + 1]int64
	Sum     time.Duration // of all durations
}

// histogramBounds is how many buckets have a bound: from a microsecond to 8.4 seconds.
const histogramBounds = 24

// HistogramBound returns the longest duration of a bucket: 1 µs, 2 µs, 4 µs and so on. The last bucket has none: ok is false.
func HistogramBound(bucket int) (d time.Duration, ok bool) {
	if bucket < 0 || bucket >= histogramBounds {
		return 0, false
	}
	return time.Microsecond << bucket, true
}

// Count returns the number of durations.
func (h *Histogram) Count() (n int64) {
	for _, b := range h.Buckets {
		n += b
	}
	return n
}

// plus returns the sum of two histograms, either of which may be nil.
func (h *Histogram) plus(o *Histogram) *Histogram {
	if h == nil || o == nil {
		if h == nil {
			h = o
		}
		return h
	}
	sum := &Histogram{Sum: h.Sum + o.Sum}
	for i := range sum.Buckets {
		sum.Buckets[i] = h.Buckets[i] + o.Buckets[i]
	}
	return sum
}

// A counting is a histogram that one goroutine adds to, and any may read.
type counting struct {
	buckets [histogramBounds + 1]atomic.Int64
	sum     atomic.Int64
}

func (c *counting) add(d time.Duration) {
	i := bits.Len64(uint64(max(d-1, 0) / time.Microsecond))
	c.buckets[min(i, histogramBounds)].Add(1)
	c.sum.Add(int64(d))
}

func (c *counting) read() *Histogram {
	h := &Histogram{Sum: time.Duration(c.sum.Load())}
	for i := range h.Buckets {
		h.Buckets[i] = c.buckets[i].Load()
	}
	return h
}

// times are what a loop measures for Server.SampleCalls.
type times struct {
	every, left  int // calls
	woken        time.Duration
	turns, calls counting
}

func newTimes(every int) *times { return &times{every: every, left: every, woken: -1} }

// due tells whether the call that begins is to be measured.
func (t *times) due() bool {
	if t.left--; t.left > 0 {
		return false
	}
	t.left = t.every
	return true
}

// called notes that the call which began then is over.
func (t *times) called(k engine.Kernel, began time.Duration) { t.calls.add(k.Now() - began) }

// turn notes that the turn is over, unless none has begun.
func (t *times) turn(now time.Duration) {
	if t.woken >= 0 {
		t.turns.add(now - t.woken)
		t.woken = -1
	}
}
