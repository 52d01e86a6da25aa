//go:build unix

package bench

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// counting starts one of the Python servers, and returns what asks it to end and reads what it has counted.
func counting(t *testing.T, script string, args ...string) (address string, counts func() (connections, bytes int64)) {
	p := peerServer(t, "python3", append([]string{filepath.Join("testdata", script)}, args...)...)
	return "127.0.0.1:" + p.line(t), func() (int64, int64) {
		p.cmd.Process.Signal(syscall.SIGTERM)
		var c struct{ Connections, Bytes int64 }
		if err := json.Unmarshal([]byte(p.line(t)), &c); err != nil {
			t.Fatal(err)
		}
		return c.Connections, c.Bytes
	}
}

func TestTotalsAreThoseThatPythonServersCount(t *testing.T) {
	loads := map[string]Config{
		"closed loop":      {Conns: 10, Size: Range{1, 3000}, Depth: 4},
		"open loop":        {Conns: 10, Rate: 2000},
		"churn":            {Conns: 4, Churn: true},
		"idle connections": {Conns: 3, Idle: 30},
	}
	for _, script := range []string{"asyncio_echo.py", "socketserver_echo.py"} {
		for name, cfg := range loads {
			t.Run(script+"/"+name, func(t *testing.T) {
				t.Parallel()
				address, counts := counting(t, script)
				cfg.Address = address
				r := load(t, cfg)
				well(t, r)
				connections, bytes := counts()
				if r.Totals.Connections != connections || r.Totals.BytesOut != bytes {
					t.Errorf("we count %d connections and %d bytes, the server %d and %d",
						r.Totals.Connections, r.Totals.BytesOut, connections, bytes)
				}
				if r.Totals.BytesIn != bytes {
					t.Errorf("%d bytes came back of %d", r.Totals.BytesIn, bytes)
				}
			})
		}
	}
}

func TestSocatsEchoOverTCPAndUnix(t *testing.T) {
	tcp, unix := freeAddress(t), inFolder(t, "echo.sock")
	_, port, _ := strings.Cut(tcp, ":")
	for _, c := range []struct{ network, address, listen string }{
		{"tcp", tcp, "TCP-LISTEN:" + port + ",bind=127.0.0.1,fork,reuseaddr,backlog=64"},
		{"unix", unix, "UNIX-LISTEN:" + unix + ",fork,backlog=64"},
	} {
		t.Run(c.network, func(t *testing.T) {
			p := peerServer(t, "socat", c.listen, "PIPE")
			awaitListener(t, c.network, c.address)
			r := load(t, Config{Address: c.address, Size: Range{1, 1000}, Depth: 3})
			well(t, r)
			if r.Server == nil || r.Server.PID != p.cmd.Process.Pid || r.Server.CPU == 0 || r.Server.Resident == 0 {
				t.Errorf("the server, process %d, was not found or its children left out: %+v", p.cmd.Process.Pid, r.Server)
			}
		})
	}
}

// nginx starts one that answers with a long file, with a short one in chunks, with an error, and that ends connections
// after a few requests. It logs every request.
func nginx(t *testing.T) (address, log string) {
	dir := t.TempDir()
	address, log = freeAddress(t), filepath.Join(dir, "access.log")
	os.WriteFile(filepath.Join(dir, "page"), []byte(strings.Repeat("a long page. ", 10000)), 0o666)
	os.Chmod(dir, 0o777)
	config := fmt.Sprintf(`
daemon off; master_process off; pid %[1]s/pid; error_log stderr crit;
events { worker_connections 200; }
http {
  access_log %[1]s/access.log combined;
  client_body_temp_path %[1]s; proxy_temp_path %[1]s; fastcgi_temp_path %[1]s; scgi_temp_path %[1]s; uwsgi_temp_path %[1]s;
  gzip on; gzip_min_length 1; gzip_types *;
  server {
    listen %[2]s; root %[1]s;
    keepalive_requests 100;
    location /page { }
    location /short { return 200 "hello"; }
    location /nothing { return 204; }
    location /gone { return 410; }
  }
}`, dir, address)
	os.WriteFile(filepath.Join(dir, "nginx.conf"), []byte(config), 0o666)
	peerServer(t, "nginx", "-p", dir, "-c", filepath.Join(dir, "nginx.conf"), "-e", "stderr")
	awaitListener(t, "tcp", address)
	return address, log
}

func TestNginxAnswersAsManyRequestsAsItLogs(t *testing.T) {
	t.Parallel()
	address, log := nginx(t)
	before := linesIn(t, log)
	requests := int64(0)
	for _, cfg := range []Config{
		{Path: "/short"},
		{Path: "/page", Conns: 2},
		{Path: "/nothing"},
		{Path: "/short", Churn: true},
		{Path: "/short", Rate: 1000},
		{Payload: []byte("HEAD /page HTTP/1.1\r\nHost: there\r\n\r\n")},
		{Payload: []byte("GET /page HTTP/1.1\r\nHost: there\r\nAccept-Encoding: gzip\r\n\r\n")}, // comes in chunks
		{Payload: []byte("GET /short HTTP/1.0\r\n\r\n")},                                        // ends the connection
	} {
		cfg.Address, cfg.Expect, cfg.Duration = address, HTTP, 200*time.Millisecond
		r := load(t, cfg)
		well(t, r)
		requests += r.Totals.Sent
		if r.Totals.Sent > 600 && r.Totals.Connections <= int64(r.Settings.Conns) {
			t.Errorf("%d requests over %d connections, though nginx ends them after 100", r.Totals.Sent, r.Totals.Connections)
		}
	}
	if logged := linesIn(t, log) - before; logged != requests {
		t.Errorf("we sent %d requests, nginx has logged %d", requests, logged)
	}
}

