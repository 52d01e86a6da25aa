package diff

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/switchboard-go/switchboard/internal/bench/report"
)

// Text writes a comparison for people to read, in 80 columns.
func (r *Result) Text(w io.Writer) error {
	out := bufio.NewWriter(w)
	fmt.Fprintf(out, "%-16s %11s %11s %8s  %s\n", "", "old", "new", "change", "verdict")
	for _, row := range r.Rows {
		show := report.Micros
		if row.Metric == "per_second" {
			show = report.Rate
		}
		fmt.Fprintf(out, "%-16s %11s %11s %+7.1f%%  %s\n", titles[row.Metric], show(row.Old), show(row.New), row.Change, row.says())
	}
	if r.Sample == "stretches" {
		fmt.Fprintf(out, "\nThe stretches of %s were compared. What else the machine did during\n"+
			"the one and not during the other counts, too: five runs on each side tell.\n", many(r.Old, r.New))
	} else {
		fmt.Fprintf(out, "\n%d runs were compared with %d.\n", r.Old, r.New)
	}
	if len(r.Other) > 0 {
		fmt.Fprintf(out, "Not the same on both sides: %s.\n", strings.Join(r.Other, ", "))
	}
	return out.Flush()
}

var titles = map[string]string{
	"per_second": "rate", "p50_us": "latency p50", "p99_us": "latency p99", "max_us": "latency max",
	"server_us_per_message": "server/message",
}

func (row Row) says() string {
	switch row.Verdict {
	case TooFew:
		return string(row.Verdict)
	}
	if row.P < 0.0001 {
		return string(row.Verdict) + " (p < 0.0001)"
	}
	return fmt.Sprintf("%s (p = %.2g)", row.Verdict, row.P)
}

func many(old, new int) string {
	if old == 1 && new == 1 {
		return "two runs"
	}
	return fmt.Sprintf("%d and %d runs", old, new)
}
