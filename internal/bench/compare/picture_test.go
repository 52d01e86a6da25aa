package compare

import (
	"encoding/xml"
	"io"
	"math"
	"strings"
	"testing"
)

// texts returns what is written in a picture, and checks that it is XML.
func texts(t *testing.T, picture string) string {
	t.Helper()
	var all strings.Builder
	for d := xml.NewDecoder(strings.NewReader(picture)); ; {
		token, err := d.Token()
		if err == io.EOF {
			return all.String()
		}
		if err != nil {
			t.Fatalf("%v in %s", err, picture)
		}
		if c, ok := token.(xml.CharData); ok {
			all.WriteString(strings.TrimSpace(string(c)) + "\n")
		}
	}
}

func measured() *Result {
	rounds := func(costs ...float64) (all []Round) {
		for i, c := range costs {
			all = append(all, Round{PerMessage: c, number: i})
		}
		return all
	}
	r := &Result{Size: 64, Rounds: 3, Baseline: "first", Servers: []*Server{
		{Name: "first", PerIdle: 8000, Levels: []*Level{{Conns: 1000, Served: 1000, Rounds: rounds(10, 20, 30)}}},
		{Name: "a <second> & cheaper", PerIdle: 300, Levels: []*Level{{Conns: 1000, Served: 1000, Rounds: rounds(5, 12, 21)}}},
		{Name: "few", Levels: []*Level{{Conns: 1000, Served: 1, Rounds: rounds(1, 1, 1)}}},
		{Name: "none"},
	}}
	for _, s := range r.Servers {
		for _, l := range s.Levels {
			l.settle(r.Servers[0].Levels[0])
		}
	}
	return r
}

func TestThePictureShowsPairedRatiosWithTheirSpread(t *testing.T) {
	r := measured()
	if l := r.Servers[1].Levels[0]; math.Abs(l.RatioLow-0.55)+math.Abs(l.Ratio-0.6)+math.Abs(l.RatioHigh-0.65) > 1e-9 {
		t.Errorf("the quartiles are %v, %v, %v", l.RatioLow, l.Ratio, l.RatioHigh)
	}
	got := texts(t, r.picture())
	for _, want := range []string{"as a ratio to first", "1,000 connections", "a <second> & cheaper", "0.60", "1.00", "answers 1 of 1000",
		"not measured", "7.81 KiB", "300 B", "3 paired rounds"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in the picture:\n%s", want, got)
		}
	}
}

func TestThePictureWithoutABaselineShowsTimes(t *testing.T) {
	r := measured()
	r.Baseline = ""
	got := texts(t, r.picture())
	for _, want := range []string{"in microseconds", "20.00", "12.00"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in the picture:\n%s", want, got)
		}
	}
	if strings.Contains(got, "NaN") || strings.Contains(got, "Inf") {
		t.Error(got)
	}
}
