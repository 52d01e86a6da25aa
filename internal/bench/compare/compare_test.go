//go:build unix

package compare

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard/internal/bench"
)

// socat serves echo, a process for each connection.
func socat(t *testing.T) Candidate {
	if _, err := exec.LookPath("socat"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	return shell("socat", "socat TCP-LISTEN:{port},bind=127.0.0.1,fork,reuseaddr,backlog=64 PIPE")
}

func shell(name, line string) Candidate {
	return Candidate{name, func(port int) *exec.Cmd {
		return exec.Command("sh", "-c", strings.ReplaceAll(line, "{port}", strconv.Itoa(port)))
	}}
}

func python(name, code string) Candidate {
	return Candidate{name, func(port int) *exec.Cmd { return exec.Command("python3", "-c", code, strconv.Itoa(port)) }}
}

// oneAtATime is the simplest server there is.
var oneAtATime = python("one at a time", `
import socket, sys
s = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    c, _ = s.accept()
    try:
        while p := c.recv(65536):
            c.sendall(p)
    except ConnectionError:
        pass
    c.close()
`)

func short(candidates ...Candidate) Plan {
	return Plan{Candidates: candidates, Conns: []int{1, 4}, Size: 64, Depth: 1, Rounds: 2, Slice: 60 * time.Millisecond,
		Settle: 20 * time.Millisecond, Idle: 20, Baseline: "socat"}
}

func TestServersAreComparedSideBySide(t *testing.T) {
	plan := short(socat(t), oneAtATime)
	plan.Conns = []int{1, 4, 8}
	steps := 0
	plan.Step = func(s Step) {
		steps++
		if s.Done != steps-1 || s.What == "" {
			t.Errorf("step %d is told as %+v", steps, s)
		}
	}
	r, err := Run(t.Context(), plan)
	if err != nil {
		t.Fatal(err)
	}
	if want := 2 + 2*3*2; steps != want {
		t.Errorf("%d steps, wanted %d", steps, want)
	}
	first, second := r.Servers[0], r.Servers[1]
	if first.Error != "" || second.Error != "" || r.Baseline != "socat" {
		t.Fatalf("%+v %+v", first, second)
	}
	for _, conns := range plan.Conns {
		l := first.Level(conns)
		if l == nil || l.Served != conns || l.Ratio != 1 || len(l.Rounds) != 2 || l.PerSecond == 0 || l.PerMessage == 0 || l.P99 < l.P50 {
			t.Errorf("socat with %d connections: %+v", conns, l)
		}
	}
	if l := second.Level(1); l.Served != 1 || l.Ratio == 0 {
		t.Errorf("one of one: %+v", l)
	}
	// It serves one of four; it is not asked to serve one of eight.
	if l := second.Level(4); l == nil || l.Served != 1 || !strings.Contains(l.Remarks(), "answers 1 of 4 connections") || second.Level(8) != nil {
		t.Errorf("one of four: %+v, and of eight: %+v", l, second.Level(8))
	}
	if first.PerIdle < 100 || second.PerIdle != 0 {
		t.Errorf("a process for an idle connection takes %v bytes, one that is not served %v", first.PerIdle, second.PerIdle)
	}
	gone(t, r)
	reports(t, r)
}

// gone expects that nobody listens where the servers did.
func gone(t *testing.T, r *Result) {
	t.Helper()
	for _, s := range r.Servers {
		if s.process == nil {
			continue
		}
		if conn, err := net.Dial("tcp", s.process.address); err == nil {
			conn.Close()
			t.Errorf("%s still listens", s.Name)
		}
		for deadline := time.Now().Add(10 * time.Second); lives(s.process.cmd.Process.Pid); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("of %s something still runs", s.Name)
			}
		}
	}
}

// lives tells whether a process group has a member that runs. One that has ended can still be there, until who is now its
// parent has asked how.
func lives(group int) bool {
	if syscall.Kill(-group, 0) == syscall.ESRCH {
		return false
	}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, name := range stats {
		text, _ := os.ReadFile(name)
		_, rest, _ := strings.Cut(string(text), ") ")
		if f := strings.Fields(rest); len(f) > 2 && f[2] == strconv.Itoa(group) && f[0] != "Z" {
			return true
		}
	}
	return len(stats) == 0
}

