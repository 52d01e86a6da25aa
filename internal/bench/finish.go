package bench

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"
)

// newResult puts the measurement into figures.
func (r *run) newResult(began, ended int64, used cost) *Result {
	t, seconds := r.measured, float64(ended-began)/1e9
	res := &Result{
		Schema:   Schema,
		Began:    r.start,
		Machine:  ThisMachine(),
		Address:  r.cfg.Address,
		Settings: r.cfg.settings(),
		Seconds:  seconds,
		Messages: Messages{PerSecond: float64(r.done(t)) / seconds},
		Bytes: Bytes{Out: t.bytesOut, In: t.bytesIn,
			OutPerSecond: float64(t.bytesOut) / seconds, InPerSecond: float64(t.bytesIn) / seconds},
		Generator: Generator{
			Loops:      r.cfg.Loops,
			CPU:        used.cpu.Seconds(),
			Processors: used.cpu.Seconds() / seconds,
			Waited:     used.waited.Seconds() / seconds,
			LagP50:     micros(t.lag.ValueAtPercentile(50)),
			LagP99:     micros(t.lag.ValueAtPercentile(99)),
			LagMax:     micros(t.lag.Max()),
		},
		Timeline: r.timeline,
	}
	for i := range res.Timeline {
		res.Timeline[i].At -= float64(began) / 1e9
	}
	return res
}

// leftovers counts what has no answer after all.
func (r *run) leftovers(res *Result) {
	r.oldest = math.MaxInt64
	for _, k := range r.all() {
		k.mu.Lock()
		if n := k.underWay(); n > 0 && k.conn != nil {
			res.Messages.NoAnswer += n
			if r.cfg.Expect != None {
				r.oldest = min(r.oldest, k.flight.at(0).due)
				res.Messages.Oldest = float64(r.now()-r.oldest) / 1e9
			}
		}
		if k.conn != nil && !k.heard && k.sent > 0 && r.cfg.Expect != None {
			res.Connections.Silent++
		}
		if k.conn != nil && k.idle {
			res.Connections.Idle++
		}
		if r.cfg.Rate > 0 && !k.idle {
			res.Messages.NotSent += k.owed(r.began)
			if k.connecting() {
				res.Messages.NotSent++
			}
		}
		k.mu.Unlock()
	}
	r.take(r.late) // after every client was looked at, of which none counts any more
	r.whole.add(r.late)
	if n := res.Messages.NoAnswer; n > 0 && r.cfg.Expect != None {
		r.whole.trouble(errNoAnswer.kind, fmt.Sprintf("the oldest message had waited for %v",
			time.Duration(res.Messages.Oldest*1e9).Round(time.Millisecond)), n)
	}
	m := &res.Messages
	m.Sent = r.inFlight + r.measured.sent + r.late.sent
	m.Answered = r.measured.answered + r.late.answered
	m.Late = r.late.answered
	m.Lost = r.measured.lost + r.late.lost
	m.NotSent += r.measured.notSent + r.late.notSent
	if r.quota.doneAt.Load() > 0 { // all was done by then, also what the loops counted a moment later
		m.PerSecond = float64(r.done(r.measured)+r.done(r.late)) / res.Seconds
	}
	r.measured.latency.Merge(r.late.latency)
	res.Latency, res.Histogram = distribution(r.measured.latency), r.measured.latency
	if r.cfg.Requests > 0 {
		missing := r.cfg.Requests - r.quota.issued.Load()
		m.NotSent = missing
		if missing > 0 && !res.Interrupted {
			r.whole.trouble("never sent", fmt.Sprintf("of %d requests %d were sent in the time", r.cfg.Requests, r.cfg.Requests-missing), missing)
		}
	}
}

// finish adds what is known only when everything has ended.
func (r *run) finish(res *Result, server *process) {
	t := r.whole
	res.Connect = distribution(t.connect)
	res.Connections.Opened, res.Connections.Failed, res.Connections.Broken = t.opened, t.failed, t.dropped
	res.Totals = Totals{Connections: t.opened, Sent: t.sent, Answered: t.answered, Lost: t.lost, NoAnswer: res.Messages.NoAnswer,
		BytesOut: r.bytesOut.Load(), BytesIn: r.bytesIn.Load()}
	if r.cfg.TLS != nil {
		res.Totals.BytesOut, res.Totals.BytesIn = t.bytesOut, t.bytesIn
		res.Settings.TLS = r.there.tls
	}
	res.Errors = []*Trouble{}
	for _, trouble := range t.troubles {
		trouble.Before = r.before[trouble.Kind]
		trouble.Count -= trouble.Before
		res.Errors = append(res.Errors, trouble)
	}
	slices.SortFunc(res.Errors, func(a, b *Trouble) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(b.Before, a.Before), cmp.Compare(a.Kind, b.Kind))
	})
	res.Server = server.result(res)
	res.Outage = r.outage(res)
	res.Generator.judge(res)
}

// judge says whether the generator was at its end. It was when it used nearly all of the processors that it may use, or
// when what came waited for it most of the time that it counted as the server's. It was starved, and no limit by itself,
// when others had the processors that it wanted.
func (g *Generator) judge(res *Result) {
	const nearly, notice = 0.9, 500 // of its processors; microseconds
	loops := float64(g.Loops)
	lagging := res.Latency != nil && g.LagP50 > notice && g.LagP50 > res.Latency.P50/2
	switch waits := g.Waited > g.Processors/10 && g.Waited > loops/20; {
	case g.Processors >= nearly*loops:
		g.Bottleneck = true
		g.Why = fmt.Sprintf("it used %.2f processors, with --loops %d", g.Processors, g.Loops)
	case waits && (lagging || g.Processors+g.Waited >= nearly*loops):
		g.Starved = true
		g.Why = fmt.Sprintf("the generator used %.2f processors and waited for %.2f more", g.Processors, g.Waited)
	case lagging:
		g.Bottleneck = true
		g.Why = fmt.Sprintf("half of what happened waited %v or longer for it", time.Duration(g.LagP50*1e3).Round(10*time.Microsecond))
	}
}

func (c *Config) settings() Settings {
	s := Settings{Conns: c.Conns, Idle: c.Idle, SizeMin: c.Size.Min, SizeMax: c.Size.Max, Payload: c.Payload != nil && c.Path == "",
		Method: c.Method, Path: c.Path, Requests: c.Requests, Depth: c.Depth, Rate: c.Rate, Churn: c.Churn, Expect: c.Expect, Loops: c.Loops,
		Ramp: c.Ramp.Seconds(), Warmup: c.Warmup.Seconds(), Duration: c.Duration.Seconds()}
	for _, a := range c.Sources {
		s.Sources = append(s.Sources, a.String())
	}
	return s
}
