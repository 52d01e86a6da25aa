package report

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/switchboard-go/switchboard/internal/bench"
)

// Text writes a result for people to read.
func Text(w io.Writer, r *bench.Result) error {
	out := bufio.NewWriter(w)
	if b := Banner(r); b != "" {
		fmt.Fprintf(out, "*** %s\n\n", strings.Join(wrapped(strings.Fields(b), " ", columns-4), "\n    "))
	}
	parts := strings.Split(r.Address+": "+Load(r), ", ")
	fmt.Fprintf(out, "%s\n\n", strings.Join(wrapped(parts, ", ", columns-1), ",\n"))
	for _, l := range summary(r) {
		figures := wrapped(l.figures, "   ", columns-15)
		fmt.Fprintf(out, "  %-12s %s\n", l.name, strings.Join(figures, "\n"+strings.Repeat(" ", 15)))
	}
	return out.Flush()
}

// columns is how wide the text may be.
const columns = 80

// wrapped joins words to lines of at most so many columns. A word that is longer than a line is broken at its spaces.
func wrapped(words []string, between string, most int) (lines []string) {
	line, length := "", 0
	for _, word := range words {
		n := utf8.RuneCountInString(word)
		switch {
		case n > most && strings.Contains(word, " "):
			if line != "" {
				lines = append(lines, line)
			}
			parts := wrapped(strings.Split(word, " "), " ", most)
			lines = append(lines, parts[:len(parts)-1]...)
			line = parts[len(parts)-1]
			length = utf8.RuneCountInString(line)
		case line == "":
			line, length = word, n
		case length+len(between)+n > most:
			lines = append(lines, line)
			line, length = word, n
		default:
			line, length = line+between+word, length+len(between)+n
		}
	}
	return append(lines, line)
}

// Banner says what a reader must know before any figure, "" if there is nothing.
func Banner(r *bench.Result) string {
	o := r.Outage
	switch {
	case o == nil:
		return ""
	case r.Messages.Answered == 0 && r.Totals.Answered == 0 && r.Settings.Expect != bench.None:
		return "The server answered nothing at all: " + o.Why + "."
	case o.Since <= 0:
		return fmt.Sprintf("The server stopped answering %s before the measurement began: %s.", Seconds(-o.Since), o.Why)
	}
	return fmt.Sprintf("The server stopped answering after %s of %s: %s. Rates are by the whole time, latencies of the answers before.",
		Seconds(o.Since), Seconds(r.Seconds), o.Why)
}

// Load says in a sentence what was asked for.
func Load(r *bench.Result) string {
	s := r.Settings
	var parts []string
	add := func(format string, a ...any) { parts = append(parts, fmt.Sprintf(format, a...)) }
	add("%s", plural(int64(s.Conns), "connection"))
	if s.Idle > 0 {
		add("%s idle", Count(int64(s.Idle)))
	}
	switch {
	case s.Expect == bench.HTTP && s.Path != "":
		add("%s %s", s.Method, s.Path)
	case s.SizeMin == s.SizeMax:
		add("%s", plural(int64(s.SizeMin), "byte"))
	default:
		add("%s to %s", Count(int64(s.SizeMin)), plural(int64(s.SizeMax), "byte"))
	}
	if s.Depth > 1 {
		add("%d in flight", s.Depth)
	}
	if s.Requests > 0 {
		add("%s in all", Count(s.Requests))
	}
	if s.Rate > 0 {
		add("%s wanted", Rate(s.Rate))
	}
	if s.TLS != "" {
		add("%s", s.TLS)
	}
	if s.Churn {
		add("a connection for each exchange")
	}
	switch s.Expect {
	case bench.Echo:
		add("every echoed byte compared")
	case bench.None:
		add("no answers awaited")
	case bench.Line:
		add("a line for a line")
	case bench.HTTP:
		add("a response for a request")
	}
	if r.Interrupted && s.Requests > 0 {
		add("interrupted after %s", Seconds(r.Seconds))
	} else if r.Interrupted {
		add("interrupted after %s of %s", Seconds(r.Seconds), Seconds(s.Duration))
	} else {
		add("%s", Seconds(r.Seconds))
	}
	return strings.Join(parts, ", ")
}

// A line of the summary.
type line struct {
	name    string
	figures []string
}

