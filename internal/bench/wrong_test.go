//go:build unix

package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

func TestSettingsThatMakeNoSenseAreRefused(t *testing.T) {
	good := filled(Config{Address: "127.0.0.1:1"})
	for wanted, change := range map[string]func(*Config){
		"--conns 0":     func(c *Config) { c.Conns = 0 },
		"--conns -1":    func(c *Config) { c.Conns = -1 },
		"--size 0-0":    func(c *Config) { c.Size = Range{0, 0} },
		"--size 9-8":    func(c *Config) { c.Size = Range{9, 8} },
		"at most":       func(c *Config) { c.Size = Range{1, MaxSize + 1} },
		"--depth -1":    func(c *Config) { c.Depth = -1 },
		"in flight":     func(c *Config) { c.Size, c.Depth, c.Conns = Range{1 << 20, 1 << 20}, 100, 100 },
		"--churn: a":    func(c *Config) { c.Churn, c.Depth = true, 2 },
		"--churn: with": func(c *Config) { c.Churn, c.Expect = true, None },
		"--rate":        func(c *Config) { c.Rate = -1 },
		"--loops":       func(c *Config) { c.Loops = -1 },
		"--expect":      func(c *Config) { c.Expect = "answers" },
		"--path":        func(c *Config) { c.Expect, c.Path = HTTP, "index.html" },
		"a line end":    func(c *Config) { c.Expect, c.Payload = Line, []byte("hello") },
		"--duration 0":  func(c *Config) { c.Duration = 0 },
		"a time is":     func(c *Config) { c.Warmup = -1 },
		"other family":  func(c *Config) { c.Sources = addresses("::1") },
		"Unix socket":   func(c *Config) { c.Address, c.Sources = "/tmp/s", addresses("127.0.0.1") },
	} {
		cfg := good
		change(&cfg)
		if err := cfg.Check(); err == nil || !strings.Contains(err.Error(), wanted) {
			t.Errorf("wanted an error with %q, got %v", wanted, err)
		}
		if _, err := Run(context.Background(), cfg); err == nil {
			t.Errorf("%q: it runs all the same", wanted)
		}
	}
	if err := good.Check(); err != nil {
		t.Error(err)
	}
}

func TestAServerThatIsNotThereIsAnError(t *testing.T) {
	for address, cause := range map[string]error{
		freeAddress(t):         syscall.ECONNREFUSED,
		inFolder(t, "no.sock"): syscall.ENOENT,
	} {
		if _, err := Run(context.Background(), filled(Config{Address: address})); !errors.Is(err, cause) || !strings.Contains(err.Error(), address) {
			t.Errorf("%s: wanted %v, got %v", address, cause, err)
		}
	}
}

func TestAServerThatTakesNoConnectionIsAnErrorInTime(t *testing.T) {
	t.Parallel()
	// Its backlog is full: further connections wait for an answer that does not come.
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fd)
	if err := errors.Join(syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), syscall.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	name, _ := syscall.Getsockname(fd)
	address := fmt.Sprintf("127.0.0.1:%d", name.(*syscall.SockaddrInet4).Port)
	for range 4 {
		conn, err := net.DialTimeout("tcp", address, 200*time.Millisecond)
		if err == nil {
			defer conn.Close()
		}
	}
	began := time.Now()
	_, err = Run(context.Background(), filled(Config{Address: address, OpenWait: 300 * time.Millisecond}))
	if !errors.Is(err, syscall.ETIMEDOUT) || time.Since(began) > 10*time.Second {
		t.Errorf("after %v: %v", time.Since(began), err)
	}
}

// wrongEchoes are ways to answer wrong that a comparison by length, by message or by sum might miss.
var wrongEchoes = map[string]func(p []byte) []byte{
	"a bit":           func(p []byte) []byte { p[len(p)/2] ^= 1; return p },
	"a byte lost":     func(p []byte) []byte { return append(p[:10:10], p[11:]...) },
	"a byte doubled":  func(p []byte) []byte { return append(p[:10:10], p[9:]...) },
	"bytes exchanged": func(p []byte) []byte { p[10], p[11] = p[11], p[10]; return p },
	"messages moved":  func(p []byte) []byte { return append(bytes.Clone(p[100:200]), append(p[:100:100], p[200:]...)...) },
}

