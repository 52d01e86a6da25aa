package metrics

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/switchboard-go/switchboard"
)

// A Source writes figures when they are asked for. It may be called by several goroutines at once, each with a Writer of its
// own.
type Source func(w *Writer)

// A Writer collects the figures of several sources. What they write under the same name becomes one metric, as the format
// wants it. Its zero value is ready to use. It belongs to one goroutine.
//
// Labels are pairs of a name and a value. What the format does not allow is an error of [Writer.WriteTo]: a bad name, two kinds
// of one metric, the same labels twice.
type Writer struct {
	families []*family
	named    map[string]*family
	errs     []error
}

// A family is one metric: its samples, by their labels.
type family struct {
	name, help, kind string
	samples          []sample
}

type sample struct {
	labels string // sorted, as in the text, without braces
	value  float64
	hist   *switchboard.Histogram // nil unless it is a histogram
}

// Counter adds a value that only rises. Its name ends in _total.
func (w *Writer) Counter(name, help string, value int64, labels ...string) {
	w.add(name, help, "counter", sample{value: float64(value)}, labels)
}

// Seconds adds a counter of time.
func (w *Writer) Seconds(name, help string, value float64, labels ...string) {
	w.add(name, help, "counter", sample{value: value}, labels)
}

// Gauge adds a value that rises and falls.
func (w *Writer) Gauge(name, help string, value float64, labels ...string) {
	w.add(name, help, "gauge", sample{value: value}, labels)
}

// Histogram adds durations, in seconds. A nil h adds nothing.
func (w *Writer) Histogram(name, help string, h *switchboard.Histogram, labels ...string) {
	if h != nil {
		w.add(name, help, "histogram", sample{hist: h}, labels)
	}
}

func (w *Writer) add(name, help, kind string, s sample, labels []string) {
	f := w.named[name]
	if f == nil {
		f = &family{name: name, help: help, kind: kind}
		if w.named == nil {
			w.named = map[string]*family{}
		}
		w.named[name] = f
		w.families = append(w.families, f)
		if !isName(name, true) {
			w.fail("metric %q: a name has letters, digits, _ and :", name)
		}
	}
	if f.kind != kind {
		w.fail("metric %s is a %s and a %s", name, f.kind, kind)
		return
	}
	var err error
	if s.labels, err = encodeLabels(labels); err != nil {
		w.fail("metric %s: %w", name, err)
	}
	if slices.ContainsFunc(f.samples, func(o sample) bool { return o.labels == s.labels }) {
		w.fail("metric %s: the labels {%s} come twice: give each source a label that tells it apart", name, s.labels)
		return
	}
	f.samples = append(f.samples, s)
}

func (w *Writer) fail(format string, args ...any) {
	w.errs = append(w.errs, fmt.Errorf("metrics: "+format, args...))
}

// isName tells whether the format allows a name, which of a metric may have colons.
func isName(s string, colons bool) bool {
	for i, r := range s {
		letter := r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == ':' && colons
		if !letter && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return s != ""
}

var (
	valueEscapes = strings.NewReplacer(`\`, `\\`, "\n", `\n`, `"`, `\"`)
	helpEscapes  = strings.NewReplacer(`\`, `\\`, "\n", `\n`)
)

// encodeLabels returns labels as they stand in the text, sorted by name.
func encodeLabels(labels []string) (string, error) {
	if len(labels)%2 != 0 {
		return "", fmt.Errorf("the label %q has no value", labels[len(labels)-1])
	}
	var all []string
	for pair := range slices.Chunk(labels, 2) {
		if !isName(pair[0], false) || strings.HasPrefix(pair[0], "__") || pair[0] == "le" {
			return "", fmt.Errorf("label %q: a name has letters, digits and _, and is neither le nor begins with __", pair[0])
		}
		all = append(all, pair[0]+`="`+valueEscapes.Replace(strings.ToValidUTF8(pair[1], "\uFFFD"))+`"`)
	}
	slices.Sort(all)
	for i := 1; i < len(all); i++ {
		if name, _, _ := strings.Cut(all[i], "="); strings.HasPrefix(all[i-1], name+"=") {
			return "", fmt.Errorf("label %q comes twice", name)
		}
	}
	return strings.Join(all, ","), nil
}

// WriteTo writes the text. If a source has written what the format does not allow, it writes nothing and returns an error.
func (w *Writer) WriteTo(out io.Writer) (int64, error) {
	if err := errors.Join(w.errs...); err != nil {
		return 0, err
	}
	var b []byte
	for _, f := range w.families {
		b = append(b, "# HELP "+f.name+" "+helpEscapes.Replace(f.help)+"\n# TYPE "+f.name+" "+f.kind+"\n"...)
		for _, s := range f.samples {
			if s.hist != nil {
				b = appendHistogram(b, f.name, s)
			} else {
				b = appendSample(b, f.name, s.labels, s.value)
			}
		}
	}
	n, err := out.Write(b)
	return int64(n), err
}

func appendSample(b []byte, name, labels string, value float64) []byte {
	b = append(b, name...)
	if labels != "" {
		b = append(b, "{"+labels+"}"...)
	}
	b = append(b, ' ')
	if math.IsInf(value, 0) || math.IsNaN(value) {
		b = strconv.AppendFloat(b, value, 'g', -1, 64) // +Inf, -Inf and NaN are the format's as well
	} else {
		b = strconv.AppendFloat(b, value, 'f', -1, 64)
	}
	return append(b, '\n')
}

// appendHistogram appends the buckets of the format, each of which has those before it.
func appendHistogram(b []byte, name string, s sample) []byte {
	labels := s.labels
	if labels != "" {
		labels += ","
	}
	count := int64(0)
	for i, n := range s.hist.Buckets {
		count += n
		le := "+Inf"
		if bound, ok := switchboard.HistogramBound(i); ok {
			le = strconv.FormatFloat(bound.Seconds(), 'g', -1, 64)
		}
		b = appendSample(b, name+"_bucket", labels+`le="`+le+`"`, float64(count))
	}
	b = appendSample(b, name+"_sum", s.labels, s.hist.Sum.Seconds())
	return appendSample(b, name+"_count", s.labels, float64(count))
}
