package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/switchboard-go/switchboard/internal/bench"
	"github.com/switchboard-go/switchboard/internal/systest"
)

// benchOnce runs bench with --json and returns what it printed. On a busy machine the last answers take their time.
func benchOnce(t *testing.T, args ...string) (r bench.Result, complaint string, code int) {
	t.Helper()
	out, complaint, code := once(t, "", append([]string{"bench", "--json", "--quiet", "--warmup=50ms", "--duration=300ms", "--timeout=1m"}, args...)...)
	if code != exitUsage && out != "" {
		if err := json.Unmarshal([]byte(out), &r); err != nil {
			t.Fatalf("%v in %s", err, out)
		}
	}
	return r, complaint, code
}

func TestBenchMeasuresEveryArchitecture(t *testing.T) {
	inModes(t, append([]string{"goroutines", "processes"}, eventModes...), func(t *testing.T, mode string) {
		s := serve(t, "echo", "--mode="+mode)
		r, complaint, code := benchOnce(t, "--conns=20", "--size=1-2000", "--depth=3", s.addrs[0])
		if code != 0 || r.Messages.Answered == 0 || len(r.Errors) > 0 || r.Schema != bench.Schema || r.Interrupted {
			t.Errorf("exit code %d (%s): %+v %v", code, complaint, r.Messages, r.Errors)
		}
		if r.Totals.BytesIn != r.Totals.BytesOut || r.Totals.Answered != r.Totals.Sent {
			t.Errorf("%+v", r.Totals)
		}
		if runtime.GOOS == "linux" {
			if r.Server == nil || r.Server.PID != s.cmd.Process.Pid || r.Server.PerMessage == 0 {
				t.Errorf("process %d was not measured: %+v", s.cmd.Process.Pid, r.Server)
			}
		}
	})
}

func TestBenchSaysWhatIsWrongWithACall(t *testing.T) {
	s := serve(t, "echo")
	empty := filepath.Join(t.TempDir(), "empty")
	os.WriteFile(empty, nil, 0o666)
	for _, c := range []struct {
		args string
		code int
		says string
	}{
		{"", exitUsage, "needs one address, not 0"},
		{"127.0.0.1", exitUsage, "port is missing"},
		{":7007", exitUsage, "host is missing"},
		{"fd://3", exitUsage, "no open descriptor"},
		{"--conns=0 ADDRESS", exitUsage, "at least one connection"},
		{"--size=big ADDRESS", exitUsage, "16-4096"},
		{"--size=9-8 ADDRESS", exitUsage, "the smaller number first"},
		{"--expect=wonders ADDRESS", exitUsage, "echo, none, line and http"},
		{"--path=/x ADDRESS", exitUsage, "--expect http"},
		{"--expect=http --size=5 ADDRESS", exitUsage, "has its own"},
		{"--expect=http --path=/ --payload=x ADDRESS", exitUsage, "exclude each other"},
		{"--pid=init ADDRESS", exitUsage, "auto, none or the number"},
		{"--source=localhost ADDRESS", exitUsage, "not an IP address"},
		{"--duration=0s ADDRESS", exitUsage, "more than 0"},
		{"--rate=-5 ADDRESS", exitUsage, "--rate"},
		{"--payload=/no/such ADDRESS", exitFailed, noFile},
		{"--payload=" + empty + " ADDRESS", exitFailed, "is empty"},
		{"--html=/no/such/file ADDRESS", exitFailed, noFile},
		{"--pid=1073741824 ADDRESS", exitFailed, "process"},
		{"127.0.0.1:1", exitFailed, "nothing listens there"},
		{"--source=192.0.2.1 ADDRESS", exitFailed, noSource},
		{"/no/such.sock", exitFailed, noFile},
		{"compare --svg=/no/such/file", exitFailed, noFile},
		{"compare --modes=epoll,magic", exitUsage, "goroutines"},
		{"compare --conns=0", exitUsage, "from 1 on"},
		{"compare --baseline=magic", exitUsage, "none of those that are compared"},
		{"compare --against=socat", exitUsage, "{port}"},
	} {
		args := strings.Fields(strings.ReplaceAll(c.args, "ADDRESS", s.addrs[0]))
		_, complaint, code := once(t, "", append([]string{"bench", "--quiet"}, args...)...)
		if code != c.code || !strings.Contains(complaint, c.says) || strings.Count(complaint, "\n") != 1 {
			t.Errorf("bench %s: exit code %d, wanted %d with %q in one line:\n%s", c.args, code, c.code, c.says, complaint)
		}
	}
}

func TestBenchFailsWhenAnythingIsWrong(t *testing.T) {
	s := serve(t, "discard")
	r, complaint, code := benchOnce(t, "--timeout=200ms", s.addrs[0])
	sent := r.Messages.Sent // by 50 connections, as far as a busy machine lets them send within the run
	if code != exitFailed || sent == 0 || sent > 50 || r.Messages.NoAnswer != sent || !strings.Contains(complaint, fmt.Sprint(sent, " x no answer")) {
		t.Errorf("exit code %d, %q, %+v", code, complaint, r.Messages)
	}
	if _, complaint, code = benchOnce(t, "--expect=none", s.addrs[0]); code != 0 {
		t.Errorf("exit code %d where no answers are awaited: %s", code, complaint)
	}
}