func TestWrongEchoesAreToldFromRightOnes(t *testing.T) {
	for name, spoil := range wrongEchoes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, "tcp", "127.0.0.1:0", func(s *server, conn net.Conn) {
				p := make([]byte, 400) // four messages
				for i := range 20 {
					if _, err := io.ReadFull(conn, p); err != nil {
						return
					}
					if i == 10 {
						p = spoil(p)
					}
					conn.Write(p)
					p = p[:400:400]
				}
			})
			r := load(t, Config{Address: s.at(), Conns: 2, Size: Range{100, 100}, Depth: 4, PID: -1,
				Requests: 400, Duration: time.Minute}) // ten and more for each connection that breaks
			if n := count(r, "wrong bytes"); n < 2 {
				t.Errorf("%d times found: %s", n, said(r))
			}
			if r.Connections.Broken < 2 || r.Totals.Connections < 4 {
				t.Errorf("a connection with wrong bytes is not replaced: %+v", r.Connections)
			}
		})
	}
}

func count(r *Result, kind string) int64 {
	for _, e := range r.Errors {
		if e.Kind == kind {
			return e.Before + e.Count
		}
	}
	return 0
}

func said(r *Result) (all []string) {
	for _, e := range r.Errors {
		all = append(all, fmt.Sprintf("%d and %d x %s (%s)", e.Before, e.Count, e.Kind, e.Example))
	}
	return all
}

func TestBytesOfAnotherConnectionAreWrong(t *testing.T) {
	t.Parallel()
	// Two connections get each other's echo.
	var first atomic.Pointer[net.Conn]
	s := serve(t, "tcp", "127.0.0.1:0", func(s *server, conn net.Conn) {
		if first.CompareAndSwap(nil, &conn) {
			buf := make([]byte, 64)
			io.ReadFull(conn, buf)
			io.Copy(io.Discard, conn)
			return
		}
		io.Copy(*first.Load(), conn)
	})
	r := load(t, Config{Address: s.at(), Conns: 2, PID: -1})
	if count(r, "wrong bytes") == 0 {
		t.Errorf("not found: %s", said(r))
	}
}

