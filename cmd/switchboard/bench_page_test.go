package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/switchboard-go/switchboard/internal/bench"
	"github.com/switchboard-go/switchboard/internal/bench/compare"
)

// dom is what a browser makes of a page.
func dom(t *testing.T, page string) string {
	t.Helper()
	browser := installed(t, "chromium")
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
		"--user-data-dir="+t.TempDir(), "--dump-dom", "file://"+page)
	var complaint strings.Builder
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, complaint.String())
	}
	return string(out)
}

// shown returns the text of the element with an id.
func shown(t *testing.T, dom, id string) string {
	t.Helper()
	found := regexp.MustCompile(`id="` + id + `">([^<]*)<`).FindStringSubmatch(dom)
	if found == nil {
		t.Errorf("there is no %q on the page", id)
		return ""
	}
	return found[1]
}

// quantity reads back what the page shows: 182,341/s, 1.52 ms, 11.1 MiB.
func quantity(t *testing.T, text string) float64 {
	t.Helper()
	number, unit, _ := strings.Cut(strings.ReplaceAll(strings.TrimSuffix(text, "/s"), ",", ""), " ")
	n, err := strconv.ParseFloat(number, 64)
	scale, ok := map[string]float64{"": 1, "µs": 1, "ms": 1e3, "s": 1e6, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}[unit]
	if err != nil || !ok {
		t.Errorf("%q is no quantity", text)
	}
	return n * scale
}

// same tells whether a figure on the page is that of the JSON, as far as its three digits go.
func same(t *testing.T, what, shown string, want float64) {
	t.Helper()
	if got := quantity(t, shown); math.Abs(got-want) > want*0.006+0.006 {
		t.Errorf("%s: the page shows %s, the JSON has %v", what, shown, want)
	}
}

// selfContained expects that a page asks for nothing.
func selfContained(t *testing.T, file string) {
	t.Helper()
	page, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, asks := range []string{"src=", "href=", "url(", "@import", "<link", "<iframe"} {
		if strings.Contains(string(page), asks) {
			t.Errorf("the page has %s in it", asks)
		}
	}
}

func TestThePageShowsInABrowserWhatTheJSONHas(t *testing.T) {
	s := serve(t, "echo")
	page := filepath.Join(t.TempDir(), "report.html")
	r, complaint, code := benchOnce(t, "--conns=30", "--idle=10", "--ramp=200ms", "--html="+page, s.addrs[0])
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, complaint)
	}
	selfContained(t, page)
	dom := dom(t, page)
	for id, want := range map[string]float64{
		"rate": r.Messages.PerSecond, "p50": r.Latency.P50, "p90": r.Latency.P90, "p99": r.Latency.P99, "p99-9": r.Latency.P999,
		"max": r.Latency.Max, "min": r.Latency.Min, "mean": r.Latency.Mean,
		"answered": float64(r.Messages.Answered), "sent": float64(r.Messages.Sent), "opened": float64(r.Connections.Opened),
	} {
		same(t, id, shown(t, dom, id), want)
	}
	if r.Server != nil {
		same(t, "per-message", shown(t, dom, "per-message"), r.Server.PerMessage)
	}
	if text := shown(t, dom, "errors"); text != "None." {
		t.Errorf("errors: %q", text)
	}
	if command := shown(t, dom, "command"); !strings.Contains(command, "--conns=30") || !strings.Contains(command, s.addrs[0]) {
		t.Errorf("command: %q", command)
	}
	if n := strings.Count(dom, "<svg"); n != 2 {
		t.Errorf("%d pictures, wanted two", n)
	}
	var again bench.Result
	if err := json.Unmarshal([]byte(shown(t, dom, "result")), &again); err != nil || again.Messages != r.Messages || again.Generator != r.Generator {
		t.Errorf("the page's own JSON: %v, %+v", err, again.Messages)
	}
}

func TestCompareMeasuresTheArchitecturesSideBySide(t *testing.T) {
	dir := t.TempDir()
	page, picture := filepath.Join(dir, "compare.html"), filepath.Join(dir, "compare.svg")
	installed(t, "socat")
	modes := "--modes=goroutines,processes,poll"
	if runtime.GOOS == "windows" {
		modes = "--modes=goroutines,select,poll"
	}
	out, complaint, code := once(t, "", "bench", "compare", "--json", "--quiet", modes, "--conns=1,20",
		"--rounds=2", "--slice=50ms", "--settle=20ms", "--idle=100", "--html="+page, "--svg="+picture,
		"--against=another=socat TCP-LISTEN:{port},bind=127.0.0.1,fork,reuseaddr,backlog=64 PIPE")
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, complaint)
	}
	var r compare.Result
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Servers) != 4 || r.Servers[3].Name != "another" || r.Baseline != "goroutines" || r.Schema != compare.Schema {
		t.Fatalf("%+v", r)
	}
	selfContained(t, page)
	selfContained(t, picture)
	dom := dom(t, page)
	for _, conns := range []int{1, 20} {
		_, table, _ := strings.Cut(dom, fmt.Sprintf(`data-connections="%d"`, conns))
		table, _, _ = strings.Cut(table, "</table>")
		for _, s := range r.Servers {
			l := s.Level(conns)
			cells := regexp.MustCompile(`<td>` + s.Name + `</td>(?:\s*<td class="n">([^<]*)</td>)(?:\s*<td class="n">([^<]*)</td>)` +
				`(?:\s*<td class="n">([^<]*)</td>)(?:\s*<td class="n">([^<]*)</td>)(?:\s*<td class="n">([^<]*)</td>)`).FindStringSubmatch(table)
			if l == nil || cells == nil {
				t.Errorf("no %s with %d connections, or not on the page: %+v", s.Name, conns, l)
				continue
			}
			if l.PerMessage > 0 {
				same(t, s.Name+"'s cost", cells[1], l.PerMessage)
				same(t, s.Name+"'s ratio", cells[2], l.Ratio)
			}
			same(t, s.Name+"'s rate", strings.TrimRight(cells[3], "* "), l.PerSecond)
			same(t, s.Name+"'s p50", cells[4], l.P50)
			same(t, s.Name+"'s p99", cells[5], l.P99)
			if l.Served != conns || len(l.Errors) > 0 {
				t.Errorf("%s with %d connections: %s", s.Name, conns, l.Remarks())
			}
		}
	}
}
