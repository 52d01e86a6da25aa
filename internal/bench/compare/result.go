package compare

import (
	"cmp"
	"slices"
	"time"

	"github.com/switchboard-go/switchboard/internal/bench"
)

// Schema names the form of a Result as JSON. Fields may join it; none changes its meaning under the same name.
const Schema = "switchboard-compare/1"

// A Result is what a comparison has found out. Its JSON form is documented in docs/bench.md.
type Result struct {
	Schema      string        `json:"schema"`
	Command     []string      `json:"command"`
	Version     string        `json:"version"`
	Began       time.Time     `json:"began"`
	Machine     bench.Machine `json:"machine"`
	Interrupted bool          `json:"interrupted"`

	Size      int     `json:"size"`
	Depth     int     `json:"depth"`
	Rounds    int     `json:"rounds"`
	Slice     float64 `json:"slice_s"`
	IdleConns int     `json:"idle_connections"`
	Baseline  string  `json:"baseline"` // what ratios are to; "" without one

	Servers []*Server `json:"servers"`
}

// A Server is what was found out about one candidate.
type Server struct {
	Name    string   `json:"name"`
	Command []string `json:"command"`
	Error   string   `json:"error,omitempty"` // why it could not be compared, or not to the end
	PerIdle float64  `json:"per_idle_connection"`
	Levels  []*Level `json:"levels"`

	process *process
	failed  bool
}

// A Level is a candidate under one number of connections. Its figures are medians over the rounds.
type Level struct {
	Conns      int              `json:"connections"`
	Served     int              `json:"served"`         // connections that were answered at all
	PerMessage float64          `json:"per_message_us"` // of the server's processor time; 0 where it cannot be measured
	Ratio      float64          `json:"ratio"`          // of that to the baseline's in the same round
	RatioLow   float64          `json:"ratio_low"`      // a quarter of the rounds' ratios are below it
	RatioHigh  float64          `json:"ratio_high"`     // a quarter of them are above it
	PerSecond  float64          `json:"per_second"`
	P50        float64          `json:"p50_us"`
	P99        float64          `json:"p99_us"`
	Limited    int              `json:"generator_limited"` // rounds in which the generator was the bottleneck
	Errors     []*bench.Trouble `json:"errors"`
	Rounds     []Round          `json:"rounds"`
}

// A Round is one slice.
type Round struct {
	PerMessage float64 `json:"per_message_us"`
	PerSecond  float64 `json:"per_second"`
	P50        float64 `json:"p50_us"`
	P99        float64 `json:"p99_us"`

	number int
}

// add counts a slice.
func (l *Level) add(number int, r *bench.Result) {
	round := Round{PerSecond: r.Messages.PerSecond, number: number}
	if r.Server != nil {
		round.PerMessage = r.Server.PerMessage
	}
	if r.Latency != nil {
		round.P50, round.P99 = r.Latency.P50, r.Latency.P99
	}
	l.Rounds = append(l.Rounds, round)
	l.Served = max(l.Served, int(r.Connections.AtEnd-r.Connections.Silent))
	if r.Generator.Bottleneck {
		l.Limited++
	}
	for _, e := range r.Errors {
		i := slices.IndexFunc(l.Errors, func(known *bench.Trouble) bool { return known.Kind == e.Kind })
		if i < 0 {
			l.Errors = append(l.Errors, e)
		} else {
			l.Errors[i].Count += e.Count
		}
	}
}

// settle finds the medians. base is the same level of the baseline, nil if there is none.
func (l *Level) settle(base *Level) {
	of := func(value func(Round) float64) float64 {
		var all []float64
		for _, r := range l.Rounds {
			all = append(all, value(r))
		}
		return median(all)
	}
	l.PerMessage = of(func(r Round) float64 { return r.PerMessage })
	l.PerSecond = of(func(r Round) float64 { return r.PerSecond })
	l.P50 = of(func(r Round) float64 { return r.P50 })
	l.P99 = of(func(r Round) float64 { return r.P99 })
	if base == nil {
		return
	}
	var ratios []float64
	for _, r := range l.Rounds {
		for _, b := range base.Rounds {
			if b.number == r.number && b.PerMessage > 0 && r.PerMessage > 0 {
				ratios = append(ratios, r.PerMessage/b.PerMessage)
			}
		}
	}
	l.Ratio, l.RatioLow, l.RatioHigh = median(ratios), quantile(ratios, 0.25), quantile(ratios, 0.75)
}

// median returns the middle one, the mean of the two in the middle if their number is even, 0 of none.
func median(values []float64) float64 { return quantile(values, 0.5) }

// quantile returns the value below which a part q of the values lies, interpolated between the two next to it, 0 of none.
func quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return 0
	}
	values = slices.Sorted(slices.Values(values))
	at := q * float64(len(values)-1)
	below := int(at)
	above := min(below+1, len(values)-1)
	return values[below] + (at-float64(below))*(values[above]-values[below])
}

// Level returns the server's figures under so many connections, nil if there are none.
func (s *Server) Level(conns int) *Level {
	i, ok := slices.BinarySearchFunc(s.Levels, conns, func(l *Level, n int) int { return cmp.Compare(l.Conns, n) })
	if !ok {
		return nil
	}
	return s.Levels[i]
}