func TestServersThatMisbehaveAreCountedByKind(t *testing.T) {
	for _, c := range []struct {
		name, kind string
		cfg        Config
		handle     func(*server, net.Conn)
	}{
		{"closes", "closed by the server", Config{}, func(_ *server, conn net.Conn) { io.ReadFull(conn, make([]byte, 64)) }},
		{"resets", "read: connection reset by peer", Config{}, func(_ *server, conn net.Conn) {
			io.ReadFull(conn, make([]byte, 64))
			conn.(*net.TCPConn).SetLinger(0)
		}},
		{"never answers", "no answer", Config{}, func(_ *server, conn net.Conn) { io.Copy(io.Discard, conn) }},
		{"never reads", "no answer", Config{Size: Range{1 << 20, 1 << 20}, Depth: 8}, func(_ *server, conn net.Conn) {
			for conn.SetReadDeadline(time.Now()) == nil {
				time.Sleep(10 * time.Millisecond) // until the test closes it
			}
		}},
		{"answers half", "closed by the server", Config{}, func(_ *server, conn net.Conn) {
			p := make([]byte, 64)
			io.ReadFull(conn, p)
			conn.Write(p[:32])
		}},
		{"says too much", "more bytes than were sent", Config{}, func(_ *server, conn net.Conn) {
			p := make([]byte, 64)
			io.ReadFull(conn, p)
			conn.Write(append(p, p...))
			io.Copy(io.Discard, conn)
		}},
		{"speaks first", "an answer to nothing", Config{Expect: Line, Depth: 1}, func(_ *server, conn net.Conn) {
			conn.Write([]byte("220 welcome\n221 and so on\n"))
			io.Copy(io.Discard, conn)
		}},
		{"is no web server", "not HTTP", Config{Expect: HTTP}, echoing},
		{"breaks off a response", "closed by the server in the middle of a response", Config{Expect: HTTP}, func(_ *server, conn net.Conn) {
			conn.Read(make([]byte, 4096))
			io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, "tcp", "127.0.0.1:0", c.handle)
			c.cfg.Address, c.cfg.PID, c.cfg.LastWait = s.at(), -1, 200*time.Millisecond
			began := time.Now()
			r := load(t, c.cfg)
			trouble(t, r, c.kind)
			if r.Messages.Answered > 0 && c.kind == "no answer" {
				t.Errorf("%d answers", r.Messages.Answered)
			}
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}

func TestAServerThatAlwaysClosesIsNotBeaten(t *testing.T) {
	t.Parallel()
	s := serve(t, "tcp", "127.0.0.1:0", func(*server, net.Conn) {})
	load(t, Config{Address: s.at(), Conns: 1, Duration: 500 * time.Millisecond, PID: -1})
	if n := s.connections.Load(); n < 3 || n > 20 {
		t.Errorf("%d connections in half a second", n)
	}
}

func TestAServerThatComesBackIsLoadedAgain(t *testing.T) {
	t.Parallel()
	s := serve(t, "tcp", "127.0.0.1:0", echoing)
	address := s.at()
	var again *server
	r := load(t, Config{Address: address, Conns: 3, Duration: 1500 * time.Millisecond, PID: -1, Progress: func(p Progress) {
		if p.Phase == Measuring && p.Left < 1200*time.Millisecond && again == nil {
			s.stop()
			again = serve(t, "tcp", address, echoing)
		}
	}})
	if again.bytes.Load() == 0 || r.Connections.Broken < 3 || r.Connections.AtEnd != 3 {
		t.Errorf("the second server had %d bytes: %+v %s", again.bytes.Load(), r.Connections, said(r))
	}
}

func TestMoreConnectionsThanDescriptorsAreAnError(t *testing.T) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if limit.Cur > maxConns {
		t.Skipf("there may be %d descriptors", limit.Cur)
	}
	_, err := Run(context.Background(), filled(Config{Address: freeAddress(t), Conns: int(limit.Cur)}))
	if err == nil || !strings.Contains(err.Error(), "ulimit -n") {
		t.Errorf("wanted an error that says how to mend it, got %v", err)
	}
}

func TestAnInterruptEndsEarlyWithWhatThereIs(t *testing.T) {
	t.Parallel()
	s := serve(t, "tcp", "127.0.0.1:0", echoing)
	ctx, cancel := context.WithCancel(t.Context())
	r, err := Run(ctx, filled(Config{Address: s.at(), Duration: time.Hour, PID: -1, Progress: func(p Progress) {
		if p.Phase == Measuring && p.Left < time.Hour-200*time.Millisecond {
			cancel()
		}
	}}))
	if err != nil {
		t.Fatal(err)
	}
	well(t, r)
	if !r.Interrupted || r.Seconds < 0.2 || r.Seconds > 20 {
		t.Errorf("interrupted %v after %v s", r.Interrupted, r.Seconds)
	}
	if _, err := Run(ctx, filled(Config{Address: s.at()})); err == nil {
		t.Error("a run that was interrupted before it began has a result")
	}
}

func TestNothingIsLeftOfARun(t *testing.T) {
	s := serve(t, "tcp", "127.0.0.1:0", echoing)
	open := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Skip(err)
		}
		return len(entries)
	}
	load(t, Config{Address: s.at()}) // what is made once is there now
	before := open()
	for _, cfg := range []Config{{}, {Churn: true}, {Rate: 500}, {Idle: 20}, {Expect: None}} {
		cfg.Address = s.at()
		load(t, cfg)
	}
	for deadline := time.Now().Add(patience); open() > before; time.Sleep(time.Millisecond) { // the server closes its ends
		if time.Now().After(deadline) {
			t.Fatalf("%d descriptors before, %d after", before, open())
		}
	}
}
