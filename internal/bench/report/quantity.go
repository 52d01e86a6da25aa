package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Micros writes a time given in microseconds with three digits and the unit that suits it: "9.15 µs", "412 µs", "1.20 s".
func Micros(us float64) string {
	switch {
	case us <= 0 || math.IsNaN(us):
		return "0 µs"
	case us < 999.5:
		return digits(us) + " µs"
	case us < 999.5e3:
		return digits(us/1e3) + " ms"
	}
	return digits(us/1e6) + " s"
}

// Size writes a number of bytes with three digits and a unit of 1024: "612 B", "1.21 KiB".
func Size(n float64) string {
	units := []string{" B", " KiB", " MiB", " GiB", " TiB", " PiB"}
	for math.Abs(n) >= 999.5 && len(units) > 1 {
		n /= 1024
		units = units[1:]
	}
	if units[0] == " B" {
		return strconv.FormatFloat(n, 'f', 0, 64) + units[0]
	}
	return digits(n) + units[0]
}

// Count writes a number with its thousands apart: "1,823,411".
func Count(n int64) string {
	s := strconv.FormatInt(n, 10)
	from := 0
	if n < 0 {
		from = 1
	}
	for i := len(s) - 3; i > from; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Rate writes how often something is in a second: "182,341/s", "0.52/s".
func Rate(n float64) string {
	if n < 99.95 {
		return digits(n) + "/s"
	}
	return Count(int64(math.Round(n))) + "/s"
}

// Seconds writes a time given in seconds: "10 s", "0.5 s", "2 min 5 s".
func Seconds(s float64) string {
	if s < 120 {
		return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.2f", s), "0"), ".") + " s"
	}
	return fmt.Sprintf("%d min %d s", int(s)/60, int(s)%60)
}

// digits writes three significant digits, more before the point.
func digits(x float64) string {
	switch {
	case x == 0:
		return "0"
	case math.Abs(x) < 9.995:
		return strconv.FormatFloat(x, 'f', 2, 64)
	case math.Abs(x) < 99.95:
		return strconv.FormatFloat(x, 'f', 1, 64)
	}
	return strconv.FormatFloat(x, 'f', 0, 64)
}

func plural(n int64, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return Count(n) + " " + one + "s"
}
