package report

import (
	_ "embed"
	"html/template"
	"io"
	"strings"

	"gonum.org/v1/plot/plotter"

	"github.com/switchboard-go/switchboard/internal/bench"
)

//go:embed run.html
var runText string

var runTemplate = template.Must(template.New("run").Funcs(Words).Parse(runText))

// Words are what templates write quantities with.
var Words = template.FuncMap{
	"rate": Rate, "us": Micros, "size": Size, "count": Count,
	"float": func(n int64) float64 { return float64(n) },
}

// HTML writes a result as one page.
func HTML(w io.Writer, r *bench.Result) error {
	curve, err := Sheet{Columns: 1, Width: 860, Height: 320, Figures: []Figure{latencyCurve(r)}}.SVG()
	if err != nil {
		return err
	}
	overTime, err := Sheet{Columns: 2, Width: 430, Height: 230, Figures: timeline(r)}.SVG()
	if err != nil {
		return err
	}
	body, err := Fill(runTemplate, map[string]any{
		"Result":  r,
		"Curve":   template.HTML(curve),
		"Time":    template.HTML(overTime),
		"Missing": missing(r),
		"Banner":  Banner(r),
		"Verdict": Verdict(r),
		"Command": Command(r.Command),
	})
	if err != nil {
		return err
	}
	return Page{Title: "switchboard bench " + r.Address, Lead: Load(r), Body: body, Data: r}.Write(w)
}

func latencyCurve(r *bench.Result) Figure {
	f := Figure{Title: "How much of it is how fast", X: "percentile", Y: "latency", LogX: true, LogY: true,
		XTicks: percentileTicks(), YTicks: LogTicks(ShortMicros), Bare: true}
	if r.Latency == nil {
		return f
	}
	var points plotter.XYs
	for _, p := range r.Latency.Curve {
		x := float64(r.Latency.Count) // of the last one, which all the others are below
		if p.Percent < 100 {
			x = min(x, rarity(p.Percent))
		}
		points = append(points, plotter.XY{X: x, Y: p.Micros})
	}
	f.Curves = []Curve{{Name: "latency", Points: points}}
	return f
}

func timeline(r *bench.Result) []Figure {
	over := func(value func(s bench.Sample) float64) (points plotter.XYs) {
		for _, s := range r.Timeline {
			points = append(points, plotter.XY{X: s.At, Y: value(s)})
		}
		return points
	}
	const seconds = "seconds; the measurement begins at 0"
	figures := []Figure{
		{Title: "Messages a second", X: seconds, XTicks: Linear(Short), YTicks: Linear(Short), Bare: true,
			Curves: []Curve{{Points: over(func(s bench.Sample) float64 { return s.PerSecond })}}},
		{Title: "Latency", X: seconds, XTicks: Linear(Short), LogY: true, YTicks: LogTicks(ShortMicros), Curves: []Curve{
			{Name: "p50", Points: over(func(s bench.Sample) float64 { return s.P50 })},
			{Name: "p99", Points: over(func(s bench.Sample) float64 { return s.P99 })},
			{Name: "max", Points: over(func(s bench.Sample) float64 { return s.Max })},
			{Name: "generator's lag", Points: over(func(s bench.Sample) float64 { return s.LagMax })},
		}},
		{Title: "Connections", X: seconds, XTicks: Linear(Short), YTicks: Linear(Short), Bare: true,
			Curves: []Curve{{Points: over(func(s bench.Sample) float64 { return float64(s.Open) })}}},
		{Title: "Processors that the generator used", X: seconds, XTicks: Linear(Short), YTicks: Linear(Short), Bare: true,
			Curves: []Curve{{Points: over(func(s bench.Sample) float64 { return s.Processors })}}},
	}
	if len(r.Errors) > 0 {
		figures = append(figures, Figure{Title: "Errors", X: seconds, XTicks: Linear(Short), YTicks: Linear(Short), Bare: true,
			Curves: []Curve{{Points: over(func(s bench.Sample) float64 { return float64(s.Errors) })}}})
	}
	return figures
}

// Command writes a command as a shell reads it.
func Command(args []string) string {
	quoted := make([]string, len(args))
	for i, a := range args {
		if a == "" || strings.ContainsAny(a, " \t\n\"'\\$`*?[]{}()<>|&;#~!") {
			a = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
		quoted[i] = a
	}
	return strings.Join(quoted, " ")
}
