package bench

import (
	"context"
	"time"
)

// A Phase is a part of a run.
type Phase string

const (
	Opening   Phase = "opening"
	Warming   Phase = "warmup"
	Measuring Phase = "measure"
	Draining  Phase = "drain"
)

// Progress is how a run goes.
type Progress struct {
	Phase   Phase
	Elapsed time.Duration // of the whole run
	Left    time.Duration // until it has measured, as far as that can be told
	Want    int           // connections
	Open    int64         // of these, that are there
	Last    Sample        // the last stretch of the run
	Errors  int64         // so far
	Worst   string        // the kind that there were the most of
}

// telling is how often Config.Progress is told.
const telling = 100 * time.Millisecond

// probing is how often each loop is asked how long it makes those wait that want something of it.
const probing = 20 * time.Millisecond

// during runs a phase until it is over (d is, or finished is closed, if that is not nil) and takes a sample of every
// period of it. It tells whether ctx let it.
func (r *run) during(ctx context.Context, phase Phase, d time.Duration, finished <-chan struct{}) bool {
	r.phase, r.phaseBegan = phase, r.now()
	began := r.phaseBegan
	over := time.NewTimer(d)
	defer over.Stop()
	ticks := time.NewTicker(probing)
	defer ticks.Stop()
	next, told := began+int64(r.period), began
	var last struct{ n, at int64 }
	r.report(r.last)
	for {
		select {
		case <-ctx.Done():
			r.sample()
			return false
		case <-finished:
			r.sample()
			return true
		case r.refusal = <-r.refusals:
			return false
		case <-over.C:
			r.sample()
			return true
		case <-ticks.C:
			r.probe()
			now := r.now()
			if phase == Measuring && r.quota.stalled(&last, now, r.open.Load(), 2*r.cfg.OpenWait) {
				r.sample()
				return true
			}
			if now-told >= int64(telling) {
				told = now
				r.report(r.last)
			}
			if now >= next && now < began+int64(d)-int64(r.period)/2 {
				r.sample()
				next = max(next, now-int64(r.period)/2) + int64(r.period) // late on a busy machine: no short one follows
			}
		}
	}
}

// probe has each loop run a function, which notes how long that took.
func (r *run) probe() {
	for _, rec := range r.recorders {
		if c := rec.line.Load(); c != nil {
			asked := r.now()
			c.Do(func() {
				rec.mu.Lock()
				record(rec.now.lag, r.now()-asked)
				rec.mu.Unlock()
			})
		}
	}
}

// sample takes what was counted since the last one.
func (r *run) sample() {
	now, used := r.now(), ownCost()
	part := r.part
	part.reset()
	r.take(part)
	seconds := max(float64(now-r.sampled)/1e9, 1e-9)
	s := Sample{
		At:         float64(now) / 1e9, // made relative when it is known to what
		Phase:      r.phase,
		Seconds:    seconds,
		PerSecond:  float64(r.done(part)) / seconds,
		Open:       r.open.Load(),
		Errors:     part.wrong(),
		Processors: used.since(r.sampledCost).cpu.Seconds() / seconds,
		LagMax:     micros(part.lag.Max()),
	}
	if part.latency.TotalCount() > 0 {
		s.P50 = micros(part.latency.ValueAtPercentile(50))
		s.P99 = micros(part.latency.ValueAtPercentile(99))
		s.Max = micros(part.latency.Max())
	}
	r.sampled, r.sampledCost = now, used
	r.whole.add(part)
	if r.phase == Measuring {
		r.measured.add(part)
	}
	if seconds >= probing.Seconds() || r.phase == Measuring { // what is shorter has no rate to speak of
		r.timeline = append(r.timeline, s)
		r.last = s
	}
	r.report(r.last)
}

// take moves what all loops have counted to t.
func (r *run) take(t *tally) {
	for _, rec := range r.recorders {
		rec.take(t)
	}
	r.paced.take(t)
}

// done returns how many messages a tally counts as done.
func (r *run) done(t *tally) int64 {
	if r.cfg.Expect == None {
		return t.sent
	}
	return t.answered
}

func (r *run) report(s Sample) {
	if r.cfg.Progress == nil {
		return
	}
	p := Progress{Phase: r.phase, Elapsed: time.Duration(r.now()), Want: r.cfg.Conns + r.cfg.Idle,
		Open: r.open.Load(), Last: s}
	switch elapsed := time.Duration(r.now() - r.phaseBegan); r.phase {
	case Opening:
		p.Left = max(0, r.cfg.Ramp-elapsed) + r.cfg.Warmup + r.cfg.Duration
	case Warming:
		p.Left = max(0, r.cfg.Warmup-elapsed) + r.cfg.Duration
	case Measuring:
		p.Left = max(0, r.cfg.Duration-elapsed)
	}
	if left := r.cfg.Requests - r.quota.settled.Load(); r.cfg.Requests > 0 {
		p.Left = 0 // until it is known how fast they go
		if s.PerSecond > 0 {
			p.Left = time.Duration(float64(left) / s.PerSecond * 1e9)
		}
	}
	worst := int64(0)
	for _, t := range r.whole.troubles {
		p.Errors += t.Count
		if t.Count > worst {
			worst, p.Worst = t.Count, t.Kind
		}
	}
	r.cfg.Progress(p)
}
