package bench

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Schema names the form of a Result as JSON. Fields may join it; none changes its meaning under the same name.
const Schema = "switchboard-bench/2"

// A Result is what a run has found out. Its JSON form is documented in docs/bench.md: times that end in _s are seconds,
// in _us microseconds; rates are per second; sizes are bytes.
type Result struct {
	Schema  string    `json:"schema"`
	Command []string  `json:"command"`
	Version string    `json:"version"`
	Began   time.Time `json:"began"`
	Machine Machine   `json:"machine"`

	Address     string   `json:"address"`
	Settings    Settings `json:"settings"`
	Interrupted bool     `json:"interrupted"` // the measurement was ended early
	Seconds     float64  `json:"seconds"`     // measured

	Messages    Messages    `json:"messages"`
	Bytes       Bytes       `json:"bytes"`
	Latency     *Latency    `json:"latency"` // of the answers; null without any
	Connect     *Latency    `json:"connect"` // of opening a connection, in the whole run; null without any
	Connections Connections `json:"connections"`
	Errors      []*Trouble  `json:"errors"` // the most frequent first
	Outage      *Outage     `json:"outage"` // null if the server answered up to the end
	Server      *ServerCost `json:"server"` // null when it could not be measured
	Generator   Generator   `json:"generator"`
	Totals      Totals      `json:"totals"`
	Timeline    []Sample    `json:"timeline"`

	Histogram *hdrhistogram.Histogram `json:"-"` // of Latency, in nanoseconds
}

// Settings are what was asked for, zero values put into words.
type Settings struct {
	Conns    int      `json:"conns"`
	Idle     int      `json:"idle"`
	SizeMin  int      `json:"size_min"`
	SizeMax  int      `json:"size_max"`
	Payload  bool     `json:"payload"` // the message came from a file
	Method   string   `json:"method,omitempty"`
	Path     string   `json:"path,omitempty"`
	Requests int64    `json:"requests,omitempty"` // that were to be sent in all
	Depth    int      `json:"depth"`
	Rate     float64  `json:"rate"` // 0: closed loop
	Churn    bool     `json:"churn"`
	Expect   Expect   `json:"expect"`
	TLS      string   `json:"tls,omitempty"` // its version; absent without TLS
	Loops    int      `json:"loops"`
	Sources  []string `json:"sources,omitempty"`
	Ramp     float64  `json:"ramp_s"`
	Warmup   float64  `json:"warmup_s"`
	Duration float64  `json:"duration_s"`
}

// Messages counts those of the measurement: Sent = Answered + Lost + NoAnswer, unless nobody answers (--expect none).
type Messages struct {
	PerSecond float64 `json:"per_second"` // answered in the measurement, by its time; for --expect none, sent
	Sent      int64   `json:"sent"`       // in flight when the measurement began, or sent in it
	Answered  int64   `json:"answered"`   // of these
	Late      int64   `json:"late"`       // answered only after the end; their latency counts
	Lost      int64   `json:"lost"`       // in flight when their connection broke
	NoAnswer  int64   `json:"unanswered"` // never answered, a while after the end
	Oldest    float64 `json:"oldest_unanswered_s"`
	NotSent   int64   `json:"not_sent"` // due by the schedule of --rate and never sent, for want of room or connections
}

// An Outage is a server that did not answer any more when the measurement ended.
type Outage struct {
	Since float64 `json:"since_s"` // the last answer, from the beginning of the measurement on; below 0 before that
	Why   string  `json:"why"`     // as far as it can be told from here
}

// Bytes counts those of the measurement.
type Bytes struct {
	Out          int64   `json:"out"`
	In           int64   `json:"in"`
	OutPerSecond float64 `json:"out_per_second"`
	InPerSecond  float64 `json:"in_per_second"`
}

// Latency is a distribution.
type Latency struct {
	Count int64   `json:"count"`
	Min   float64 `json:"min_us"`
	Mean  float64 `json:"mean_us"`
	Dev   float64 `json:"stddev_us"`
	P50   float64 `json:"p50_us"`
	P90   float64 `json:"p90_us"`
	P99   float64 `json:"p99_us"`
	P999  float64 `json:"p99_9_us"`
	P9999 float64 `json:"p99_99_us"`
	Max   float64 `json:"max_us"`
	Curve []Point `json:"curve"` // from the lowest to the highest
}

