package main

import (
	"bytes"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/switchboard-go/switchboard/internal/bench"
)

func TestLimitsHoldOrAreMissed(t *testing.T) {
	r := &bench.Result{
		Latency:  &bench.Latency{Min: 10, Mean: 100, P50: 90, P90: 200, P99: 5000, P999: 6000, P9999: 7000, Max: 8000},
		Messages: bench.Messages{PerSecond: 9999, Lost: 3, NoAnswer: 2},
		Totals:   bench.Totals{Sent: 1000},
		Errors:   []*bench.Trouble{{Kind: "x", Count: 4, Before: 1}},
	}
	for text, missed := range map[string]bool{
		"p99>5ms": false, "p99>=5ms": true, "p99 > 4999us": true, "p99<6ms": true, "p99.9>5.9ms": true, "p99.99>7ms": false,
		"max>1s": false, "mean<=100us": true, "min<5us": false, "p50>0.09ms": false, "p90>199us": true,
		"rate<10k": true, "rate<9999": false, "rate<=9999": true, "rate<0.01M": true, "rate>1M": false,
		"errors>5": false, "errors>4": true, "errors>0.5%": false, "errors>=0.5%": true, "errors>0": true,
		"lost>2": true, "lost > 0.3 %": false, "unanswered>1": true, "unanswered>=3": false,
	} {
		l, err := parseLimit(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		} else if got := l.missed(r); (got != "") != missed {
			t.Errorf("%s: %q", text, got)
		}
	}
	if l, _ := parseLimit("p99>5ms"); l.missed(&bench.Result{}) == "" {
		t.Error("without answers no latency is good")
	}
	for text, says := range map[string]string{
		"": "try 'p99", "p99": "try 'p99", "p99>": "try 'p99", "p99>5": "has no unit (try 5ms)", "p99>5mx": "no duration", "p98>5ms": `called "p98"`,
		"rate<fast": "try 'p99", "rate<1x": "no number", "p99>5ms<6ms": "try 'p99", "errors>1%%": "no number", "p99=5ms": "try 'p99",
	} {
		if _, err := parseLimit(text); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzLimit(f *testing.F) {
	for _, text := range []string{"p99>5ms", "rate<10k", "errors>0.1%", "max >= 1h", "lost<=1e300"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		l, err := parseLimit(text)
		if err != nil {
			return
		}
		l.missed(&bench.Result{Latency: &bench.Latency{}})
		again, err := parseLimit(l.text)
		if err != nil || again != l {
			t.Fatalf("%q is %+v, and then %+v, %v", text, l, again, err)
		}
	})
}

func TestBenchFailsByItsLimits(t *testing.T) {
	s := serve(t, "echo")
	for _, c := range []struct {
		limits string
		code   int
		says   string
	}{
		{"--fail-if=p99<1ns --fail-if=rate<1", 0, ""},
		{"--fail-if=p50>1ns", exitFailed, "p50>1ns: it was "},
		{"--fail-if=rate<1000M --fail-if=max>1ns", exitFailed, "; max>1ns: it was "},
		{"--fail-if=nonsense", exitUsage, "--fail-if"},
	} {
		_, complaint, code := benchOnce(t, append(strings.Fields(c.limits), s.addrs[0])...)
		if code != c.code || !strings.Contains(complaint, c.says) {
			t.Errorf("%s: exit code %d, %s", c.limits, code, complaint)
		}
	}
	var n atomic.Int64
	web := httpServer(t, func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1)%20 == 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	for limit, want := range map[string]int{"errors>20%": 0, "errors>1%": exitFailed, "p99>1h": exitFailed} { // errors are a failure by themselves
		if _, complaint, code := benchOnce(t, "--warmup=0", "-n", "1000", "--duration=1m", "--fail-if="+limit, web); code != want {
			t.Errorf("%s: exit code %d, %s", limit, code, complaint)
		}
	}
}

// httpServer is Go's, at a URL.
func httpServer(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: h}
	served := make(chan error)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		s.Close()
		<-served
	})
	return "http://" + l.Addr().String() + "/"
}

