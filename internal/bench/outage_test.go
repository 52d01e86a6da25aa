//go:build unix

package bench

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// midway calls what once, when a part of the measurement is over.
func midway(what func()) func(Progress) {
	done := false
	return func(p Progress) {
		if p.Phase == Measuring && p.Elapsed > 0 && p.Last.Phase == Measuring && !done {
			done = true
			what()
		}
	}
}

func TestAServerThatDiesOrStopsIsTold(t *testing.T) {
	for _, c := range []struct {
		name   string
		cfg    Config
		signal syscall.Signal
		why    string
	}{
		{"killed", Config{}, syscall.SIGKILL, "connection refused"},
		{"killed, open loop", Config{Rate: 500}, syscall.SIGKILL, "connection refused"},
		{"killed, churn", Config{Churn: true}, syscall.SIGKILL, "connection refused"},
		{"killed, churn on a schedule", Config{Churn: true, Rate: 200}, syscall.SIGKILL, "connection refused"},
		{"killed, nobody answers", Config{Expect: None}, syscall.SIGKILL, "connection refused"},
		{"stopped", Config{}, syscall.SIGSTOP, "nothing came"},
		{"stopped, open loop", Config{Rate: 500}, syscall.SIGSTOP, "nothing came"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := peerServer(t, "python3", filepath.Join("testdata", "asyncio_echo.py"))
			c.cfg.Address, c.cfg.Duration, c.cfg.PID = "127.0.0.1:"+p.line(t), 3*time.Second, -1
			c.cfg.LastWait = 300 * time.Millisecond
			c.cfg.Progress = midway(func() { p.signal(c.signal) })
			r := load(t, c.cfg)
			if r.Outage == nil || !strings.Contains(r.Outage.Why, c.why) || r.Outage.Since <= 0 || r.Outage.Since >= r.Seconds {
				t.Errorf("%+v: %+v %v", r.Outage, r.Messages, said(r))
			}
			if len(r.Errors) == 0 {
				t.Error("and it is no error")
			}
		})
	}
}

func TestAServerThatIsSlowOrIdleHasNoOutage(t *testing.T) {
	for name, cfg := range map[string]Config{
		"a message in two seconds": {Rate: 0.5, Conns: 1},
		"idle connections":         {Idle: 3},
		"churn":                    {Churn: true, Conns: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg.Address, cfg.Duration, cfg.PID = serve(t, "tcp", "127.0.0.1:0", echoing).at(), 1500*time.Millisecond, -1
			if r := load(t, cfg); r.Outage != nil || len(r.Errors) > 0 {
				t.Errorf("%+v %v", r.Outage, said(r))
			}
		})
	}
}

// TestErrorsCountOverTheSpanOfTheAnswers has a server that is wrong until the measurement begins, and one that is from then on.
func TestErrorsCountOverTheSpanOfTheAnswers(t *testing.T) {
	for _, early := range []bool{true, false} {
		var measuring atomic.Bool
		s := serve(t, "tcp", "127.0.0.1:0", func(s *server, conn net.Conn) {
			p := make([]byte, 64)
			for {
				if _, err := io.ReadFull(conn, p); err != nil || measuring.Load() != early {
					return
				}
				conn.Write(p)
			}
		})
		r := load(t, Config{Address: s.at(), Conns: 2, Warmup: 300 * time.Millisecond, PID: -1, Progress: func(p Progress) {
			measuring.Store(p.Phase == Measuring || p.Phase == Draining)
		}})
		s.stop()
		if len(r.Errors) != 1 {
			t.Fatalf("%v", said(r))
		}
		e := r.Errors[0]
		if early && (e.Before == 0 || e.Count > 2) || !early && (e.Count == 0 || e.Before > 2) { // one each is between the two
			t.Errorf("wrong early %v: %d before and %d in the measurement", early, e.Before, e.Count)
		}
	}
}

func TestARateOfAlmostNothingEndsAtTheFirstSignal(t *testing.T) {
	for _, cfg := range []Config{{Rate: 1e-10}, {Rate: 1e-300, Churn: true}, {Rate: 1e-10, LastWait: time.Hour}} {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			handle := echoing
			if cfg.LastWait > 0 {
				handle = func(s *server, conn net.Conn) { io.Copy(io.Discard, conn) }
			}
			ctx, cancel := context.WithCancel(t.Context())
			cfg.Address, cfg.Duration, cfg.PID = serve(t, "tcp", "127.0.0.1:0", handle).at(), time.Hour, -1
			cfg.Progress = func(p Progress) {
				if p.Phase == Measuring {
					cancel()
				}
			}
			r, err := Run(ctx, filled(cfg)) // the test's own end is the bound
			if err != nil {
				t.Fatal(err)
			}
			addsUp(t, r)
			if !r.Interrupted || r.Totals.Sent > r.Totals.Connections || r.Generator.Processors > 0.9 && r.Seconds > 1 {
				t.Errorf("%+v %+v", r.Totals, r.Generator)
			}
		})
	}
}

func TestHTTPThatAnswersAnEchoIsToldAsSuch(t *testing.T) {
	t.Parallel()
	address, _ := nginx(t)
	_, err := Run(t.Context(), filled(Config{Address: address, Duration: time.Minute, PID: -1}))
	if err == nil || !strings.Contains(err.Error(), "this is HTTP") || !strings.Contains(err.Error(), "400") || !strings.Contains(err.Error(), address) {
		t.Errorf("%v", err)
	}
}

// TestAServerThatWantsACertificateIsToldAsSuch: with TLS 1.3 a client has long finished its handshake when it is refused.
func TestAServerThatWantsACertificateIsToldAsSuch(t *testing.T) {
	cert, key, trusted := certified(t)
	for _, version := range []string{"-tls1_2", "-tls1_3"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			address := freeAddress(t)
			_, port, _ := strings.Cut(address, ":")
			peerServer(t, "openssl", "s_server", "-accept", port, "-cert", cert, "-key", key, "-Verify", "1", "-quiet", "-naccept", "20", version)
			awaitListener(t, "tcp", address)
			_, err := Run(t.Context(), filled(Config{Address: address, Conns: 3, Duration: time.Minute, PID: -1,
				TLS: &tls.Config{ServerName: "localhost", RootCAs: trusted}}))
			if !IsTLSAlert(err) || !strings.Contains(err.Error(), address) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestAServerThatAnswersWronglyAndThenNothingIsToldByWhatIsWrong(t *testing.T) {
	t.Parallel()
	s := serve(t, "tcp", "127.0.0.1:0", func(_ *server, conn net.Conn) {
		io.ReadFull(conn, make([]byte, 1))
		conn.Write([]byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
		io.Copy(io.Discard, conn)
	})
	r := load(t, Config{Address: s.at(), Conns: 3, Duration: time.Second, LastWait: 50 * time.Millisecond})
	s.stop()
	if r.Outage == nil || r.Outage.Why != "wrong bytes" {
		t.Errorf("%+v %v", r.Outage, said(r))
	}
}
