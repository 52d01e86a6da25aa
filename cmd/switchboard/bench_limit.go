package main

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/switchboard-go/switchboard/internal/bench"
	"github.com/switchboard-go/switchboard/internal/bench/report"
)

// A limit is a condition of --fail-if: a result that meets it is a failure.
type limit struct {
	text, metric, sign string
	value              float64 // microseconds, a rate, a number
	percent            bool    // value is of a hundred messages
}

// latencies are the metrics that are times.
var latencies = map[string]func(l *bench.Latency) float64{
	"min":    func(l *bench.Latency) float64 { return l.Min },
	"mean":   func(l *bench.Latency) float64 { return l.Mean },
	"p50":    func(l *bench.Latency) float64 { return l.P50 },
	"p90":    func(l *bench.Latency) float64 { return l.P90 },
	"p99":    func(l *bench.Latency) float64 { return l.P99 },
	"p99.9":  func(l *bench.Latency) float64 { return l.P999 },
	"p99.99": func(l *bench.Latency) float64 { return l.P9999 },
	"max":    func(l *bench.Latency) float64 { return l.Max },
}

// counts are the metrics that are numbers of messages, or shares of them.
var counts = map[string]func(r *bench.Result) int64{
	"errors": func(r *bench.Result) (n int64) {
		for _, e := range r.Errors {
			n += e.Before + e.Count
		}
		return n
	},
	"lost":       func(r *bench.Result) int64 { return r.Messages.Lost },
	"unanswered": func(r *bench.Result) int64 { return r.Messages.NoAnswer },
}

const limitHelp = "try 'p99>5ms', 'rate<10k' or 'errors>0.1%'; there are min, mean, p50, p90, p99, p99.9, p99.99, max, rate, errors, lost, unanswered"

var limitForm = regexp.MustCompile(`^\s*([a-z0-9.]+)\s*(<=|>=|<|>)\s*([0-9][^<>=]*?)\s*$`)

// parseLimit reads what --fail-if was given.
func parseLimit(text string) (l limit, err error) {
	parts := limitForm.FindStringSubmatch(text)
	if parts == nil {
		return l, fmt.Errorf("--fail-if %q: %s", text, limitHelp)
	}
	l = limit{text: strings.TrimSpace(text), metric: parts[1], sign: parts[2]}
	number := parts[3]
	switch {
	case latencies[l.metric] != nil:
		if _, plain := strconv.ParseFloat(number, 64); plain == nil {
			return l, fmt.Errorf("--fail-if %q: the time has no unit (try %sms)", text, number)
		}
		d, err := time.ParseDuration(number)
		if err != nil {
			return l, fmt.Errorf("--fail-if %q: %q is no duration (try 5ms)", text, number)
		}
		l.value = float64(d) / 1e3
		return l, nil
	case l.metric == "rate":
		scale := 1.0
		for unit, factor := range map[string]float64{"k": 1e3, "K": 1e3, "M": 1e6} {
			if rest, ok := strings.CutSuffix(number, unit); ok {
				number, scale = rest, factor
			}
		}
		l.value, err = strconv.ParseFloat(number, 64)
		l.value *= scale
	case counts[l.metric] != nil:
		number, l.percent = strings.CutSuffix(number, "%")
		l.value, err = strconv.ParseFloat(strings.TrimSpace(number), 64)
	default:
		return l, fmt.Errorf("--fail-if %q: no metric is called %q (%s)", text, l.metric, limitHelp)
	}
	if err != nil {
		return l, fmt.Errorf("--fail-if %q: %q is no number", text, parts[3])
	}
	return l, nil
}

// above tells whether the limit is an upper one.
func (l limit) above() bool { return l.sign[0] == '>' }

// missed says by how much a result has missed the limit, "" if it has not.
func (l limit) missed(r *bench.Result) string {
	var value float64
	var shown string
	switch {
	case latencies[l.metric] != nil:
		if r.Latency == nil {
			return fmt.Sprintf("%s: nothing was answered", l.text)
		}
		value = latencies[l.metric](r.Latency)
		shown = report.Micros(value)
	case l.metric == "rate":
		value = r.Messages.PerSecond
		shown = report.Rate(value)
	default:
		n := counts[l.metric](r)
		value, shown = float64(n), report.Count(n)
		if l.percent {
			of := max(r.Totals.Sent, 1)
			value = 100 * value / float64(of)
			shown = fmt.Sprintf("%.3g%%", value)
		}
	}
	holds := map[string]bool{"<": value < l.value, "<=": value <= l.value, ">": value > l.value, ">=": value >= l.value}
	if !holds[l.sign] {
		return ""
	}
	return fmt.Sprintf("%s: it was %s", l.text, shown)
}