func TestBenchNamesTheLimitOfDescriptors(t *testing.T) {
	cmd := limited(t, "bench", "--conns", "100", "127.0.0.1:1")
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState.ExitCode() != exitFailed || !strings.Contains(string(out), "this process may have 64") {
		t.Errorf("%v: %s", err, out)
	}
}

func TestBenchShowsEverySampleInALineWithoutATerminal(t *testing.T) {
	s := serve(t, "echo")
	_, complaint, code := once(t, "", "bench", "--duration=500ms", "--warmup=100ms", "--payload=-", s.addrs[0])
	if code != exitFailed || !strings.Contains(complaint, "is empty") { // standard input is
		t.Errorf("exit code %d: %s", code, complaint)
	}
	out, progress, code := once(t, "hello, server", "bench", "--duration=500ms", "--warmup=100ms", "--timeout=1m", "--payload=-", s.addrs[0])
	if lines := strings.Count(progress, " measure "); code != 0 || lines < 5 || strings.Contains(progress, "\x1b") {
		t.Errorf("exit code %d, %d lines:\n%s", code, lines, progress)
	}
	for _, want := range []string{"50 connections, 13 bytes", "answered", "latency", "p99.9", "errors       none", "generator"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}

func TestBenchEndsEarlyWithWhatThereIsAtAnInterrupt(t *testing.T) {
	s := serve(t, "echo")
	cmd := exec.Command(os.Args[0], "bench", "--json", "--warmup=0s", "--duration=1h", "--timeout=1m", s.addrs[0])
	progress, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	cmd.Stdout = &out
	systest.Interruptible(cmd)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	seen := ""
	for buf := make([]byte, 4096); !strings.Contains(seen, " measure "); {
		n, err := progress.Read(buf)
		if seen += string(buf[:n]); err != nil {
			t.Fatalf("%v after %s", err, seen)
		}
	}
	systest.Interrupt(cmd.Process)
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v", err)
	}
	var r bench.Result
	if err := json.Unmarshal([]byte(out.String()), &r); err != nil || !r.Interrupted || r.Messages.Answered == 0 {
		t.Errorf("%v: %+v", err, r.Messages)
	}
}

func TestCompareKnowsWhatServeCanDo(t *testing.T) {
	all := architectures()
	for _, mode := range modeNames() {
		found := false
		for _, a := range all {
			found = found || a == mode || strings.HasPrefix(a, mode+"/")
		}
		if !found {
			t.Errorf("of %s there is %v in %v", mode, found, all)
		}
	}
}

// TestTheLiveViewInATerminal looks at the screen of a real one, types Ctrl-C into it, and looks again.
func TestTheLiveViewInATerminal(t *testing.T) {
	tmux := installed(t, "tmux")
	s := serve(t, "echo")
	name := fmt.Sprintf("switchboard-test-%d", os.Getpid())
	run := func(args ...string) string {
		t.Helper()
		out, err := exec.Command(tmux, append([]string{"-L", name, "-f", "/dev/null"}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("tmux %v: %v: %s", args, err, out)
		}
		return string(out)
	}
	run("new-session", "-d", "-x", "90", "-y", "24", "-e", asCommand+"=1", "-e", "LC_ALL=C.UTF-8",
		// The shell keeps the screen as it is: tmux would scroll it by a line to say that the program ended.
		"sh", "-c", `trap : INT; "$@"; read end`, "sh", os.Args[0], "bench", "--duration=1m", "--warmup=0s", "--conns=7", s.addrs[0])
	t.Cleanup(func() { run("kill-server") })
	screen := ""
	sees := func(patterns ...string) {
		t.Helper()
		t.Cleanup(func() {
			if t.Failed() {
				t.Logf("the screen, waiting for %q:\n%s", patterns, screen)
			}
		})
		until(t, fmt.Sprintf("the screen shows %q", patterns), func() bool {
			screen = run("capture-pane", "-p", "-J")
			for _, p := range patterns {
				if !regexp.MustCompile(p).MatchString(screen) {
					return false
				}
			}
			return true
		})
	}
	sees(`measuring +\[[=>]+-*\] +\d+\.\d s left`, `rate +[\d,.]+/s +[▁▂▃▄▅▆▇█]{2,}`, `latency +p50 [\d.]+ [µm]s +p99 [\d.]+ [µm]?s +max`,
		`connections 7 of 7`, `errors +no errors`)
	t.Logf("the live view:\n%s", strings.TrimSpace(screen))
	run("send-keys", "C-c")
	sees(`7 connections, 64 bytes, every echoed byte compared,\s+interrupted after [\d.]+ s of 60 s`, `answered +[\d,]+`, `errors +none`)
	if strings.Contains(screen, "s left") || strings.Contains(screen, "[=") {
		t.Errorf("the bar is still there:\n%s", screen)
	}
	t.Logf("and then:\n%s", strings.TrimSpace(screen))
}
