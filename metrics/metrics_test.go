package metrics_test

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/metrics"
)

// patience is how long a test waits for what must come.
const patience = 60 * time.Second

func until(t testing.TB, what string, is func() bool) {
	t.Helper()
	for limit := time.Now().Add(patience); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

func program(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil && os.Getenv("CI") == "true" {
		t.Fatal(err)
	} else if err != nil {
		t.Skip(err)
	}
	return path
}

// serveEcho serves on two listeners until the test ends.
func serveEcho(t testing.TB) (s *switchboard.Server, addresses [2]string) {
	s = &switchboard.Server{Handler: switchboard.DataFunc((*switchboard.Conn).Write), SampleCalls: 1,
		Logger: slog.New(slog.NewTextHandler(t.Output(), nil))}
	for i := range addresses {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addresses[i] = l.Addr().String()
		served := make(chan error, 1)
		go func() { served <- s.Serve(l) }()
		t.Cleanup(func() {
			s.Close()
			if err := <-served; !errors.Is(err, switchboard.ErrServerClosed) {
				t.Error(err)
			}
		})
	}
	return s, addresses
}

// says sends a message and hears it again.
func says(t testing.TB, conn net.Conn, message string) {
	t.Helper()
	conn.SetDeadline(time.Now().Add(patience))
	io.WriteString(conn, message)
	got := make([]byte, len(message))
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != message {
		t.Fatalf("%q, %v", got, err)
	}
}

func dial(t testing.TB, address string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func scrape(t testing.TB, sources ...metrics.Source) string {
	t.Helper()
	answer := httptest.NewRecorder()
	metrics.Handler(sources...).ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", nil))
	if answer.Code != 200 {
		t.Fatalf("%d %s", answer.Code, answer.Body)
	}
	return answer.Body.String()
}

// value returns the value of a sample in a text, NaN if it is not there.
func value(text, sample string) float64 {
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, sample+" "); ok {
			v, err := strconv.ParseFloat(strings.TrimSpace(rest), 64)
			if err == nil {
				return v
			}
		}
	}
	return math.NaN()
}

func TestFiguresAreThoseOfTheServer(t *testing.T) {
	s, addresses := serveEcho(t)
	source := metrics.Server(s)
	first, second := dial(t, addresses[0]), dial(t, addresses[1])
	says(t, first, "hello")
	says(t, second, "hello")
	says(t, second, "world!")
	reads := func(sample string, want float64) {
		t.Helper()
		until(t, sample+" is "+strconv.FormatFloat(want, 'g', -1, 64), func() bool { return value(scrape(t, source), sample) == want })
	}
	of := func(i int) string { return `listener="` + addresses[i] + `"` }
	reads(`switchboard_connections{`+of(0)+`,state="open"}`, 1)
	reads(`switchboard_connections{`+of(1)+`,state="open"}`, 1)
	reads(`switchboard_accepted_total{`+of(1)+`}`, 1)
	reads(`switchboard_messages_total`, 3)
	reads(`switchboard_received_bytes_total`, 16)
	reads(`switchboard_sent_bytes_total`, 16)
	reads(`switchboard_handler_seconds_count`, 3)
	reads(`switchboard_handler_seconds_bucket{le="+Inf"}`, 3)
	first.Close()
	reads(`switchboard_connections{`+of(0)+`,state="open"}`, 0)
	reads(`switchboard_closed_total{reason="orderly"}`, 1)
	reads(`switchboard_handler_seconds_count`, 4) // Closed
	reads(`switchboard_listener_accepting{`+of(0)+`}`, 1)
	reads(`switchboard_leaving`, 0)
	s.Close()
	reads(`switchboard_leaving`, 1)
	reads(`switchboard_connections{`+of(1)+`,state="open"}`, 0)
	reads(`switchboard_closed_total{reason="aborted"}`, 1)
	reads(`switchboard_listener_accepting{`+of(0)+`}`, 0)
	text := scrape(t, source)
	if busy := value(text, `switchboard_loop_busy_seconds_total{loop="0"}`); !(busy >= 0) {
		t.Errorf("a loop was busy for %v seconds", busy)
	}
	if n := value(text, `switchboard_turn_seconds_count`); !(n > 0) {
		t.Errorf("%v turns", n)
	}
}

func TestNoLabelGrowsWithConnections(t *testing.T) {
	s, addresses := serveEcho(t)
	says(t, dial(t, addresses[0]), "x")
	says(t, dial(t, addresses[1]), "x")
	before := strings.Count(scrape(t, metrics.Server(s), metrics.Process), "\n")
	for range 200 {
		says(t, dial(t, addresses[0]), "x")
	}
	if after := strings.Count(scrape(t, metrics.Server(s), metrics.Process), "\n"); after != before {
		t.Errorf("%d lines for 2 connections, %d for 202", before, after)
	}
}