func TestBenchSendsSoManyRequestsOfAURL(t *testing.T) {
	var right, wrong atomic.Int64
	web := httpServer(t, func(w http.ResponseWriter, r *http.Request) {
		var body bytes.Buffer
		body.ReadFrom(r.Body)
		user, password, _ := r.BasicAuth()
		if user == "me" && password == "a:b" && r.Method == "PUT" && r.URL.String() == "/a?b=c" && r.Header.Get("X-Name") == "value" && body.String() == "from a file" {
			right.Add(1)
		} else {
			wrong.Add(1)
		}
	})
	file := filepath.Join(t.TempDir(), "body")
	os.WriteFile(file, []byte("from a file"), 0o600)
	hdr := filepath.Join(t.TempDir(), "hdr")
	out, complaint, code := once(t, "", "bench", "-q", "--json", "--timeout=1m", "-n", "321", "-c", "7", "-X", "PUT", "-H", "X-Name: value", "--body", "@"+file, "--hdr", hdr, strings.Replace(web, "//", "//me:a%3Ab@", 1)+"a?b=c")
	var r bench.Result
	if err := json.Unmarshal([]byte(out), &r); err != nil || code != 0 || right.Load() != 321 || wrong.Load() != 0 || r.Messages.Answered != 321 || r.Settings.Method != "PUT" {
		t.Errorf("%v, exit code %d, %s: %d right and %d wrong, %+v", err, code, complaint, right.Load(), wrong.Load(), r.Messages)
	}
	table, err := os.ReadFile(hdr)
	if err != nil || !strings.Contains(string(table), "Percentile") || !strings.Contains(string(table), "#[Max") || !strings.Contains(string(table), "321") {
		t.Errorf("%v: %s", err, table)
	}
	for args, says := range map[string]string{
		"-n 5 --warmup 1 " + web:          "every request counts",
		"-n -5 " + web:                    "cannot be negative",
		"-X PUT 127.0.0.1:7":              "--method and --body are for",
		"--body x --payload y " + web:     "exclude each other",
		"-H nonsense " + web:              "NAME: VALUE",
		"-H Content-Length:5 " + web:      "it is counted from the body",
		"--subprotocol x " + web:          "--subprotocol is for ws://",
		"-H A:b 127.0.0.1:7":              "--header is for http://",
		"-c x 127.0.0.1:7":                "it is not a whole number",
		"-c 99999999999999999999 [::1]:7": "it is out of range",
		"-r x 127.0.0.1:7":                "it is not a number",
		"--json=x 127.0.0.1:7":            "it is neither true nor false",
		"--fail-if-worse 5 " + web:        "unknown flag",
		"diff one":                        "needs two arguments, OLD and NEW, not 1",
		"diff --fail-if-worse -1 one two": "cannot be negative",
	} {
		_, complaint, code := once(t, "", append([]string{"bench", "-q"}, strings.Fields(args)...)...)
		if strings.HasPrefix(args, "diff") {
			_, complaint, code = once(t, "", append([]string{"bench"}, strings.Fields(args)...)...)
		}
		if code != exitUsage || !strings.Contains(complaint, says) {
			t.Errorf("bench %s: exit code %d, %s", args, code, complaint)
		}
	}
}

func TestBenchDiffReadsWhatBenchHasSaved(t *testing.T) {
	s := serve(t, "echo")
	dir := t.TempDir()
	file := func(name string, args ...string) string {
		t.Helper()
		out, complaint, code := once(t, "", append([]string{"bench", "-q", "--json", "--warmup=0", "--timeout=1m"}, args...)...)
		if code != 0 {
			t.Fatalf("exit code %d, %s", code, complaint)
		}
		file := filepath.Join(dir, name)
		os.WriteFile(file, []byte(out), 0o600)
		return file
	}
	fast := file("fast", "-d", "1", s.addrs[0])
	slow := file("slow", "-d", "1", "--rate", "50", s.addrs[0])
	five := func(file string) string { return strings.Join([]string{file, file, file, file, file}, ",") }
	out, complaint, code := once(t, "", "bench", "diff", "--fail-if-worse", "5", five(fast), five(slow))
	if code != exitFailed || !strings.Contains(out, "5 runs were compared with 5.") || !strings.Contains(complaint, "worse: per_second by -") || !strings.Contains(out, "Not the same on both sides: rate.") {
		t.Errorf("exit code %d, %s\n%s", code, complaint, out)
	}
	if out, complaint, code := once(t, "", "bench", "diff", "--fail-if-worse", "0", five(fast), five(fast)); code != 0 || !strings.Contains(out, "no difference (p = 1)") {
		t.Errorf("exit code %d, %s\n%s", code, complaint, out)
	}
	if out, _, code := once(t, "", "bench", "diff", fast, slow); code != 0 || !strings.Contains(out, "The stretches of two runs") {
		t.Errorf("exit code %d\n%s", code, out)
	}
	if _, complaint, code := once(t, "", "bench", "diff", fast, s.addrs[0]); code != exitFailed || strings.Count(complaint, "\n") != 1 {
		t.Errorf("exit code %d, %s", code, complaint)
	}
}

// TestAZoneIsNoPartOfTheHost: the zone of an IPv6 address means something on this host alone.
func TestAZoneIsNoPartOfTheHost(t *testing.T) {
	interfaces, err := net.Interfaces()
	i := slices.IndexFunc(interfaces, func(i net.Interface) bool { return i.Flags&net.FlagLoopback != 0 })
	if err != nil || i < 0 {
		t.Skip("no loopback interface: ", err)
	}
	zone := strconv.Itoa(interfaces[i].Index)
	l, err := net.Listen("tcp", "[::1%"+zone+"]:0")
	if err != nil {
		t.Skip(err)
	}
	hosts := make(chan string, 100)
	s := &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { hosts <- r.Host })}
	served := make(chan error)
	go func() { served <- s.Serve(l) }()
	defer func() {
		s.Close()
		<-served
	}()
	_, port := split(t, l.Addr().String())
	for _, args := range [][]string{
		{"bench", "-q", "-n", "1", "-c", "1", "http://[::1%25" + zone + "]:" + port + "/"},
		{"bench", "-q", "-n", "1", "-c", "1", "ws://[::1%25" + zone + "]:" + port + "/"},
		{"dial", "ws://[::1%25" + zone + "]:" + port + "/"},
	} {
		_, complaint, _ := once(t, "", args...)
		select {
		case host := <-hosts:
			if host != "[::1]:"+port {
				t.Errorf("%q: %s", args, host)
			}
		default:
			t.Errorf("%q asked for nothing: %s", args, complaint)
		}
		for len(hosts) > 0 {
			<-hosts
		}
	}
}
