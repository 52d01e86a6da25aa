//go:build unix

package bench

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestSoManyRequestsAndNotOneMore(t *testing.T) {
	for name, cfg := range map[string]Config{
		"one":                   {Requests: 1},
		"fewer than connected":  {Requests: 3, Conns: 10},
		"many":                  {Requests: 5000, Depth: 7, Size: Range{1, 300}},
		"several loops":         {Requests: 2000, Conns: 20, Loops: 3},
		"churn":                 {Requests: 60, Churn: true},
		"on a schedule":         {Requests: 100, Rate: 2000},
		"churn on a schedule":   {Requests: 50, Rate: 500, Churn: true},
		"beside idle ones":      {Requests: 100, Idle: 5, Conns: 5},
		"nobody answers":        {Requests: 1000, Expect: None},
		"slowly, on a schedule": {Requests: 2, Rate: 0.25, OpenWait: 1500 * time.Millisecond, Conns: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address, counts := counting(t, "asyncio_echo.py")
			cfg.Address, cfg.Duration, cfg.PID = address, time.Hour, -1
			r := load(t, cfg)
			m := r.Messages
			if len(r.Errors) > 0 || m.Sent != cfg.Requests || cfg.Expect != None && m.Answered != cfg.Requests || r.Interrupted || m.NotSent != 0 {
				t.Errorf("%+v %v", m, said(r))
			}
			if _, bytes := counts(); bytes != r.Totals.BytesOut {
				t.Errorf("the server has counted %d bytes, we %d", bytes, r.Totals.BytesOut)
			}
			if want := float64(cfg.Requests) / r.Seconds; m.PerSecond < 0.99*want || m.PerSecond > 1.01*want {
				t.Errorf("%v a second in %v s", m.PerSecond, r.Seconds)
			}
		})
	}
}

func TestNginxLogsAsManyRequestsAsWereWanted(t *testing.T) {
	t.Parallel()
	address, log := nginx(t)
	before := linesIn(t, log)
	r := load(t, Config{Address: address, Expect: HTTP, Path: "/short", Requests: 777, Duration: time.Hour, PID: -1})
	if logged := linesIn(t, log) - before; logged != 777 || r.Messages.Answered != 777 || len(r.Errors) > 0 {
		t.Errorf("nginx has logged %d: %+v %v", logged, r.Messages, said(r))
	}
}

func TestRequestsThatCannotBeAnsweredEndInTime(t *testing.T) {
	t.Run("never answered", func(t *testing.T) {
		t.Parallel()
		s := serve(t, "tcp", "127.0.0.1:0", func(_ *server, conn net.Conn) { io.Copy(io.Discard, conn) })
		r := load(t, Config{Address: s.at(), Requests: 100, Duration: time.Hour, PID: -1, OpenWait: 400 * time.Millisecond, LastWait: 100 * time.Millisecond})
		if r.Messages.NoAnswer != 5 || r.Messages.NotSent != 95 || count(r, "never sent") != 95 || r.Outage == nil {
			t.Errorf("%+v %v", r.Messages, said(r))
		}
	})
	t.Run("killed", func(t *testing.T) {
		t.Parallel()
		p := peerServer(t, "python3", "testdata/asyncio_echo.py")
		r := load(t, Config{Address: "127.0.0.1:" + p.line(t), Requests: 1 << 40, Duration: time.Hour, PID: -1, OpenWait: 300 * time.Millisecond,
			Progress: midway(func() { p.signal(syscall.SIGKILL) })})
		if r.Outage == nil || !strings.Contains(r.Outage.Why, "refused") || count(r, "never sent") == 0 {
			t.Errorf("%+v %+v %v", r.Outage, r.Messages, said(r))
		}
	})
	t.Run("interrupted", func(t *testing.T) {
		t.Parallel()
		s := serve(t, "tcp", "127.0.0.1:0", echoing)
		ctx, cancel := context.WithCancel(t.Context())
		r, err := Run(ctx, filled(Config{Address: s.at(), Requests: 1 << 40, Duration: time.Hour, PID: -1, Progress: midway(cancel)}))
		if err != nil || !r.Interrupted || len(r.Errors) > 0 || r.Messages.Sent+r.Messages.NotSent != 1<<40 {
			t.Errorf("%v: %+v", err, r)
		}
	})
}

func TestARequestHasTheMethodHeaderAndBodyThatWereGiven(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	type seen struct{ method, host, agent, given, body, length string }
	got := make(chan seen, 1)
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- seen{r.Method, r.Host, r.UserAgent(), strings.Join(r.Header["X-Given"], ","), string(body), r.Header.Get("Content-Length")}
	})}
	served := make(chan error)
	go func() { served <- s.Serve(l) }()
	defer func() {
		s.Close()
		<-served
	}()
	at := l.Addr().String()
	for _, c := range []struct {
		cfg  Config
		want seen
	}{
		{Config{}, seen{"GET", at, "switchboard-bench", "", "", ""}},
		{Config{Method: "DELETE"}, seen{"DELETE", at, "switchboard-bench", "", "", ""}},
		{Config{Body: []byte("text")}, seen{"POST", at, "switchboard-bench", "", "text", "4"}},
		{Config{Method: "PUT"}, seen{"PUT", at, "switchboard-bench", "", "", "0"}},
		{Config{Method: "HEAD", Header: http.Header{"Host": {"other"}, "User-Agent": {"me"}, "X-Given": {"a", "b"}}}, seen{"HEAD", "other", "me", "a,b", "", ""}},
	} {
		c.cfg.Address, c.cfg.Expect, c.cfg.Requests, c.cfg.Conns, c.cfg.PID = at, HTTP, 1, 1, -1
		well(t, load(t, c.cfg))
		if r := <-got; r != c.want {
			t.Errorf("%+v, wanted %+v", r, c.want)
		}
	}
	for _, cfg := range []Config{
		{Method: "GET /"}, {Method: "CONNECT"}, {Header: http.Header{"A b": {"c"}}}, {Header: http.Header{"A": {"b\r\nC: d"}}},
		{Header: http.Header{"Content-Length": {"5"}}},
	} {
		cfg.Address, cfg.Expect = at, HTTP
		if err := filled(cfg).Check(); err == nil {
			t.Errorf("%q %q was taken", cfg.Method, cfg.Header)
		}
	}
}

// TestAScheduleOfRequestsBeginsAtOnce: the first message of each connection is one of the schedule, and the rate is the one that
// was asked for.
func TestAScheduleOfRequestsBeginsAtOnce(t *testing.T) {
	address, _ := counting(t, "asyncio_echo.py")
	r := load(t, Config{Address: address, Conns: 10, Requests: 10, Rate: 10, Duration: time.Hour, PID: -1})
	if r.Messages.Answered != 10 || r.Seconds > 1.5 { // a connection has a message each second
		t.Errorf("%d answered in %v s", r.Messages.Answered, r.Seconds)
	}
}
