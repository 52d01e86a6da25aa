package view

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// Steps shows how many of some steps are done: on a terminal with a bar and the time left, else a line for each.
type Steps struct {
	out    *os.File
	screen *mpb.Progress // nil without a terminal
	bar    *mpb.Bar

	mu    sync.Mutex
	began time.Time
	done  int
	all   int
	what  string
}

// NewSteps returns Steps that have not begun.
func NewSteps(out *os.File) *Steps {
	s := &Steps{out: out, began: time.Now()}
	if isTerminal(out) {
		s.screen = mpb.New(mpb.WithOutput(out), mpb.WithWidth(barWidth), mpb.WithRefreshRate(100*time.Millisecond))
		s.bar = s.screen.New(0, mpb.BarStyle(),
			mpb.AppendDecorators(decor.Any(s.left)),
			mpb.BarExtender(mpb.BarFillerFunc(s.line), false),
			mpb.BarRemoveOnComplete())
	}
	return s
}

// Show tells that so many are done, and what comes now.
func (s *Steps) Show(done, all int, what string) {
	s.mu.Lock()
	s.done, s.all, s.what = done, all, what
	s.mu.Unlock()
	if s.bar == nil {
		fmt.Fprintf(s.out, "%d/%d  %s\n", done+1, all, what)
		return
	}
	s.bar.SetTotal(int64(all), false)
	s.bar.SetCurrent(int64(done))
}

// Close wipes the bar off the terminal.
func (s *Steps) Close() {
	if s.bar != nil {
		s.bar.Abort(true)
		s.screen.Wait()
	}
}

func (s *Steps) left(decor.Statistics) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.done == 0 {
		return ""
	}
	left := time.Since(s.began) / time.Duration(s.done) * time.Duration(s.all-s.done)
	return fmt.Sprintf(" %v left", left.Round(time.Second))
}

func (s *Steps) line(w io.Writer, stat decor.Statistics) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return writeLine(w, s.what, stat.AvailableWidth)
}
