package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/switchboard-go/switchboard/internal/admin"
	"github.com/switchboard-go/switchboard/internal/bench/report"
	"github.com/switchboard-go/switchboard/internal/bench/view"
	"github.com/switchboard-go/switchboard/internal/quote"
)

// A topScreen is where top shows frames: a terminal that is kept current, or lines.
type topScreen struct {
	out      *os.File
	address  string
	terminal bool

	begun, closed bool
	lines         int       // shown in all, elsewhere than on a terminal
	messages      []float64 // rates of the last minute
	last          []string
}

// Commands of terminals, as ECMA-48 and xterm have them.
const (
	enterScreen = "\x1b[?1049h\x1b[?25l"
	leaveScreen = "\x1b[?25h\x1b[?1049l"
	toTop       = "\x1b[H"
	eraseRest   = "\x1b[K"
	eraseBelow  = "\x1b[J"
)

func newTopScreen(out *os.File, address string) *topScreen {
	return &topScreen{out: out, address: address, terminal: isTerminal(out)}
}

// show shows a frame and what happened in the second before it.
func (s *topScreen) show(f *admin.Frame, r *admin.Rates) error {
	s.messages = append(s.messages, r.Messages)
	s.messages = s.messages[max(0, len(s.messages)-60):]
	if s.terminal {
		return s.draw(append(s.figures(f, r), tables(f, r)...))
	}
	const form = "%8s %8s %12s %11s %11s %9s %9s %5s %10s %10s %8s\n"
	var b strings.Builder
	if s.lines%20 == 0 {
		fmt.Fprintf(&b, form, "time", "conns", "messages/s", "received/s", "sent/s", "turn p50", "turn p99", "cpu", "resident", "queued", "paused")
	}
	s.lines++
	fmt.Fprintf(&b, form, time.UnixMilli(f.Time).Format("15:04:05"), report.Count(f.Conns.Total()), report.Count(int64(r.Messages)),
		bytesOf(r.Received), bytesOf(r.Sent), shortTime(r.TurnMedian), shortTime(r.Turn99), fmt.Sprintf("%.0f%%", r.CPU*100),
		bytesOf(float64(f.Process.Resident)), bytesOf(float64(f.Queued)), report.Count(f.Paused.Total()))
	return s.write(b.String())
}

// write writes to standard output.
func (s *topScreen) write(text string) error {
	if _, err := io.WriteString(s.out, text); err != nil {
		return outputError{fmt.Errorf("write standard output: %w", err)}
	}
	return nil
}

// bytesOf writes a size without a space, for columns.
func bytesOf(n float64) string { return strings.ReplaceAll(report.Size(n), " ", "") }

func shortTime(d time.Duration) string {
	if d == 0 {
		return "-"
	}
	return strings.ReplaceAll(report.Micros(float64(d)/float64(time.Microsecond)), " ", "")
}

// figures are the lines above the tables.
func (s *topScreen) figures(f *admin.Frame, r *admin.Rates) []string {
	state := "ready"
	if f.Unready != "" {
		state = f.Unready
	}
	p, c := &f.Process, &f.Conns
	of := func(n, limit int64) string {
		if limit == 0 {
			return report.Size(float64(n))
		}
		return report.Size(float64(n)) + " of " + report.Size(float64(limit))
	}
	return []string{
		fmt.Sprintf("%s at %s   %s   up %v   %s", quote.Line(f.Service), quote.Line(s.address), quote.Line(f.Engine),
			time.Duration(f.Uptime*float64(time.Second)).Round(time.Second), quote.Line(state)),
		"",
		fmt.Sprintf("connections  %s open, %s in handshake, %s connecting, %s closing", report.Count(c.Open), report.Count(c.Handshaking),
			report.Count(c.Connecting), report.Count(c.Closing)),
		fmt.Sprintf("new, ended   %s, %s   refused %s in all", report.Rate(r.Accepted), report.Rate(r.Closed), report.Count(f.Refused)),
		fmt.Sprintf("messages     %-14s %s", report.Rate(r.Messages), view.Sparkline(s.messages)),
		fmt.Sprintf("bytes        in %s/s, out %s/s   waiting to be sent %s", report.Size(r.Received), report.Size(r.Sent), report.Size(float64(f.Queued))),
		fmt.Sprintf("turns        p50 %s   p99 %s", shortTime(r.TurnMedian), shortTime(r.Turn99)),
		fmt.Sprintf("handlers     p50 %s   p99 %s   slow calls %s", shortTime(r.CallMedian), shortTime(r.Call99), report.Count(f.Slow)),
		fmt.Sprintf("process      cpu %.0f %%   resident %s, heap %s   goroutines %s", r.CPU*100, report.Size(float64(p.Resident)),
			report.Size(float64(p.Heap)), report.Count(int64(p.Goroutines))),
		fmt.Sprintf("held         %s   descriptors %s of %s", of(f.Held, f.Limit), report.Count(int64(p.Descriptors)), report.Count(int64(p.MaxDescriptors))),
		fmt.Sprintf("not read     %s by their handlers, %s whose peers read slowly, %s not consumed, %s for memory", report.Count(f.Paused.Handler),
			report.Count(f.Paused.Output), report.Count(f.Paused.Input), report.Count(f.Paused.Memory)),
		"",
	}
}

// tables are the loops and the listeners.
func tables(f *admin.Frame, r *admin.Rates) (lines []string) {
	lines = append(lines, "loop  busy                        connections")
	for i, l := range f.Loops {
		filled := int(r.Busy[i]*20 + 0.5)
		lines = append(lines, fmt.Sprintf("%4d  %s%s %4.0f %%  %11s", i, strings.Repeat("█", filled), strings.Repeat("░", 20-filled), r.Busy[i]*100,
			report.Count(l.Conns)))
	}
	lines = append(lines, "", fmt.Sprintf("%-32s %-14s %10s %12s %10s", "listener", "state", "open", "accepted", "refused"))
	for _, l := range f.Listeners {
		lines = append(lines, fmt.Sprintf("%-32s %-14s %10s %12s %10s", quote.Line(l.Addr), quote.Line(l.State), report.Count(l.Conns.Open),
			report.Count(l.Accepted), report.Count(l.Refused)))
	}
	return lines
}

// lost says on the screen that the server is not there.
func (s *topScreen) lost(err error) {
	if len(s.last) > 0 {
		s.draw(append([]string{quote.Line(s.address) + "   not connected, trying again: " + quote.Line(err.Error())}, s.last[1:]...))
	}
}

// draw shows lines, as many and as much of each as the terminal has room for.
func (s *topScreen) draw(lines []string) error {
	s.last = lines
	width, height := terminalSize(s.out)
	var b strings.Builder
	if !s.begun {
		s.begun = true
		b.WriteString(enterScreen)
	}
	b.WriteString(toTop)
	for i, line := range lines[:min(len(lines), height-1)] {
		if runes := []rune(line); len(runes) >= width {
			line = string(runes[:width-1])
		}
		if i > 0 {
			b.WriteString("\r\n")
		}
		b.WriteString(line + eraseRest)
	}
	b.WriteString(eraseBelow)
	return s.write(b.String())
}

// close gives the terminal back.
func (s *topScreen) close() {
	if s.begun && !s.closed {
		s.closed = true
		io.WriteString(s.out, leaveScreen)
	}
}
