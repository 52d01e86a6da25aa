package diff

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/switchboard-go/switchboard/internal/bench"
)

// brute is rankSum by counting every way to choose which of the values are a's.
func brute(a, b []float64) float64 {
	all := append(append([]float64{}, a...), b...)
	want, _ := statistic(a, b)
	middle := float64(len(a)*len(b)) / 2
	extreme, ways := 0, 0
	for bits := range 1 << len(all) {
		var x, y []float64
		for i, v := range all {
			if bits>>i&1 == 1 {
				x = append(x, v)
			} else {
				y = append(y, v)
			}
		}
		if len(x) != len(a) {
			continue
		}
		ways++
		if u, _ := statistic(x, y); math.Abs(u-middle) >= math.Abs(want-middle) {
			extreme++
		}
	}
	return float64(extreme) / float64(ways)
}

func TestTheExactTestIsTheCountOfAllOrders(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 60 {
		a, b := make([]float64, 1+random.IntN(6)), make([]float64, 1+random.IntN(6))
		for i := range a {
			a[i] = random.Float64() + 0.5*float64(random.IntN(2))
		}
		for i := range b {
			b[i] = random.Float64()
		}
		if got, want := rankSum(a, b), brute(a, b); math.Abs(got-want) > 1e-9 {
			t.Fatalf("%v and %v: p is %v, wanted %v", a, b, got, want)
		}
	}
}

// TestKnownProbabilities has values of tables: of U for 5 and 5, and for 10 and 10, and of the normal approximation.
func TestKnownProbabilities(t *testing.T) {
	apart := func(n int) (low, high []float64) {
		for i := range n {
			low, high = append(low, float64(i)), append(high, float64(1000+i))
		}
		return low, high
	}
	low5, high5 := apart(5)
	low10, high10 := apart(10)
	low100, high100 := apart(100)
	same := []float64{1, 1, 1, 1, 1, 1}
	for name, c := range map[string]struct {
		a, b []float64
		p    float64
		by   float64
	}{
		"5 and 5 apart":   {low5, high5, 2.0 / 252, 1e-9},
		"10 and 10 apart": {high10, low10, 2.0 / 184756, 1e-12},
		"nothing":         {nil, low5, 1, 0},
		"all the same":    {same, same, 1, 0},
		"100 apart":       {low100, high100, 0, 1e-20},
		"itself":          {low5, low5, 1, 1e-9},
	} {
		if got := rankSum(c.a, c.b); math.Abs(got-c.p) > c.by {
			t.Errorf("%s: %v, wanted %v", name, got, c.p)
		}
	}
	// The approximation, which ties bring about, is near the exact value.
	a, b := []float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10.5}, []float64{4.5, 5.5, 6.5, 7.5, 8.5, 9.5, 10, 11, 12, 13}
	exact := rankSum(a, b)
	b[9] = 12 // a tie
	if tied := rankSum(a, b); math.Abs(exact-tied) > 0.01 {
		t.Errorf("exact %v, with a tie %v", exact, tied)
	}
}

// TestTheTestIsRightAboutAsOftenAsItSays: of two samples of one distribution, one in a hundred pairs differs by chance.
func TestTheTestIsRightAboutAsOftenAsItSays(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	wrong, missed := 0, 0
	const rounds = 3000
	draw := func(shift float64) (values []float64) {
		for range 10 {
			values = append(values, shift+random.ExpFloat64())
		}
		return values
	}
	for range rounds {
		if rankSum(draw(0), draw(0)) < Level {
			wrong++
		}
		if rankSum(draw(0), draw(4)) >= Level {
			missed++
		}
	}
	if wrong > rounds*3/200 || missed > rounds/20 {
		t.Errorf("of %d pairs %d differ by chance, and %d differences were missed", rounds, wrong, missed)
	}
}