// reports expects that every report has every server and the figures.
func reports(t *testing.T, r *Result) {
	t.Helper()
	var text, page, picture strings.Builder
	for _, err := range []error{r.Text(&text), r.HTML(&page), r.SVG(&picture)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range r.Servers {
		for what, in := range map[string]string{"text": text.String(), "page": page.String(), "picture": picture.String()} {
			if !strings.Contains(in, s.Name) {
				t.Errorf("no %s in the %s", s.Name, what)
			}
		}
		for _, l := range s.Levels {
			if rate := strings.TrimSpace(l.Rate()); !strings.Contains(text.String(), rate) || !strings.Contains(page.String(), rate) {
				t.Errorf("the rate of %s with %d connections, %s, is not in the reports", s.Name, l.Conns, rate)
			}
		}
	}
	_, inPage, _ := strings.Cut(page.String(), `id="result">`)
	inPage, _, _ = strings.Cut(inPage, "</script>")
	var again Result
	if err := json.Unmarshal([]byte(inPage), &again); err != nil || len(again.Servers) != len(r.Servers) || again.Schema != Schema {
		t.Errorf("the page's JSON: %v, %+v", err, again)
	}
}

func TestCandidatesThatFailAreToldAndSpoilNothing(t *testing.T) {
	dies := python("dies", `
import os, socket, sys
s = socket.create_server(("127.0.0.1", int(sys.argv[1])))
s.accept()[0].close() # who asks whether it listens
c = s.accept()[0]
c.recv(100)
print("I have had enough", file=sys.stderr, flush=True)
os._exit(3)`)
	plan := short(socat(t), dies, shell("says no", "echo it cannot be >&2; exit 4"), Candidate{"is not there", func(int) *exec.Cmd {
		return exec.Command(filepath.Join(t.TempDir(), "no", "such"))
	}})
	plan.Idle = 0
	r, err := Run(t.Context(), plan)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"", "", "exit status 4: it cannot be", "no such file"} {
		if got := r.Servers[i].Error; !strings.Contains(got, want) || (got == "") != (want == "") && i != 1 {
			t.Errorf("%s: %q, wanted %q", r.Servers[i].Name, got, want)
		}
	}
	if d := r.Servers[1]; d.Error == "" || !strings.Contains(d.Error, "exit status 3: I have had enough") {
		t.Errorf("wanted to be told how it died: %+v", d)
	}
	if len(r.Servers[0].Levels) != 2 {
		t.Errorf("the good one was not compared to the end: %+v", r.Servers[0])
	}
	gone(t, r)
	var text strings.Builder
	r.Text(&text)
	if !strings.Contains(text.String(), "says no could not be compared") {
		t.Error(text.String())
	}
	if _, err := Run(t.Context(), short(shell("says no", "exit 4"))); err == nil || !strings.Contains(err.Error(), "exit status 4") {
		t.Errorf("nothing to compare: %v", err)
	}
}

func TestAnInterruptStopsEverything(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	plan := short(socat(t), oneAtATime)
	plan.Rounds, plan.Idle = 1000, 0
	plan.Step = func(s Step) {
		if s.Done == 5 {
			cancel()
		}
	}
	r, err := Run(ctx, plan)
	if err != nil || !r.Interrupted {
		t.Fatalf("%+v, %v", r, err)
	}
	gone(t, r)
	if _, err := Run(ctx, plan); err == nil {
		t.Error("a comparison that was interrupted before it began has a result")
	}
}

func TestPlansThatMakeNoSenseAreRefused(t *testing.T) {
	for wanted, change := range map[string]func(*Plan){
		"nothing to compare": func(p *Plan) { p.Candidates = nil },
		"at least one":       func(p *Plan) { p.Conns = nil },
		"rising":             func(p *Plan) { p.Conns = []int{10, 1} },
		"from 1 on":          func(p *Plan) { p.Conns = []int{0} },
		"--rounds":           func(p *Plan) { p.Rounds = 0 },
		"--slice":            func(p *Plan) { p.Slice = 0 },
		"--settle":           func(p *Plan) { p.Settle = -1 },
		"--idle":             func(p *Plan) { p.Idle = -1 },
		"two called":         func(p *Plan) { p.Candidates = append(p.Candidates, p.Candidates...) },
	} {
		p := short(oneAtATime)
		change(&p)
		if err := p.Check(); err == nil || !strings.Contains(err.Error(), wanted) {
			t.Errorf("wanted an error with %q, got %v", wanted, err)
		}
	}
}

func TestRatiosAreOfTheSameRound(t *testing.T) {
	slice := func(us float64) *bench.Result {
		return &bench.Result{Server: &bench.ServerCost{PerMessage: us}, Latency: &bench.Latency{P50: us, P99: 2 * us}}
	}
	// The machine gets three times slower meanwhile: the figures drift, the ratio holds.
	base, other := &Level{}, &Level{}
	for i, slow := range []float64{1, 2, 3} {
		base.add(i, slice(10*slow))
		other.add(i, slice(12*slow))
	}
	base.add(3, slice(1000)) // this round has no other
	base.settle(base)
	other.settle(base)
	if got := fmt.Sprintf("%.3f %.3f %v %v", other.Ratio, base.Ratio, other.PerMessage, base.P99); got != "1.200 1.000 24 50" {
		t.Errorf("ratios, median cost and median p99: %s", got)
	}
	if median(nil) != 0 || median([]float64{3, 1}) != 2 || median([]float64{5, 1, 3}) != 3 {
		t.Error("that is no median")
	}
}