// A Point of a distribution: so many percent are not above so many microseconds.
type Point struct {
	Percent float64 `json:"percent"`
	Micros  float64 `json:"us"`
}

// Connections counts those of the whole run.
type Connections struct {
	Opened int64 `json:"opened"`
	Failed int64 `json:"failed"`  // did not come about
	Broken int64 `json:"broken"`  // ended by the server, by the network or by a wrong answer
	AtEnd  int64 `json:"at_end"`  // open when the measurement ended
	Silent int64 `json:"silent"`  // of these, asked and never answered
	Idle   int64 `json:"at_idle"` // of these, those of --idle
}

// ServerCost is what the server used, with the processes that it started.
type ServerCost struct {
	PID        int     `json:"pid"`
	Name       string  `json:"name"`
	CPU        float64 `json:"cpu_s"`          // processor time in the measurement
	PerMessage float64 `json:"per_message_us"` // of it, by message; 0 without any
	Processors float64 `json:"processors"`     // of it, by the time
	Resident   int64   `json:"resident"`       // memory at the end
	PerConn    float64 `json:"per_connection"` // how much of it came with each connection; 0 with fewer than 10
}

// Generator is what this side used in the measurement.
type Generator struct {
	Loops      int     `json:"loops"`
	CPU        float64 `json:"cpu_s"`
	Processors float64 `json:"processors"` // CPU by the time
	Waited     float64 `json:"waited"`     // processors that it could have used, and did not get
	LagP50     float64 `json:"lag_p50_us"` // how long what happens waits until the generator sees to it
	LagP99     float64 `json:"lag_p99_us"`
	LagMax     float64 `json:"lag_max_us"`
	Bottleneck bool    `json:"bottleneck"` // it, rather than the server, limited what was measured
	Starved    bool    `json:"starved"`    // it wanted more processors than others left it
	Why        string  `json:"why,omitempty"`
}

// Totals are of the whole run, from the first connection to the last: what a server that counts should have counted.
type Totals struct {
	Connections int64 `json:"connections"`
	Sent        int64 `json:"messages_sent"`
	Answered    int64 `json:"messages_answered"`
	Lost        int64 `json:"messages_lost"`
	NoAnswer    int64 `json:"messages_unanswered"`
	BytesOut    int64 `json:"bytes_out"` // taken by the system; with TLS, of plain text
	BytesIn     int64 `json:"bytes_in"`
}

// A Sample is one stretch of the run.
type Sample struct {
	At         float64 `json:"at_s"` // its end, from the beginning of the measurement on; below 0 before that
	Phase      Phase   `json:"phase"`
	Seconds    float64 `json:"seconds"`
	PerSecond  float64 `json:"per_second"`
	P50        float64 `json:"p50_us"`
	P99        float64 `json:"p99_us"`
	Max        float64 `json:"max_us"`
	Open       int64   `json:"connections"`
	Errors     int64   `json:"errors"`
	Processors float64 `json:"generator_processors"`
	LagMax     float64 `json:"generator_lag_max_us"`
}

func micros(ns int64) float64 { return float64(ns) / 1e3 }

// distribution puts a histogram into figures, nil if it is empty.
func distribution(h *hdrhistogram.Histogram) *Latency {
	if h.TotalCount() == 0 {
		return nil
	}
	at := func(percent float64) float64 { return micros(h.ValueAtPercentile(percent)) }
	l := &Latency{
		Count: h.TotalCount(), Min: micros(h.Min()), Mean: h.Mean() / 1e3, Dev: h.StdDev() / 1e3, Max: micros(h.Max()),
		P50: at(50), P90: at(90), P99: at(99), P999: at(99.9), P9999: at(99.99),
	}
	for _, b := range h.CumulativeDistributionWithTicks(5) {
		l.Curve = append(l.Curve, Point{b.Quantile, micros(b.ValueAt)})
	}
	return l
}
