package diff

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"

	"github.com/switchboard-go/switchboard/internal/bench"
)

// Schema names the form of a Result as JSON.
const Schema = "switchboard-diff/1"

const (
	// Level is the probability below which a difference between runs is not taken for chance. That between the stretches of
	// single runs is lower: those of one run depend on each other.
	Level            = 0.01
	LevelOfStretches = 0.001

	leastRuns = 5 // on each side, to compare runs with each other
	mostBytes = 64 << 20
)

// A Result is what the comparison of two sides has found. Its JSON form is documented in docs/bench.md.
type Result struct {
	Schema string   `json:"schema"`
	Sample string   `json:"sample"`   // what was compared: "runs", or "stretches" of the runs
	Old    int      `json:"old_runs"` // how many there were
	New    int      `json:"new_runs"`
	Other  []string `json:"other_settings"` // that are not the same on both sides
	Rows   []Row    `json:"rows"`
}

// A Row compares one figure.
type Row struct {
	Metric  string  `json:"metric"`
	Old     float64 `json:"old"` // medians
	New     float64 `json:"new"`
	Change  float64 `json:"change"` // of a hundred; 0 if there is no old value
	P       float64 `json:"p"`      // how probable so much difference is by chance
	Verdict Verdict `json:"verdict"`
}

// A Verdict says what a difference means.
type Verdict string

const (
	Better Verdict = "better"
	Worse  Verdict = "worse"
	Chance Verdict = "no difference" // that could not be chance
	TooFew Verdict = "too few samples"
)

// A metric is a figure that is compared.
type metric struct {
	name      string
	more      bool // is better
	ofRun     func(r *bench.Result) float64
	ofStretch func(s bench.Sample) float64 // nil: there is none
}

var metrics = []metric{
	{"per_second", true, func(r *bench.Result) float64 { return r.Messages.PerSecond }, func(s bench.Sample) float64 { return s.PerSecond }},
	{"p50_us", false, latency(func(l *bench.Latency) float64 { return l.P50 }), func(s bench.Sample) float64 { return s.P50 }},
	{"p99_us", false, latency(func(l *bench.Latency) float64 { return l.P99 }), func(s bench.Sample) float64 { return s.P99 }},
	{"max_us", false, latency(func(l *bench.Latency) float64 { return l.Max }), func(s bench.Sample) float64 { return s.Max }},
	{"server_us_per_message", false, func(r *bench.Result) float64 {
		if r.Server == nil {
			return math.NaN()
		}
		return r.Server.PerMessage
	}, nil},
}

func latency(of func(l *bench.Latency) float64) func(*bench.Result) float64 {
	return func(r *bench.Result) float64 {
		if r.Latency == nil {
			return math.NaN()
		}
		return of(r.Latency)
	}
}

// Read reads a result that bench --json has printed.
func Read(file string) (*bench.Result, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, mostBytes+1))
	if err == nil && len(text) > mostBytes {
		err = fmt.Errorf("it has more than %d bytes", mostBytes)
	}
	r := &bench.Result{}
	if err == nil {
		err = json.Unmarshal(text, r)
	}
	if err == nil && r.Schema != bench.Schema {
		err = fmt.Errorf("its schema is %q, and not %q", r.Schema, bench.Schema)
	}
	if err != nil {
		return nil, fmt.Errorf("%s is no result of bench --json: %w", file, err)
	}
	return r, nil
}

// Compare compares the runs of two sides. With five or more on each, each run is one sample, and a difference that is real is
// one between the servers or whatever else was changed between the runs. With fewer, the samples are the stretches of the
// runs: what the machine did during the one run and not during the other looks real, too.
func Compare(old, new []*bench.Result) (*Result, error) {
	if len(old) == 0 || len(new) == 0 {
		return nil, errors.New("there must be a run on each side")
	}
	res := &Result{Schema: Schema, Sample: "stretches", Old: len(old), New: len(new), Other: otherSettings(old, new), Rows: []Row{}}
	if len(old) >= leastRuns && len(new) >= leastRuns {
		res.Sample = "runs"
	}
	for _, m := range metrics {
		runs := [2][]float64{m.values(old, m.ofRunOnly), m.values(new, m.ofRunOnly)}
		if len(runs[0]) == 0 || len(runs[1]) == 0 {
			continue
		}
		samples := runs
		if res.Sample == "stretches" {
			samples = [2][]float64{m.values(old, m.ofStretches), m.values(new, m.ofStretches)}
		}
		row := Row{Metric: m.name, Old: median(runs[0]), New: median(runs[1]), P: rankSum(samples[0], samples[1])}
		if row.Old != 0 {
			row.Change = 100 * (row.New - row.Old) / row.Old
		}
		level := Level
		if res.Sample == "stretches" {
			level = LevelOfStretches
		}
		row.Verdict = m.verdict(row, level, min(len(samples[0]), len(samples[1])))
		res.Rows = append(res.Rows, row)
	}
	return res, nil
}

func (m metric) verdict(row Row, level float64, samples int) Verdict {
	switch {
	case samples < leastRuns:
		return TooFew
	case row.P >= level || row.New == row.Old:
		return Chance
	case (row.New > row.Old) == m.more:
		return Better
	}
	return Worse
}

// values are those of all runs of a side.
func (m metric) values(side []*bench.Result, of func(*bench.Result) []float64) (all []float64) {
	for _, r := range side {
		for _, v := range of(r) {
			if !math.IsNaN(v) {
				all = append(all, v)
			}
		}
	}
	return all
}

func (m metric) ofRunOnly(r *bench.Result) []float64 { return []float64{m.ofRun(r)} }

// ofStretches are the values of the stretches of the measurement, those apart that were cut short by its end.
func (m metric) ofStretches(r *bench.Result) (values []float64) {
	if m.ofStretch == nil {
		return nil
	}
	longest := 0.0
	for _, s := range r.Timeline {
		if s.Phase == bench.Measuring {
			longest = max(longest, s.Seconds)
		}
	}
	for _, s := range r.Timeline {
		if s.Phase == bench.Measuring && s.Seconds >= longest/2 {
			values = append(values, m.ofStretch(s))
		}
	}
	return values
}

// otherSettings names the settings that differ between any two of the runs.
func otherSettings(old, new []*bench.Result) []string {
	names := []string{}
	var first map[string]any
	for _, r := range slices.Concat(old, new) {
		text, _ := json.Marshal(r.Settings)
		var fields map[string]any
		json.Unmarshal(text, &fields)
		if first == nil {
			first = fields
			continue
		}
		for _, one := range []map[string]any{first, fields} {
			for name := range one {
				if fmt.Sprint(first[name]) != fmt.Sprint(fields[name]) && !slices.Contains(names, name) {
					names = append(names, name)
				}
			}
		}
	}
	slices.Sort(names)
	return names
}
