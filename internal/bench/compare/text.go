package compare

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/switchboard-go/switchboard/internal/bench/report"
)

// Text writes the comparison for people to read.
func (r *Result) Text(w io.Writer) error {
	out := bufio.NewWriter(w)
	fmt.Fprintln(out, strings.NewReplacer(". ", ".\n", "; ", ";\n").Replace(r.load()))
	width := len("server")
	for _, s := range r.Servers {
		width = max(width, len([]rune(s.Name)))
	}
	for _, conns := range r.levels() {
		some := "connections"
		if conns == 1 {
			some = "connection"
		}
		fmt.Fprintf(out, "\n%d %s\n", conns, some)
		fmt.Fprintf(out, "  %-*s %11s %17s %12s %9s %9s\n", width, "server", "cpu/message", "ratio     ", "rate ", "p50", "p99")
		for _, s := range r.Servers {
			l := s.Level(conns)
			if l == nil {
				continue
			}
			cost, ratio := "-", "-"
			if l.PerMessage > 0 {
				cost = report.Micros(l.PerMessage)
			}
			if l.Ratio > 0 {
				ratio = fmt.Sprintf("%.2f (%.2f-%.2f)", l.Ratio, l.RatioLow, l.RatioHigh)
			}
			fmt.Fprintf(out, "  %-*s %11s %17s %12s %9s %9s\n", width, s.Name, cost, ratio, l.Rate(),
				report.Micros(l.P50), report.Micros(l.P99))
			if remarks := l.Remarks(); remarks != "" {
				fmt.Fprintf(out, "  %-*s %s\n", width, "", remarks)
			}
		}
	}
	if r.IdleConns > 0 {
		fmt.Fprintf(out, "\nmemory of an idle connection\n")
		for _, s := range r.Servers {
			memory := "-"
			if s.PerIdle > 0 {
				memory = report.Size(s.PerIdle)
			}
			fmt.Fprintf(out, "  %-*s %12s\n", width, s.Name, memory)
		}
	}
	if r.Baseline != "" {
		fmt.Fprintf(out, "\nratio: of the cost to that of %s, the median of the rounds, in\nbrackets the middle half\n", r.Baseline)
	}
	fmt.Fprintln(out, "*: the generator was the bottleneck, the server may do more")
	for _, s := range r.Servers {
		if s.Error != "" {
			fmt.Fprintf(out, "%s could not be compared: %s\n", s.Name, s.Error)
		}
	}
	return out.Flush()
}

// Rate is what is shown as the level's rate, with a star if the generator was the bottleneck in most rounds.
func (l *Level) Rate() string {
	if l.Limited*2 > len(l.Rounds) {
		return report.Rate(l.PerSecond) + "*"
	}
	return report.Rate(l.PerSecond) + " "
}

// Remarks says what the figures of a level do not.
func (l *Level) Remarks() string {
	var all []string
	if l.Served < l.Conns {
		all = append(all, fmt.Sprintf("answers %d of %d connections", l.Served, l.Conns))
	}
	for _, e := range l.Errors {
		if l.Served == l.Conns || e.Kind != "no answer" {
			all = append(all, fmt.Sprintf("%s x %s", report.Count(e.Before+e.Count), e.Kind))
		}
	}
	return strings.Join(all, "; ")
}