func summary(r *bench.Result) (lines []line) {
	add := func(name string, figures ...string) { lines = append(lines, line{name, figures}) }
	m := r.Messages
	in := Size(r.Bytes.InPerSecond) + "/s in"
	out := Size(r.Bytes.OutPerSecond) + "/s out"
	if r.Settings.Expect == bench.None {
		add("sent", Count(m.Sent), Rate(m.PerSecond), out, in)
	} else {
		add("answered", Count(m.Answered), Rate(m.PerSecond), out, in)
		if m.Answered != m.Sent {
			add("of", Count(m.Sent)+" sent")
		}
	}
	if l := r.Latency; l != nil {
		add("latency", "p50 "+Micros(l.P50), "p90 "+Micros(l.P90), "p99 "+Micros(l.P99), "p99.9 "+Micros(l.P999), "max "+Micros(l.Max))
	}
	if missing := missing(r); len(missing) > 0 {
		add("missing", missing...)
	}
	c := r.Connections
	connections := []string{Count(c.AtEnd) + " open at the end", Count(c.Opened) + " opened"}
	if c.Silent > 0 {
		connections = append(connections, Count(c.Silent)+" never answered")
	}
	if r.Connect != nil {
		connections = append(connections, "p50 "+Micros(r.Connect.P50)+" to open", "max "+Micros(r.Connect.Max))
	}
	add("connections", connections...)
	if len(r.Errors) == 0 {
		add("errors", "none")
	}
	for i, e := range r.Errors {
		name := ""
		if i == 0 {
			name = "errors"
		}
		add(name, times(e), example(e))
	}
	if s := r.Server; s != nil {
		figures := []string{fmt.Sprintf("%s (pid %d)", s.Name, s.PID), fmt.Sprintf("%.2f processors", s.Processors)}
		if s.PerMessage > 0 {
			figures = append(figures, Micros(s.PerMessage)+" a message")
		}
		figures = append(figures, Size(float64(s.Resident))+" resident")
		if s.PerConn > 0 {
			figures = append(figures, Size(s.PerConn)+" a connection")
		}
		add("server", figures...)
	}
	g := r.Generator
	add("generator", fmt.Sprintf("%.2f processors in %s", g.Processors, plural(int64(g.Loops), "loop")),
		"lag p50 "+Micros(g.LagP50), "p99 "+Micros(g.LagP99), "max "+Micros(g.LagMax))
	if verdict := Verdict(r); verdict != "" {
		add("", verdict)
	}
	return lines
}

// Verdict says what keeps the figures from being the server's own, "" if nothing is known to.
func Verdict(r *bench.Result) string {
	switch g := r.Generator; {
	case g.Bottleneck:
		return "The generator, not the server, was the bottleneck: " + g.Why +
			". Give it more --loops, processors of its own or another machine."
	case g.Starved:
		return "The machine had too few processors for both sides: " + g.Why +
			". Give the generator processors of its own or another machine."
	}
	return ""
}

// times says how often an error happened, and when.
func times(e *bench.Trouble) string {
	switch {
	case e.Before == 0:
		return Count(e.Count) + " x " + e.Kind
	case e.Count == 0:
		return Count(e.Before) + " x " + e.Kind + ", before the measurement"
	}
	return Count(e.Count) + " x " + e.Kind + ", and " + Count(e.Before) + " before the measurement"
}

// missing tells of messages that went wrong, nothing if there are none.
func missing(r *bench.Result) (figures []string) {
	m := r.Messages
	switch {
	case m.NoAnswer > 0 && r.Settings.Expect == bench.None:
		figures = append(figures, Count(m.NoAnswer)+" cut off by the end")
	case m.NoAnswer > 0:
		figures = append(figures, fmt.Sprintf("%s without an answer, the oldest for %s", Count(m.NoAnswer), Micros(m.Oldest*1e6)))
	}
	if m.Lost > 0 {
		figures = append(figures, Count(m.Lost)+" lost with their connection")
	}
	if m.NotSent > 0 {
		figures = append(figures, Count(m.NotSent)+" due and never sent")
	}
	return figures
}

// example is what an error says beyond its kind.
func example(e *bench.Trouble) string {
	if e.Example == e.Kind {
		return ""
	}
	if rest, ok := strings.CutPrefix(e.Example, e.Kind+": "); ok {
		return "(" + rest + ")"
	}
	return "(" + e.Example + ")"
}

// Errors names the errors of a result in one line.
func Errors(r *bench.Result) string {
	var kinds []string
	for _, e := range r.Errors {
		kinds = append(kinds, times(e))
	}
	return strings.Join(kinds, ", ")
}
