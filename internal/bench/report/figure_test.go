package report

import (
	"encoding/xml"
	"io"
	"math"
	"strings"
	"testing"

	"gonum.org/v1/plot/plotter"
)

func TestScalesHaveMarksThatCanBeRead(t *testing.T) {
	labels := func(low, high float64) (all []string) {
		for _, m := range LogTicks(ShortMicros).Ticks(low, high) {
			if m.Label != "" {
				all = append(all, m.Label)
			}
		}
		return all
	}
	for _, c := range []struct {
		low, high float64
		want      string
	}{
		{20, 30000, "100 µs, 1 ms, 10 ms"},
		{40, 300, "50 µs, 100 µs, 200 µs"},
		{0, 10, ""},
		{10, 10, ""},
	} {
		if got := strings.Join(labels(c.low, c.high), ", "); got != c.want {
			t.Errorf("from %v to %v: %s, wanted %s", c.low, c.high, got, c.want)
		}
	}
	for _, c := range []struct {
		low, high float64
		want      string
	}{
		{0, 290000, "0 50k 100k 150k 200k 250k"},
		{0, 1, "0 0.2 0.4 0.6 0.8 1"},
		{-1.2, 6.1, "0 2 4 6"},
		{0, 57.5, "0 10 20 30 40 50"},
		{0, 0, ""},
	} {
		var got []string
		for _, m := range Linear(Short).Ticks(c.low, c.high) {
			got = append(got, m.Label)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("from %v to %v: %v, wanted %s", c.low, c.high, got, c.want)
		}
	}
	marks := percentileTicks().Ticks(1, 1000)
	if last := marks[len(marks)-1]; last.Label != "99.9%" || math.Abs(last.Value-1000) > 0.01 {
		t.Errorf("the last of a thousand is %v", last)
	}
}

// drawn returns the texts of a picture, and checks that it is XML.
func drawn(t *testing.T, s Sheet) string {
	t.Helper()
	picture, err := s.SVG()
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for d := xml.NewDecoder(strings.NewReader(picture)); ; {
		token, err := d.Token()
		if err == io.EOF {
			return text.String()
		}
		if err != nil {
			t.Fatalf("%v in %s", err, picture)
		}
		if c, ok := token.(xml.CharData); ok {
			text.WriteString(string(c) + "\n")
		}
	}
}

func TestPicturesLeaveOutWhatCannotBeDrawn(t *testing.T) {
	whole := Figure{Title: "One", X: "x", Y: "y", LogY: true, YTicks: LogTicks(ShortMicros), Curves: []Curve{
		{Name: "first", Points: plotter.XYs{{X: 1, Y: 10}, {X: 2, Y: 0}, {X: 3, Y: math.Inf(1)}, {X: 4, Y: 1000}}, Dots: true},
		{Name: "nothing", Points: plotter.XYs{{X: 1, Y: 0}}},
		{Name: "a <point> & no line", Points: plotter.XYs{{X: 1, Y: 5}}},
	}}
	text := drawn(t, Sheet{Columns: 2, Width: 300, Height: 200, Figures: []Figure{whole, {Title: "Empty"}, whole}})
	for _, want := range []string{"One", "first", "a <point> & no line", "100 µs"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in the picture:\n%s", want, text)
		}
	}
	for _, unwanted := range []string{"nothing", "Empty", "NaN", "Inf"} {
		if strings.Contains(text, unwanted) {
			t.Errorf("%q is in the picture:\n%s", unwanted, text)
		}
	}
	if empty, err := (Sheet{Columns: 2, Width: 300, Height: 200, Figures: []Figure{{Title: "Empty"}}}).SVG(); err != nil || empty != "" {
		t.Errorf("a picture of nothing: %q, %v", empty, err)
	}
}
