package view

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/cwriter"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/switchboard-go/switchboard/internal/bench"
	"github.com/switchboard-go/switchboard/internal/bench/report"
)

func isTerminal(f *os.File) bool { return cwriter.IsTerminal(int(f.Fd())) }

// history is how many stretches the sparkline shows: of a second each, a minute.
const history = 60

// barWidth leaves room in the line: a terminal writes ^C where the cursor is, and a full line would go on in the next one.
const barWidth = 50

// live is a bar with the time left, and below it the figures of the last stretch.
type live struct {
	screen *mpb.Progress
	bar    *mpb.Bar

	mu    sync.Mutex
	now   bench.Progress
	rates []float64
}

func newLive(out *os.File) *live {
	l := &live{screen: mpb.New(mpb.WithOutput(out), mpb.WithWidth(barWidth), mpb.WithRefreshRate(100*time.Millisecond))}
	l.bar = l.screen.New(0, mpb.BarStyle(),
		mpb.PrependDecorators(decor.Any(l.phase, decor.WCSyncSpaceR)),
		mpb.AppendDecorators(decor.Any(l.left)),
		mpb.BarExtender(mpb.BarFillerFunc(l.figures), false),
		mpb.BarRemoveOnComplete())
	return l
}

func (l *live) Show(p bench.Progress) {
	l.mu.Lock()
	if p.Last.Seconds > 0 && p.Last.At != l.now.Last.At {
		l.rates = append(l.rates, p.Last.PerSecond)
		l.rates = l.rates[max(0, len(l.rates)-history):]
	}
	l.now = p
	l.mu.Unlock()
	l.bar.SetTotal(int64(p.Elapsed+p.Left), false)
	l.bar.SetCurrent(int64(p.Elapsed))
}

func (l *live) Close() {
	l.bar.Abort(true)
	l.screen.Wait()
}

func (l *live) phase(decor.Statistics) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch l.now.Phase {
	case bench.Warming:
		return "warming up"
	case bench.Measuring:
		return "measuring"
	case bench.Draining:
		return "last answers"
	}
	return "connecting"
}

func (l *live) left(decor.Statistics) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return fmt.Sprintf(" %.1f s left", l.now.Left.Seconds())
}

// figures writes the lines below the bar, none wider than the terminal.
func (l *live) figures(w io.Writer, stat decor.Statistics) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.now.Last
	errors := "no errors"
	if l.now.Errors > 0 {
		errors = fmt.Sprintf("%s errors, most of all %s", report.Count(l.now.Errors), l.now.Worst)
	}
	for _, line := range []string{
		fmt.Sprintf("rate        %-16s %s", report.Rate(s.PerSecond), Sparkline(l.rates)),
		fmt.Sprintf("latency     p50 %s   p99 %s   max %s", report.Micros(s.P50), report.Micros(s.P99), report.Micros(s.Max)),
		fmt.Sprintf("connections %s of %s", report.Count(l.now.Open), report.Count(int64(l.now.Want))),
		fmt.Sprintf("errors      %s", errors),
	} {
		if err := writeLine(w, line, stat.AvailableWidth); err != nil {
			return err
		}
	}
	return nil
}

// writeLine writes a line, cut off where a terminal of that width would go on in the next one.
func writeLine(w io.Writer, line string, width int) error {
	if runes := []rune(line); len(runes) >= width && width > 0 {
		line = string(runes[:width-1])
	}
	_, err := io.WriteString(w, strings.TrimRight(line, " ")+"\n")
	return err
}

// Sparkline draws values as columns of eight heights, of which the highest value has the highest.
func Sparkline(values []float64) string {
	const columns = "▁▂▃▄▅▆▇█"
	heights := []rune(columns)
	top := 0.0
	for _, v := range values {
		top = max(top, v)
	}
	line := make([]rune, len(values))
	for i, v := range values {
		line[i] = heights[0]
		if top > 0 {
			line[i] = heights[min(int(v/top*float64(len(heights))), len(heights)-1)]
		}
	}
	return string(line)
}
