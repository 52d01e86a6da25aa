package compare

import (
	"fmt"
	"html"
	"math"
	"strings"

	"github.com/switchboard-go/switchboard/internal/bench/report"
)

// The picture has a panel for each number of connections and one for memory, two beside each other: wide enough for a page, and
// still readable on a telephone. It follows the reader's choice of light or dark.
const (
	pictureWidth = 660
	panelTop     = 74  // of the first row of panels
	panelHead    = 30  // above the rows of a panel
	rowHeight    = 21  // of a server
	nameWidth    = 104 // of the servers' names, left of the first panel
	panelWidth   = 262
	panelGap     = 16
	valueWidth   = 62 // right of the bars
)

// The style's classes begin with "cmp-", as that of a picture within a page holds for the whole page.
const pictureStyle = `<style>
.cmp-text { font: 14px system-ui, "Segoe UI", Roboto, "Liberation Sans", sans-serif; fill: #1f2328 }
.cmp-bold { font-weight: 600 }
.cmp-note { font-size: 13px; fill: #59636e }
.cmp-paper { fill: #ffffff; stroke: #d1d9e0 }
.cmp-grid { stroke: #d1d9e0 }
.cmp-one { stroke: #818b98; stroke-dasharray: 3 3 }
.cmp-spread { fill: #a9d0f5 }
.cmp-dot { fill: #0550ae }
.cmp-bar { fill: #6cb5f9 }
@media (prefers-color-scheme: dark) {
.cmp-text { fill: #f0f6fc }
.cmp-note { fill: #9198a1 }
.cmp-paper { fill: #0d1117; stroke: #3d444d }
.cmp-grid { stroke: #2f353d }
.cmp-one { stroke: #656c76 }
.cmp-spread { fill: #1c3f68 }
.cmp-dot { fill: #79c0ff }
.cmp-bar { fill: #1f6feb }
}
</style>
`

// A drawing is a picture in the making.
type drawing struct{ strings.Builder }

func (d *drawing) text(x, y float64, class, anchor, format string, a ...any) {
	fmt.Fprintf(d, "<text class=\"cmp-text%s\" x=\"%.4g\" y=\"%.4g\" text-anchor=\"%s\">%s</text>\n", class, x, y, anchor,
		html.EscapeString(fmt.Sprintf(format, a...)))
}

func (d *drawing) line(class string, x1, y1, x2, y2 float64) {
	fmt.Fprintf(d, "<line class=\"%s\" x1=\"%.4g\" y1=\"%.4g\" x2=\"%.4g\" y2=\"%.4g\"/>\n", class, x1, y1, x2, y2)
}

func (d *drawing) rect(class string, x, y, width, height float64) {
	fmt.Fprintf(d, "<rect class=\"%s\" x=\"%.4g\" y=\"%.4g\" width=\"%.4g\" height=\"%.4g\" rx=\"2\"/>\n", class, x, y, width, height)
}

// picture draws what a message costs, as the ratio of paired rounds where there is a baseline, and the memory.
func (r *Result) picture() string {
	panels := r.levels()
	count := len(panels)
	memory := false
	for _, s := range r.Servers {
		memory = memory || s.PerIdle > 0
	}
	if memory {
		count++
	}
	panelHeight := float64(panelHead + rowHeight*len(r.Servers) + 18)
	height := panelTop + panelHeight*float64((count+1)/2)
	d := new(drawing)
	fmt.Fprintf(d, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %.4g\" width=\"%[1]d\" height=\"%.4[2]g\" role=\"img\">\n",
		pictureWidth, height)
	title, note := "Processor time of a message, in microseconds", "median and middle half"
	if r.Baseline != "" {
		title, note = "Processor time of a message, as a ratio to "+r.Baseline, "median and middle half of the ratios"
	}
	fmt.Fprintf(d, "<title>%s</title>\n%s", html.EscapeString(title), pictureStyle)
	d.rect("cmp-paper", 0.5, 0.5, pictureWidth-1, height-1)
	d.text(14, 26, " cmp-bold", "start", "%s", title)
	d.text(14, 46, " cmp-note", "start", "Echo of %d bytes; %s of %d paired rounds. Further left is cheaper.", r.Size, note, r.Rounds)
	for i := range count {
		x := float64(nameWidth + i%2*(panelWidth+panelGap))
		y := panelTop + panelHeight*float64(i/2)
		if i%2 == 0 {
			for row, s := range r.Servers {
				d.text(nameWidth-8, rowMiddle(y, row)+5, "", "end", "%s", s.Name)
			}
		}
		if i < len(panels) {
			r.costs(d, panels[i], x, y)
		} else {
			r.memory(d, x, y)
		}
	}
	d.WriteString("</svg>\n")
	return d.String()
}

