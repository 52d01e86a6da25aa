package view

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard/internal/bench"
)

func TestASparklineRisesWithItsValues(t *testing.T) {
	for want, values := range map[string][]float64{
		"":         nil,
		"▁":        {0},
		"█":        {0.1},
		"▁▂▃▄▅▆▇█": {0, 1, 2, 3, 4, 5, 6, 7},
		"▁▁█▅":     {0, 1, 100, 50},
	} {
		if got := Sparkline(values); got != want {
			t.Errorf("%v is %s, wanted %s", values, got, want)
		}
	}
}

func TestWithoutATerminalEverySampleIsALine(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	v := New(w)
	shown := bench.Progress{Phase: bench.Measuring, Elapsed: 3 * time.Second, Errors: 2,
		Last: bench.Sample{At: 1, Phase: bench.Measuring, Seconds: 1, PerSecond: 182341, P50: 172, P99: 1720, Max: 36000, Open: 50}}
	v.Show(bench.Progress{})
	v.Show(shown)
	v.Show(shown) // the same sample: nothing new
	shown.Last.At, shown.Last.PerSecond = 2, 90
	v.Show(shown)
	v.Close()
	w.Close()
	text := make([]byte, 1<<16)
	n, _ := r.Read(text)
	got := strings.Split(strings.TrimSpace(string(text[:n])), "\n")
	if len(got) != 3 {
		t.Fatalf("wanted a head and two lines, got:\n%s", text[:n])
	}
	for _, want := range []string{"3.0 s", "measure", "182,341/s", "172 µs", "1.72 ms", "36.0 ms", "50", "2"} {
		if !strings.Contains(got[1], want) {
			t.Errorf("no %q in %q", want, got[1])
		}
	}
}

func TestLinesAreCutToTheTerminal(t *testing.T) {
	for _, width := range []int{1, 5, 80} {
		if n := len([]rune(cut("rate ▁▂▃▄ and so on", width))); n >= width {
			t.Errorf("%d columns in a terminal of %d", n, width)
		}
	}
}

func TestABarIsFilledByWhatIsDone(t *testing.T) {
	for want, got := range map[string]string{
		"[----------------------------------------]": bar(0, 0), // nothing is known yet
		"[====================--------------------]": bar(3, 6),
		"[========================================]": bar(7, 6), // it took longer than was planned
	} {
		if got != want {
			t.Errorf("%s, wanted %s", got, want)
		}
	}
}
