package report

import (
	"fmt"
	"io"

	"github.com/switchboard-go/switchboard/internal/bench"
)

// HDR writes the distribution of the latencies as HdrHistogram's own tools do, in milliseconds: a table that its plotter, and
// those of wrk2 and vegeta, read.
func HDR(w io.Writer, r *bench.Result) error {
	if r.Histogram == nil || r.Histogram.TotalCount() == 0 {
		_, err := fmt.Fprintln(w, "#[nothing was answered]")
		return err
	}
	const ticksPerHalf, nanosecondsInMillisecond = 5, 1e6
	_, err := r.Histogram.PercentilesPrint(w, ticksPerHalf, nanosecondsInMillisecond)
	return err
}