func TestRequestsInFlightWhenAnHTTPServerEndsAreLostAndNoError(t *testing.T) {
	t.Parallel()
	address, _ := nginx(t)
	r := load(t, Config{Address: address, Expect: HTTP, Path: "/short", Depth: 7}) // 100 is no multiple of it
	well(t, r)
	if r.Totals.Lost == 0 || r.Totals.Lost > 7*r.Totals.Connections || r.Connections.Broken > 0 {
		t.Errorf("%+v %+v", r.Totals, r.Connections)
	}
}

func TestErrorsThatNginxAnswersAreCountedByStatus(t *testing.T) {
	t.Parallel()
	address, _ := nginx(t)
	r := load(t, Config{Address: address, Expect: HTTP, Path: "/gone"})
	if n := trouble(t, r, "HTTP status 410"); n != r.Totals.Answered || r.Errors[0].Count != r.Messages.Answered-(r.Totals.Sent-r.Messages.Sent-r.Errors[0].Before) {
		t.Errorf("%d errors in %d answers, of which %d in %d of the measurement", n, r.Totals.Answered, r.Errors[0].Count, r.Messages.Answered)
	}
}

func linesIn(t *testing.T, name string) int64 {
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return int64(strings.Count(string(text), "\n"))
}

// TestAStallOfASecondShows is the test for coordinated omission: a closed loop asks a stalled server less, and hardly sees
// it; the schedule of an open loop shows all of the second to all that came in it.
func TestAStallOfASecondShows(t *testing.T) {
	const stall = time.Second
	for _, c := range []struct {
		name  string
		rate  float64
		tells bool
	}{{"open loop", 1000, true}, {"closed loop", 0, false}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := peerServer(t, "python3", filepath.Join("testdata", "asyncio_echo.py"))
			address := "127.0.0.1:" + p.line(t)
			stalled := make(chan struct{})
			begun := false
			r := load(t, Config{Address: address, Conns: 8, Rate: c.rate, Duration: 2500 * time.Millisecond, PID: -1,
				Progress: func(g Progress) {
					if g.Phase == Measuring && g.Left < 2*time.Second && !begun {
						begun = true
						p.signal(syscall.SIGSTOP)
						time.AfterFunc(stall, func() {
							p.signal(syscall.SIGCONT)
							close(stalled)
						})
					}
				}})
			<-stalled
			well(t, r)
			const second = 1e6 // in microseconds
			if r.Latency.Max < 0.95*second {
				t.Errorf("the slowest answer took %.0f µs, though the server stood still for a second", r.Latency.Max)
			}
			// Of 2.5 seconds of schedule one met the stall: a fifth of all messages waited for half a second and longer.
			slow := r.Latency.share(second / 2)
			if c.tells && slow < 0.15 { // more on a busy machine
				t.Errorf("%.3f of the messages waited half a second or more, wanted a fifth at least", slow)
			}
			if !c.tells && slow > 0.02 {
				t.Errorf("%.3f of the messages waited half a second or more, wanted one on each connection", slow)
			}
			if c.tells && r.Messages.NotSent > 0 {
				t.Errorf("%d messages were never sent", r.Messages.NotSent)
			}
		})
	}
}

// share returns which part of a distribution is above so many microseconds, as its curve has it.
func (l *Latency) share(micros float64) float64 {
	for _, p := range l.Curve {
		if p.Micros > micros {
			return 1 - p.Percent/100
		}
	}
	return 0
}

func TestTheServerOfAPortIsFoundAmongOthers(t *testing.T) {
	t.Parallel()
	address, _ := counting(t, "asyncio_echo.py")
	other := peerServer(t, "python3", filepath.Join("testdata", "asyncio_echo.py"))
	other.line(t)
	r := load(t, Config{Address: address, Idle: 300, Conns: 5})
	if r.Server == nil || !strings.HasPrefix(r.Server.Name, "python3") || r.Server.PID == other.cmd.Process.Pid {
		t.Fatalf("found %+v, wanted the other one than %d", r.Server, other.cmd.Process.Pid)
	}
	if s := r.Server; s.PerMessage <= 0 || s.CPU > r.Seconds*1.1 || s.Resident < 1<<20 || s.PerConn <= 0 {
		t.Errorf("wanted the figures of a Python that was kept busy, got %+v", s)
	}
	r = load(t, Config{Address: address, PID: other.cmd.Process.Pid})
	if r.Server == nil || r.Server.PID != other.cmd.Process.Pid || r.Server.CPU > 0.1 {
		t.Errorf("wanted the idle one that was asked for, got %+v", r.Server)
	}
	r = load(t, Config{Address: address, PID: -1})
	if r.Server != nil {
		t.Errorf("wanted none, got %+v", r.Server)
	}
	if _, err := Run(t.Context(), filled(Config{Address: address, PID: 1 << 30})); err == nil || !strings.Contains(err.Error(), strconv.Itoa(1<<30)) {
		t.Errorf("a process that is not there: %v", err)
	}
}