func TestPromtoolFindsNoFault(t *testing.T) {
	promtool := program(t, "promtool")
	s, addresses := serveEcho(t)
	other, _ := serveEcho(t)
	says(t, dial(t, addresses[0]), "hello")
	awkward := func(w *metrics.Writer) {
		w.Gauge("awkward", "A \\ and\na line.", math.Inf(-1), "of", "a \"quoted\" \\ and\na line \xff")
		w.Gauge("awkward", "Another.", math.NaN(), "of", "")
		w.Gauge("colon:ed", "Large.", 1e300)
	}
	for name, sources := range map[string][]metrics.Source{
		"one":     {metrics.Server(s), metrics.Process},
		"two":     {metrics.Server(s, "server", "a"), metrics.Server(other, "server", "b"), metrics.Process},
		"unbegun": {metrics.Server(&switchboard.Server{})},
		"awkward": {awkward},
	} {
		cmd := exec.CommandContext(t.Context(), promtool, "check", "metrics")
		cmd.Stdin = strings.NewReader(scrape(t, sources...))
		out, err := cmd.CombinedOutput()
		if name == "awkward" && cmd.ProcessState.ExitCode() == 3 { // it parses, and the style is not liked
			err, out = nil, nil
		}
		if err != nil || len(out) > 0 {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}

func TestWhatTheFormatDoesNotAllowIsAnError(t *testing.T) {
	for reason, write := range map[string]metrics.Source{
		`metric "no-such"`:           func(w *metrics.Writer) { w.Gauge("no-such", "", 1) },
		`metric ""`:                  func(w *metrics.Writer) { w.Gauge("", "", 1) },
		"a gauge and a counter":      func(w *metrics.Writer) { w.Gauge("x", "", 1); w.Counter("x", "", 1) },
		"come twice":                 func(w *metrics.Writer) { w.Gauge("x", "", 1, "a", "b"); w.Gauge("x", "", 1, "a", "b") },
		`label "a" comes twice`:      func(w *metrics.Writer) { w.Gauge("x", "", 1, "a", "b", "a", "c") },
		`the label "a" has no value`: func(w *metrics.Writer) { w.Gauge("x", "", 1, "a") },
		`label "le"`:                 func(w *metrics.Writer) { w.Gauge("x", "", 1, "le", "1") },
		`label "__x"`:                func(w *metrics.Writer) { w.Gauge("x", "", 1, "__x", "1") },
		`label "a:b"`:                func(w *metrics.Writer) { w.Gauge("x", "", 1, "a:b", "1") },
		"labels {} come twice": func(w *metrics.Writer) {
			metrics.Process(w)
			metrics.Process(w)
		},
	} {
		answer := httptest.NewRecorder()
		metrics.Handler(write).ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", nil))
		if answer.Code != 500 || !strings.Contains(answer.Body.String(), reason) {
			t.Errorf("%s: %d %s", reason, answer.Code, answer.Body)
		}
	}
	answer := httptest.NewRecorder()
	metrics.Handler().ServeHTTP(answer, httptest.NewRequest("POST", "/metrics", nil))
	if answer.Code != http.StatusMethodNotAllowed || answer.Header().Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: %d %v", answer.Code, answer.Header())
	}
}

func TestTheProcessIsCounted(t *testing.T) {
	before := metrics.ReadProcess()
	if before.Goroutines < 2 || before.Heap <= 0 {
		t.Errorf("%+v", before)
	}
	if before.Descriptors == 0 {
		t.Skip("this system does not tell how many descriptors are open")
	}
	for range 20 {
		f, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
	}
	after := metrics.ReadProcess()
	if n := after.Descriptors - before.Descriptors; n < 15 || after.Descriptors > after.MaxDescriptors || after.Resident < 1<<20 {
		t.Errorf("%+v, and with 20 files more %+v", before, after)
	}
}

// FuzzLabels checks that a label's value is read back as it was, whatever is in it.
func FuzzLabels(f *testing.F) {
	for _, seed := range []string{"", "plain", "a\nb", `\n`, `"`, `\"`, "\\", "ü", "\xff", "} 1\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, v string) {
		var w metrics.Writer
		w.Gauge("x", v, 1, "a", v)
		var b bytes.Buffer
		if _, err := w.WriteTo(&b); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(b.String(), "\n")
		if len(lines) != 4 || lines[3] != "" {
			t.Fatalf("%q makes %q", v, lines)
		}
		quoted := strings.TrimSuffix(strings.TrimPrefix(lines[2], `x{a="`), `"} 1`)
		got := strings.NewReplacer(`\\`, `\`, `\n`, "\n", `\"`, `"`).Replace(quoted)
		if got != strings.ToValidUTF8(v, "\uFFFD") {
			t.Fatalf("%q is read back as %q", v, got)
		}
	})
}
