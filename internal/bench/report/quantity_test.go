package report

import (
	"math"
	"testing"
)

func TestQuantitiesHaveThreeDigitsAndTheUnitThatSuitsThem(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{Micros(0), "0 µs"},
		{Micros(math.NaN()), "0 µs"},
		{Micros(0.0644), "0.06 µs"},
		{Micros(9.994), "9.99 µs"},
		{Micros(9.996), "10.0 µs"},
		{Micros(99.96), "100 µs"},
		{Micros(999.4), "999 µs"},
		{Micros(999.6), "1.00 ms"},
		{Micros(12345), "12.3 ms"},
		{Micros(999.6e3), "1.00 s"},
		{Micros(7.2e9), "7200 s"},
		{Size(0), "0 B"},
		{Size(612.4), "612 B"},
		{Size(1024), "1.00 KiB"},
		{Size(11.1 * 1024 * 1024), "11.1 MiB"},
		{Size(5e15), "4.44 PiB"},
		{Size(-2048), "-2.00 KiB"},
		{Count(0), "0"},
		{Count(999), "999"},
		{Count(1000), "1,000"},
		{Count(1823411), "1,823,411"},
		{Count(-1823411), "-1,823,411"},
		{Rate(0), "0/s"},
		{Rate(0.521), "0.52/s"},
		{Rate(99.94), "99.9/s"},
		{Rate(99.97), "100/s"},
		{Rate(182340.7), "182,341/s"},
		{Seconds(10), "10 s"},
		{Seconds(0.3), "0.3 s"},
		{Seconds(2.034), "2.03 s"},
		{Seconds(125), "2 min 5 s"},
		{Short(0), "0"},
		{Short(950), "950"},
		{Short(180000), "180k"},
		{Short(1250000), "1.25M"},
		{ShortMicros(100), "100 µs"},
		{ShortMicros(20000), "20 ms"},
		{ShortMicros(5e6), "5 s"},
		{plural(1, "byte"), "1 byte"},
		{plural(5000, "byte"), "5,000 bytes"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, wanted %q", c.got, c.want)
		}
	}
}

func TestCommandsAreWrittenAsAShellReadsThem(t *testing.T) {
	got := Command([]string{"switchboard", "bench", "--payload", "my file", "it's", "", "127.0.0.1:7", "[::1]:7"})
	if want := `switchboard bench --payload 'my file' 'it'\''s' '' 127.0.0.1:7 '[::1]:7'`; got != want {
		t.Errorf("got %s, wanted %s", got, want)
	}
}
