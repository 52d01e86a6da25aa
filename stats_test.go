package switchboard

import (
	"testing"
	"time"
)

func TestDurationsFallIntoTheBucketThatBoundsThem(t *testing.T) {
	for _, d := range []time.Duration{0, 1, 999, 1000, 1001, 2000, 2001, 4 * time.Microsecond, time.Millisecond, 8388608 * time.Microsecond,
		8388608*time.Microsecond + 1, 1<<63 - 1} {
		var c counting
		c.add(d)
		h := c.read()
		for i, n := range h.Buckets {
			bound, bounded := HistogramBound(i)
			before, _ := HistogramBound(i - 1)
			if i == 0 {
				before = -1
			}
			if here := d > before && (!bounded || d <= bound); here != (n == 1) {
				t.Errorf("%v: %d in the bucket of %v to %v", d, n, before, bound)
			}
		}
		if h.Sum != d || h.Count() != 1 {
			t.Errorf("%v: %+v", d, h)
		}
		if both := h.plus(h); both.Count() != 2 || h.plus(nil) != h || (*Histogram)(nil).plus(h) != h {
			t.Errorf("%v: %+v", d, both)
		}
	}
}