// result is a run of ten stretches.
func result(rate, p50 float64, seed uint64) *bench.Result {
	random := rand.New(rand.NewPCG(seed, 5))
	r := &bench.Result{Schema: bench.Schema, Latency: &bench.Latency{P50: p50, P99: 2 * p50, Max: 3 * p50},
		Messages: bench.Messages{PerSecond: rate}, Settings: bench.Settings{Conns: 50, Depth: 1}}
	for range 10 {
		by := 1 + 0.05*random.NormFloat64()
		r.Timeline = append(r.Timeline, bench.Sample{Phase: bench.Measuring, Seconds: 1, PerSecond: rate * by, P50: p50 / by, P99: 2 * p50 / by, Max: 3 * p50})
	}
	r.Timeline = append(r.Timeline, bench.Sample{Phase: bench.Measuring, Seconds: 0.01, PerSecond: 1e9}, bench.Sample{Phase: bench.Warming, Seconds: 1, PerSecond: 1})
	return r
}

func verdicts(t *testing.T, r *Result) map[string]Verdict {
	t.Helper()
	all := map[string]Verdict{}
	for _, row := range r.Rows {
		all[row.Metric] = row.Verdict
	}
	var text strings.Builder
	if err := r.Text(&text); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(text.String()) {
		if utf8.RuneCountInString(line) > 81 {
			t.Errorf("longer than 80 columns: %s", line)
		}
	}
	return all
}

func TestVerdictsOfTwoRuns(t *testing.T) {
	for _, c := range []struct {
		name     string
		old, new *bench.Result
		rate     Verdict
		p50      Verdict
	}{
		{"the same", result(1e5, 100, 1), result(1e5, 100, 2), Chance, Chance},
		{"faster", result(1e5, 100, 1), result(2e5, 50, 2), Better, Better},
		{"slower", result(1e5, 100, 1), result(8e4, 130, 2), Worse, Worse},
	} {
		r, err := Compare([]*bench.Result{c.old}, []*bench.Result{c.new})
		if err != nil {
			t.Fatal(err)
		}
		got := verdicts(t, r)
		if got["per_second"] != c.rate || got["p50_us"] != c.p50 || got["max_us"] == "" || r.Sample != "stretches" {
			t.Errorf("%s: %v", c.name, got)
		}
		if _, there := got["server_us_per_message"]; there {
			t.Errorf("%s: a server that was not measured is compared", c.name)
		}
	}
}

func TestFiveRunsOnEachSideAreCompared(t *testing.T) {
	var old, same, faster []*bench.Result
	for i := range uint64(5) {
		old = append(old, result(1e5+1e4*float64(i), 100, i))
		same = append(same, result(1e5+1e4*float64(4-i)+1, 100, i+9))
		faster = append(faster, result(2e5+1e4*float64(i), 100, i))
	}
	r, err := Compare(old, same)
	if err != nil || r.Sample != "runs" || verdicts(t, r)["per_second"] != Chance {
		t.Errorf("%+v, %v", r, err)
	}
	faster[0].Settings.Conns = 7
	r, err = Compare(old, faster)
	if err != nil || verdicts(t, r)["per_second"] != Better || strings.Join(r.Other, " ") != "conns" {
		t.Errorf("%+v, %v", r, err)
	}
	few := result(1e5, 100, 1)
	few.Timeline = few.Timeline[:3]
	r, err = Compare([]*bench.Result{few}, faster)
	if err != nil || verdicts(t, r)["per_second"] != TooFew {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestWhatIsNoResultIsRefused(t *testing.T) {
	dir := t.TempDir()
	good, _ := json.Marshal(result(1, 1, 1))
	for name, c := range map[string]struct{ text, says string }{
		"good":   {string(good), ""},
		"empty":  {"", "no result of bench --json"},
		"older":  {`{"schema": "switchboard-bench/1"}`, "switchboard-bench/2"},
		"array":  {`[]`, "no result of bench --json"},
		"string": {`{"schema": 5}`, "no result of bench --json"},
	} {
		file := filepath.Join(dir, name)
		os.WriteFile(file, []byte(c.text), 0o600)
		_, err := Read(file)
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
