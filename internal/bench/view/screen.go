package view

import (
	"os"
	"strings"
	"sync"
	"time"

	"github.com/vbauerster/cupwriter"
)

func isTerminal(f *os.File) bool { return cupwriter.New(f, false).IsTerminal() }

// refresh is how often a terminal is drawn anew.
const refresh = 100 * time.Millisecond

// A screen is some lines of a terminal that are drawn anew all the time, until it is closed and they are wiped off.
type screen struct {
	out  *cupwriter.Writer
	draw func() []string
	stop chan struct{}
	done sync.WaitGroup
}

// newScreen draws what draw returns, which is called from a goroutine of the screen.
func newScreen(out *os.File, draw func() []string) *screen {
	s := &screen{out: cupwriter.New(out, false), draw: draw, stop: make(chan struct{})}
	s.done.Go(s.run)
	return s
}

func (s *screen) run() {
	again := time.NewTicker(refresh)
	defer again.Stop()
	for {
		width, _, _ := s.out.GetTermSize() // 0 if it cannot be told
		lines := s.draw()
		for _, line := range lines {
			s.out.WriteString(cut(line, width) + "\n")
		}
		if s.out.Flush(len(lines)) != nil { // the terminal is gone
			return
		}
		select {
		case <-again.C:
		case <-s.stop:
			s.out.Flush(0)
			return
		}
	}
}

// close wipes the lines off the terminal.
func (s *screen) close() {
	close(s.stop)
	s.done.Wait()
}

// cut cuts a line off where a terminal of that width would go on in the next one.
func cut(line string, width int) string {
	if runes := []rune(line); len(runes) >= width && width > 0 {
		line = string(runes[:width-1])
	}
	return strings.TrimRight(line, " ")
}

// bar draws how much of all is done.
func bar[T int | time.Duration](done, all T) string {
	const width = 40 // leaves room in the line for what stands beside it
	filled := 0
	if all > 0 {
		filled = int(width * float64(min(done, all)) / float64(all))
	}
	return "[" + strings.Repeat("=", filled) + strings.Repeat("-", width-filled) + "]"
}
