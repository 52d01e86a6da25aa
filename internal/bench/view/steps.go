package view

import (
	"fmt"
	"os"
	"sync"
	"time"
)

// Steps shows how many of some steps are done: on a terminal with a bar and the time left, else a line for each.
type Steps struct {
	out    *os.File
	screen *screen // nil without a terminal

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
		s.screen = newScreen(out, s.lines)
	}
	return s
}

// Show tells that so many are done, and what comes now.
func (s *Steps) Show(done, all int, what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done, s.all, s.what = done, all, what
	if s.screen == nil {
		fmt.Fprintf(s.out, "%d/%d  %s\n", done+1, all, what)
	}
}

// Close wipes the bar off the terminal.
func (s *Steps) Close() {
	if s.screen != nil {
		s.screen.close()
	}
}

func (s *Steps) lines() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	head := bar(s.done, s.all)
	if s.done > 0 {
		left := time.Since(s.began) / time.Duration(s.done) * time.Duration(s.all-s.done)
		head += fmt.Sprintf(" %v left", left.Round(time.Second))
	}
	return []string{head, s.what}
}
