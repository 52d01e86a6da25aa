package admin

import (
	"math"
	"testing"
	"time"
)

func TestRatesAreWhatHappenedBetweenTwoFrames(t *testing.T) {
	before := &Frame{Time: 1000, Uptime: 1, Messages: 10, Turns: []int64{5, 0, 0, 7}, Loops: []Loop{{Busy: 1}}}
	now := &Frame{Time: 3000, Uptime: 3, Messages: 30, Turns: []int64{5, 4, 4, 7}, Loops: []Loop{{Busy: 2}}, Closed: Closed{Idle: 2, Reset: 2}}
	r, ok := RatesOf(before, now)
	if !ok || r.Messages != 10 || r.Busy[0] != 0.5 || r.Closed != 2 {
		t.Errorf("%+v, %v", r, ok)
	}
	if r.TurnMedian != 2*time.Microsecond || r.Turn99 <= 3*time.Microsecond || r.Turn99 > 4*time.Microsecond || r.CallMedian != 0 {
		t.Errorf("%v, %v, %v", r.TurnMedian, r.Turn99, r.CallMedian)
	}
	now.Loops[0].Busy = 0.5 // another thread carries it
	if r, _ := RatesOf(before, now); r.Busy[0] != 0 {
		t.Errorf("a loop is busy for %v", r.Busy)
	}
	if _, ok := RatesOf(now, before); ok {
		t.Error("time goes back")
	}
	now.Uptime = 0.5
	if _, ok := RatesOf(before, now); ok {
		t.Error("another process is not told apart")
	}
}

func FuzzQuantile(f *testing.F) {
	f.Add(int64(0), int64(0), int64(0), 0.5)
	f.Add(int64(1), int64(2), int64(3), 0.99)
	f.Add(int64(-1), int64(1<<62), int64(1<<62), 1.0)
	f.Fuzz(func(t *testing.T, a, b, c int64, share float64) {
		if math.IsNaN(share) || share < 0 || share > 1 {
			return
		}
		now := []int64{a, b, c}
		if d := quantile(make([]int64, 3), now, share); d < 0 || d > 4*time.Microsecond {
			t.Errorf("%v of %v is %v", share, now, d)
		}
	})
}
