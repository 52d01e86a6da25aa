package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/switchboard-go/switchboard/internal/bench/compare"
)

// A row is what was measured of one server.
type row struct {
	server
	cells []cell  // one for each column
	idle  float64 // bytes that an idle connection adds to the resident memory; 0: not measured
}

// A cell is the cost of a message, as a ratio to the first server's.
type cell struct{ low, median, high float64 }

// measure loads the servers of the table. A server that fails fails the whole: a table with a gap compares nothing.
func (t table) measure(ctx context.Context, l length, progress func(done, all int, what string)) ([]row, error) {
	rows := make([]row, len(t.servers))
	plan := compare.Plan{Load: t.load, Rounds: l.rounds, Slice: l.slice, Settle: l.settle, Baseline: t.servers[0].name}
	all, done := len(t.columns)*l.rounds*len(t.servers)+len(t.servers), 0
	plan.Step = func(s compare.Step) {
		progress(done, all, t.name+": "+s.What)
		done++
	}
	for i, s := range t.servers {
		c, err := t.candidate(s)
		if err != nil {
			return nil, err
		}
		rows[i].server = s
		plan.Candidates = append(plan.Candidates, c)
	}
	for i, c := range t.columns {
		plan.Conns, plan.Depth, plan.Size = []int{c.conns}, c.depth, c.size
		plan.Load.Churn = c.churn
		plan.Idle = 0
		if i == 0 {
			plan.Idle = l.idle
		}
		result, err := compare.Run(ctx, plan)
		if err != nil {
			return nil, err
		}
		if result.Interrupted {
			return nil, errors.New("interrupted")
		}
		for j, s := range result.Servers {
			level := s.Level(c.conns)
			if s.Error != "" || level == nil {
				return nil, fmt.Errorf("%s: %s", s.Name, s.Error)
			}
			for _, e := range level.Errors {
				if e.Kind == "no answer" { // the slice was over before it came
					continue
				}
				return nil, fmt.Errorf("%s: %d times %s, such as %s", s.Name, e.Count, e.Kind, e.Example)
			}
			if level.Ratio == 0 {
				return nil, errors.New("the processor time of a server cannot be measured here; this needs Linux")
			}
			rows[j].cells = append(rows[j].cells, cell{level.RatioLow, level.Ratio, level.RatioHigh})
			rows[j].idle = max(rows[j].idle, s.PerIdle)
		}
	}
	return rows, nil
}

// write prints the table as Markdown. The smallest figure of each column is bold.
func (t table) write(w io.Writer, rows []row, l length) error {
	var out strings.Builder
	fmt.Fprintf(&out, "**%s.** ", t.title)
	fmt.Fprintf(&out, "Processor time of the server for a message, as a ratio to %s; %d paired rounds, in brackets the middle half of them.\n\n",
		t.servers[0].name, l.rounds)
	fmt.Fprint(&out, "| |")
	for _, c := range t.columns {
		fmt.Fprintf(&out, " %s |", c.title)
	}
	fmt.Fprint(&out, " bytes of an idle connection |\n|---|", strings.Repeat("---|", len(t.columns)+1), "\n")
	for i, r := range rows {
		fmt.Fprintf(&out, "| %s |", strings.TrimSpace(r.name+" "+version(r.path)))
		for j, c := range r.cells {
			text := "1"
			if i > 0 {
				text = fmt.Sprintf("%.2f", c.median)
			}
			if c.median == least(rows, func(r row) float64 { return r.cells[j].median }) {
				text = "**" + text + "**"
			}
			if i > 0 {
				text += fmt.Sprintf(" (%.2f–%.2f)", c.low, c.high)
			}
			fmt.Fprintf(&out, " %s |", text)
		}
		text := "not measured"
		if r.idle > 0 {
			text = thousands(r.idle)
		}
		if r.idle > 0 && r.idle == least(rows, func(r row) float64 { return r.idle }) {
			text = "**" + text + "**"
		}
		fmt.Fprintf(&out, " %s |\n", text)
	}
	fmt.Fprintln(&out)
	_, err := io.WriteString(w, out.String())
	return err
}

// least returns the smallest of the values that are not 0.
func least(rows []row, value func(row) float64) float64 {
	smallest := math.Inf(1)
	for _, r := range rows {
		if v := value(r); v > 0 {
			smallest = min(smallest, v)
		}
	}
	return smallest
}

// thousands writes a number of bytes with its last three digits set apart. It is no more precise than the measurement.
func thousands(bytes float64) string {
	n := int(bytes)
	if n < 1000 {
		return fmt.Sprint(n)
	}
	n = (n + 50) / 100 * 100
	return fmt.Sprintf("%d,%03d", n/1000, n%1000)
}

// version is that of a module as it is built in here.
func version(path string) string {
	if path == "std" {
		return "(" + strings.Replace(runtime.Version(), "go", "Go\u00a0", 1) + ")"
	}
	info, _ := debug.ReadBuildInfo()
	for _, m := range info.Deps {
		if m.Path == path && m.Version != "v0.0.0" {
			return m.Version
		}
	}
	return ""
}