// rowMiddle returns where the middle of a server's row is in a panel whose top is y.
func rowMiddle(y float64, row int) float64 { return y + panelHead + rowHeight*(float64(row)+0.5) }

// most returns the largest cost in the picture, so that all panels have one scale. With a baseline it is at least 1.
func (r *Result) most() float64 {
	most := 0.0
	if r.Baseline != "" {
		most = 1
	}
	for _, s := range r.Servers {
		for _, l := range s.Levels {
			if l.representative() {
				_, _, high := r.cost(l)
				most = max(most, high)
			}
		}
	}
	return max(most, 1e-9)
}

// costs draws a panel of what a message costs under a number of connections.
func (r *Result) costs(d *drawing, conns int, x, y float64) {
	const width = panelWidth - valueWidth
	scale := width / (r.most() * 1.05)
	d.text(x, y+20, " cmp-bold", "start", "%s", connections(conns))
	bottom := y + panelHead + rowHeight*float64(len(r.Servers))
	d.line("cmp-grid", x, y+panelHead, x, bottom)
	if r.Baseline != "" {
		d.line("cmp-one", x+scale, y+panelHead-4, x+scale, bottom)
	}
	for row, s := range r.Servers {
		middle := rowMiddle(y, row)
		l := s.Level(conns)
		switch {
		case l != nil && !l.representative():
			d.text(x+6, middle+5, " cmp-note", "start", "answers %d of %d", l.Served, l.Conns)
		case l == nil:
			d.text(x+6, middle+5, " cmp-note", "start", "not measured")
		default:
			low, mid, high := r.cost(l)
			d.line("cmp-grid", x, middle, x+width, middle)
			d.rect("cmp-spread", x+low*scale, middle-5, max((high-low)*scale, 1), 10)
			fmt.Fprintf(d, "<circle class=\"cmp-dot\" cx=\"%.4g\" cy=\"%.4g\" r=\"4.5\"/>\n", x+mid*scale, middle)
			d.text(x+panelWidth-6, middle+5, "", "end", "%.2f", mid)
		}
	}
}

// memory draws the panel of what an idle connection costs.
func (r *Result) memory(d *drawing, x, y float64) {
	most := 1.0
	for _, s := range r.Servers {
		most = max(most, s.PerIdle)
	}
	d.text(x, y+20, " cmp-bold", "start", "Memory of an idle connection")
	for row, s := range r.Servers {
		middle := rowMiddle(y, row)
		if s.PerIdle <= 0 {
			d.text(x+6, middle+5, " cmp-note", "start", "not measured")
			continue
		}
		d.rect("cmp-bar", x, middle-6, max(s.PerIdle/most*(panelWidth-valueWidth-8), 1), 12)
		d.text(x+panelWidth-6, middle+5, "", "end", "%s", report.Size(s.PerIdle))
	}
}

// cost returns the quartiles of what a message costs: of the ratios to the baseline if there is one, else in microseconds.
func (r *Result) cost(l *Level) (low, mid, high float64) {
	if r.Baseline != "" {
		return l.RatioLow, l.Ratio, l.RatioHigh
	}
	var all []float64
	for _, round := range l.Rounds {
		all = append(all, round.PerMessage)
	}
	return quantile(all, 0.25), quantile(all, 0.5), quantile(all, 0.75)
}

// representative tells whether what was measured holds for the connections of the level: what few of many get does not.
func (l *Level) representative() bool {
	return l != nil && l.Served*2 > l.Conns && l.PerMessage > 0 && !math.IsNaN(l.Ratio)
}

func connections(n int) string {
	if n == 1 {
		return "1 connection"
	}
	return report.Count(int64(n)) + " connections"
}
