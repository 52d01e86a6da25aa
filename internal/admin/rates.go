package admin

import (
	"time"

	"github.com/switchboard-go/switchboard"
)

// Rates are what happened in a second between two frames.
type Rates struct {
	Accepted, Messages, Received, Sent, Handshakes, Closed float64

	CPU                                    float64       // processors in use
	Busy                                   []float64     // of each loop, 0 to 1
	TurnMedian, Turn99, CallMedian, Call99 time.Duration // 0: nothing was measured
}

// RatesOf returns what happened between two frames. ok is false if the second is not of the same process, or not later.
func RatesOf(before, now *Frame) (r Rates, ok bool) {
	seconds := float64(now.Time-before.Time) / 1000
	if seconds <= 0 || now.Uptime <= before.Uptime || len(now.Loops) != len(before.Loops) {
		return r, false
	}
	per := func(a, b int64) float64 { return max(0, float64(b-a)) / seconds }
	r.Accepted = per(before.Accepted, now.Accepted)
	r.Messages = per(before.Messages, now.Messages)
	r.Received = per(before.Received, now.Received)
	r.Sent = per(before.Sent, now.Sent)
	r.Handshakes = per(before.Handshakes, now.Handshakes)
	r.Closed = per(before.Closed.total(), now.Closed.total())
	r.CPU = max(0, now.Process.CPU-before.Process.CPU) / seconds
	for i, l := range now.Loops {
		r.Busy = append(r.Busy, min(1, max(0, l.Busy-before.Loops[i].Busy)/seconds))
	}
	r.TurnMedian, r.Turn99 = quantile(before.Turns, now.Turns, 0.5), quantile(before.Turns, now.Turns, 0.99)
	r.CallMedian, r.Call99 = quantile(before.Calls, now.Calls, 0.5), quantile(before.Calls, now.Calls, 0.99)
	return r, true
}

func (c Closed) total() int64 {
	return c.Orderly + c.Idle + c.Stalled + c.Panic + c.Invalid + c.Reset + c.Aborted + c.Memory + c.Piped + c.Failed
}

// quantile returns what this share of the durations between two frames does not exceed, 0 if there are none. It lies within a
// bucket as if the durations there were spread evenly.
func quantile(before, now []int64, share float64) time.Duration {
	if len(before) != len(now) {
		return 0
	}
	all := int64(0)
	for i := range now {
		all += now[i] - before[i]
	}
	if all <= 0 {
		return 0
	}
	want, below := share*float64(all), 0.0
	lower := time.Duration(0)
	for i := range now {
		upper, bounded := switchboard.HistogramBound(i)
		n := float64(now[i] - before[i])
		if n > 0 && below+n >= want {
			if !bounded {
				return lower
			}
			return lower + time.Duration(float64(upper-lower)*(want-below)/n)
		}
		below += n
		lower = upper
	}
	return lower
}
