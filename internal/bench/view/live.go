package view

import (
	"fmt"
	"os"
	"sync"

	"github.com/switchboard-go/switchboard/internal/bench"
	"github.com/switchboard-go/switchboard/internal/bench/report"
)

// history is how many stretches the sparkline shows: of a second each, a minute.
const history = 60

// live is a bar with the time left, and below it the figures of the last stretch.
type live struct {
	screen *screen

	mu    sync.Mutex
	now   bench.Progress
	rates []float64
}

func newLive(out *os.File) *live {
	l := new(live)
	l.screen = newScreen(out, l.lines)
	return l
}

func (l *live) Show(p bench.Progress) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p.Last.Seconds > 0 && p.Last.At != l.now.Last.At {
		l.rates = append(l.rates, p.Last.PerSecond)
		l.rates = l.rates[max(0, len(l.rates)-history):]
	}
	l.now = p
}

func (l *live) Close() { l.screen.close() }

func (l *live) lines() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.now.Last
	errors := "no errors"
	if l.now.Errors > 0 {
		errors = fmt.Sprintf("%s errors, most of all %s", report.Count(l.now.Errors), l.now.Worst)
	}
	return []string{
		fmt.Sprintf("%s %s %.1f s left", phaseName(l.now.Phase), bar(l.now.Elapsed, l.now.Elapsed+l.now.Left), l.now.Left.Seconds()),
		fmt.Sprintf("rate        %-16s %s", report.Rate(s.PerSecond), Sparkline(l.rates)),
		fmt.Sprintf("latency     p50 %s   p99 %s   max %s", report.Micros(s.P50), report.Micros(s.P99), report.Micros(s.Max)),
		fmt.Sprintf("connections %s of %s", report.Count(l.now.Open), report.Count(int64(l.now.Want))),
		fmt.Sprintf("errors      %s", errors),
	}
}

func phaseName(p bench.Phase) string {
	switch p {
	case bench.Warming:
		return "warming up"
	case bench.Measuring:
		return "measuring"
	case bench.Draining:
		return "last answers"
	}
	return "connecting"
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
