package compare

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"slices"

	"gonum.org/v1/plot/plotter"

	"github.com/switchboard-go/switchboard/internal/bench/report"
)

//go:embed page.html
var pageText string

var pageTemplate = template.Must(template.New("compare").Funcs(report.Words).Parse(pageText))

// HTML writes the comparison as one page.
func (r *Result) HTML(w io.Writer) error {
	picture, err := r.picture()
	if err != nil {
		return err
	}
	body, err := report.Fill(pageTemplate, map[string]any{
		"Result":  r,
		"Picture": template.HTML(picture),
		"Conns":   r.levels(),
		"Command": report.Command(r.Command),
	})
	if err != nil {
		return err
	}
	return report.Page{Title: "switchboard bench compare", Lead: r.load(), Body: body, Data: r}.Write(w)
}

// SVG writes the picture alone, for a page of somebody else's.
func (r *Result) SVG(w io.Writer) error {
	picture, err := r.picture()
	if err == nil {
		_, err = fmt.Fprintf(w, "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n%s", picture)
	}
	return err
}

// load says in a sentence what all of them had to do.
func (r *Result) load() string {
	in := ""
	if r.Depth > 1 {
		in = fmt.Sprintf(", %d in flight on each connection", r.Depth)
	}
	return fmt.Sprintf("Echo of %d bytes%s, every byte compared. Medians of %d rounds of %s each, in random order; all on one machine with the generator.",
		r.Size, in, r.Rounds, report.Seconds(r.Slice))
}

// levels returns the numbers of connections that anybody was loaded with.
func (r *Result) levels() (conns []int) {
	for _, s := range r.Servers {
		for _, l := range s.Levels {
			if i, ok := slices.BinarySearch(conns, l.Conns); !ok {
				conns = slices.Insert(conns, i, l.Conns)
			}
		}
	}
	return conns
}

// picture draws cost, rate and latency over the number of connections, and memory.
func (r *Result) picture() (string, error) {
	var at []float64
	for _, n := range r.levels() {
		at = append(at, float64(n))
	}
	over := func(f report.Figure, value func(*Level) float64) report.Figure {
		f.X, f.LogX, f.XTicks = "connections", true, report.AtValues(at, report.Short)
		for _, s := range r.Servers {
			c := report.Curve{Name: s.Name, Dots: true}
			for _, l := range s.Levels {
				if l.Served*2 > l.Conns { // what few of many get is no figure for the many
					c.Points = append(c.Points, plotter.XY{X: float64(l.Conns), Y: value(l)})
				}
			}
			f.Curves = append(f.Curves, c)
		}
		return f
	}
	figures := []report.Figure{
		over(report.Figure{Title: "Processor time a message", LogY: true, YTicks: report.LogTicks(report.ShortMicros)},
			func(l *Level) float64 { return l.PerMessage }),
		over(report.Figure{Title: "Messages a second", YTicks: report.Linear(report.Short)},
			func(l *Level) float64 { return l.PerSecond }),
		over(report.Figure{Title: "Latency, p99", LogY: true, YTicks: report.LogTicks(report.ShortMicros)},
			func(l *Level) float64 { return l.P99 }),
	}
	memory := report.Figure{Title: "Memory an idle connection", XTicks: report.AtValues(nil, nil)}
	for i, s := range r.Servers {
		if s.PerIdle > 0 {
			memory.Bars = append(memory.Bars, report.Bar{Name: s.Name, Value: s.PerIdle, Color: i})
		}
	}
	if memory.Bars != nil {
		figures = append(figures, memory)
	}
	return report.Sheet{Columns: 2, Width: 410, Height: 270, Legend: true, Figures: figures}.SVG()
}
