// Package view shows how a run of package bench goes: on a terminal a view that is drawn anew all the time, else a line
// for each stretch of the run.
package view

import (
	"fmt"
	"io"
	"os"

	"github.com/switchboard-go/switchboard/internal/bench"
	"github.com/switchboard-go/switchboard/internal/bench/report"
)

// A View is told how a run goes, and closed when it is over: a live one is wiped off the terminal then.
type View interface {
	Show(bench.Progress)
	Close()
}

// New returns the view that suits out.
func New(out *os.File) View {
	if isTerminal(out) {
		return newLive(out)
	}
	return &lines{out: out}
}

// lines prints each sample once.
type lines struct {
	out  io.Writer
	last float64
	head bool
}

func (l *lines) Show(p bench.Progress) {
	s := p.Last
	if s.Seconds == 0 || s.At == l.last {
		return
	}
	l.last = s.At
	if !l.head {
		l.head = true
		fmt.Fprintf(l.out, "%8s  %-8s %12s %9s %9s %9s %11s %6s\n", "time", "phase", "rate", "p50", "p99", "max", "connections", "errors")
	}
	fmt.Fprintf(l.out, "%8s  %-8s %12s %9s %9s %9s %11d %6d\n", fmt.Sprintf("%.1f s", p.Elapsed.Seconds()), s.Phase,
		report.Rate(s.PerSecond), report.Micros(s.P50), report.Micros(s.P99), report.Micros(s.Max), s.Open, p.Errors)
}

func (l *lines) Close() {}
