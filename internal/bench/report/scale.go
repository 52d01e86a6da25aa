package report

import (
	"math"
	"strconv"

	"gonum.org/v1/plot"
)

// Tickers say where a scale has its marks, and what stands at them.

// LogTicks marks the powers of ten, and what lies between them without a word if there are few of them.
func LogTicks(label func(float64) string) plot.Ticker {
	return plot.TickerFunc(func(low, high float64) (marks []plot.Tick) {
		if low <= 0 || high <= low {
			return nil
		}
		decades := math.Log10(high / low)
		for power := math.Floor(math.Log10(low)); power <= math.Ceil(math.Log10(high)); power++ {
			for digit := 1.0; digit < 10; digit++ {
				v := digit * math.Pow(10, power)
				if v < low*0.999 || v > high*1.001 {
					continue
				}
				t := plot.Tick{Value: v}
				if digit == 1 || decades < 1.5 && (digit == 2 || digit == 5) || decades < 0.5 {
					t.Label = label(v)
				}
				marks = append(marks, t)
			}
		}
		return marks
	})
}

// Linear marks round steps, at most six.
func Linear(label func(float64) string) plot.Ticker {
	return plot.TickerFunc(func(low, high float64) (marks []plot.Tick) {
		if high <= low {
			return nil
		}
		step := math.Pow(10, math.Floor(math.Log10(high-low))-1)
		for i := 0; (high-low)/step > 6; i++ {
			step *= []float64{2, 2.5, 2}[i%3] // 1, 2, 5, 10
		}
		for n := int(math.Ceil(low/step - 1e-9)); float64(n)*step <= high+step*1e-9; n++ {
			marks = append(marks, plot.Tick{Value: float64(n) * step, Label: label(float64(n) * step)})
		}
		return marks
	})
}

// Percentiles lie on a logarithmic scale of how rarely something is slower: 90 % at 10, 99 % at 100.

func rarity(percent float64) float64 { return 100 / (100 - percent) }

func percentileTicks() plot.Ticker {
	return plot.TickerFunc(func(_, high float64) (marks []plot.Tick) {
		for _, percent := range []float64{0, 50, 90, 99, 99.9, 99.99, 99.999, 99.9999, 99.99999} {
			if at := rarity(percent); at <= high*1.001 {
				marks = append(marks, plot.Tick{Value: at, Label: strconv.FormatFloat(percent, 'f', -1, 64) + "%"})
			}
		}
		return marks
	})
}

// Short writes a number with a unit of a thousand: "180k".
func Short(n float64) string {
	for _, unit := range []string{"", "k", "M", "G"} {
		if math.Abs(n) < 1000 || unit == "G" {
			return strconv.FormatFloat(math.Round(n*100)/100, 'f', -1, 64) + unit
		}
		n /= 1000
	}
	return ""
}

// ShortMicros is Micros without more digits than a mark of a scale needs.
func ShortMicros(us float64) string {
	switch {
	case us < 1000:
		return strconv.FormatFloat(us, 'g', 3, 64) + " µs"
	case us < 1e6:
		return strconv.FormatFloat(us/1e3, 'g', 3, 64) + " ms"
	}
	return strconv.FormatFloat(us/1e6, 'g', 3, 64) + " s"
}
