package bench

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/internal/quote"
)

// Latencies are kept in nanoseconds to three digits, from 100 ns on, up to an hour and more.
const (
	lowest  = 100
	highest = int64(2 * time.Hour)
)

func newHistogram(digits int) *hdrhistogram.Histogram {
	return hdrhistogram.New(lowest, highest, digits)
}

func record(h *hdrhistogram.Histogram, ns int64) { h.RecordValue(min(max(ns, 0), highest)) }

// A tally is what was counted in some stretch of time.
type tally struct {
	latency *hdrhistogram.Histogram // of answers
	connect *hdrhistogram.Histogram // of connections
	lag     *hdrhistogram.Histogram // of the generator itself

	sent, answered, lost    int64 // messages; lost ones were in flight on a connection that broke
	notSent                 int64 // messages that were due, on connections that did not come about
	heard                   int64 // when the last answer came, or with None the last message left; 0: never
	bytesOut, bytesIn       int64
	opened, failed, dropped int64  // connections: there, not come about, broken
	failing                 int64  // when the last connection failed or broke; 0: never
	failure                 string // of what kind that was
	troubles                map[string]*Trouble
}

// A Trouble is something that went wrong, and how often.
type Trouble struct {
	Kind    string `json:"kind"`
	Count   int64  `json:"count"`   // in the measurement, as messages count
	Before  int64  `json:"before"`  // while connections opened and in the warm-up
	Example string `json:"example"` // the first one, in full
}

func newTally() *tally {
	return &tally{latency: newHistogram(3), connect: newHistogram(2), lag: newHistogram(2), troubles: map[string]*Trouble{}}
}

// add counts what other counted, too.
func (t *tally) add(other *tally) {
	t.latency.Merge(other.latency)
	t.connect.Merge(other.connect)
	t.lag.Merge(other.lag)
	t.sent += other.sent
	t.answered += other.answered
	t.lost += other.lost
	t.notSent += other.notSent
	t.heard = max(t.heard, other.heard)
	if other.failing > t.failing {
		t.failing, t.failure = other.failing, other.failure
	}
	t.bytesOut += other.bytesOut
	t.bytesIn += other.bytesIn
	t.opened += other.opened
	t.failed += other.failed
	t.dropped += other.dropped
	for _, trouble := range other.troubles {
		t.trouble(trouble.Kind, trouble.Example, trouble.Count)
	}
}

// mostKinds is how many kinds of trouble are told apart: their names come from the server.
const mostKinds = 100

func (t *tally) trouble(kind, example string, n int64) {
	kind, example = quote.Line(kind), quote.Line(example)
	if t.troubles[kind] == nil && len(t.troubles) >= mostKinds {
		kind, example = "of other kinds", ""
	}
	if known := t.troubles[kind]; known != nil {
		known.Count += n
		return
	}
	t.troubles[kind] = &Trouble{Kind: kind, Count: n, Example: example}
}

// fails counts an error that has ended a connection.
func (t *tally) fails(now int64, err error) {
	t.failing, t.failure = now, kindOf(err)
	t.trouble(t.failure, err.Error(), 1)
}

func (t *tally) wrong() (n int64) {
	for _, trouble := range t.troubles {
		n += trouble.Count
	}
	return n
}

func (t *tally) reset() {
	t.latency.Reset()
	t.connect.Reset()
	t.lag.Reset()
	*t = tally{latency: t.latency, connect: t.connect, lag: t.lag, troubles: map[string]*Trouble{}}
}

// A recorder counts for one loop. What has been counted is taken away whole, so that no answer is counted in two
// stretches of time or in none.
type recorder struct {
	mu    sync.Mutex
	now   *tally
	spare *tally // the other one, empty

	line atomic.Pointer[switchboard.Conn] // some connection of the loop, to ask the loop how busy it is
}

func newRecorder() *recorder { return &recorder{now: newTally(), spare: newTally()} }

// take adds what was counted since the last take to each of to.
func (r *recorder) take(to ...*tally) {
	r.mu.Lock()
	r.now, r.spare = r.spare, r.now
	r.mu.Unlock()
	for _, t := range to {
		t.add(r.spare)
	}
	r.spare.reset()
}
