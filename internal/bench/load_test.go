//go:build unix

package bench

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"
)

func TestEveryFormOfEchoComesBackWhole(t *testing.T) {
	for name, cfg := range map[string]Config{
		"one byte":          {Size: Range{1, 1}},
		"many in flight":    {Depth: 100},
		"sizes of a range":  {Size: Range{1, 100000}, Depth: 3},
		"large":             {Size: Range{3 << 20, 3 << 20}, Conns: 2},
		"large and many":    {Size: Range{200000, 300000}, Depth: 10, Conns: 2},
		"a payload":         {Payload: bytes.Repeat([]byte("all that I have to say. "), 5000), Depth: 2},
		"several loops":     {Loops: 3, Conns: 20},
		"an open loop":      {Rate: 3000, Conns: 7},
		"open and deep":     {Rate: 3000, Conns: 2, Depth: 20, Size: Range{1, 5000}},
		"churn":             {Churn: true},
		"churn, open":       {Churn: true, Rate: 200},
		"ramp and warm-up":  {Ramp: 100 * time.Millisecond, Warmup: 100 * time.Millisecond, Conns: 20},
		"idle ones besides": {Idle: 20, Conns: 5},
		"from addresses":    {Sources: addresses("127.0.0.2", "127.0.0.3")},
	} {
		for _, at := range []struct{ network, address string }{
			{"tcp", "127.0.0.1:0"}, {"tcp", "[::1]:0"}, {"unix", inFolder(t, "s")},
		} {
			if at.address != "127.0.0.1:0" && name != "one byte" && name != "sizes of a range" && name != "churn" {
				continue
			}
			t.Run(name+"/"+at.network+" "+at.address[:4], func(t *testing.T) {
				t.Parallel()
				var mu sync.Mutex
				from := map[string]bool{}
				s := serve(t, at.network, at.address, func(s *server, conn net.Conn) {
					if a, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
						mu.Lock()
						from[a.IP.String()] = true
						mu.Unlock()
					}
					echoing(s, conn)
				})
				cfg := cfg
				cfg.Address, cfg.Duration = s.at(), 100*time.Millisecond
				r := load(t, cfg)
				well(t, r)
				s.stop()
				if n := r.Totals; n.BytesOut != s.bytes.Load() || n.BytesIn != n.BytesOut || n.Connections != s.connections.Load() {
					t.Errorf("%+v, the server has counted %d connections and %d bytes", n, s.connections.Load(), s.bytes.Load())
				}
				if cfg.Sources != nil && (!from["127.0.0.2"] || !from["127.0.0.3"] || len(from) != 2) {
					t.Errorf("they came from %v", from)
				}
			})
		}
	}
}

func TestAScheduleIsKept(t *testing.T) {
	for _, rate := range []float64{10, 333, 5000} {
		t.Run(fmt.Sprint(rate), func(t *testing.T) {
			t.Parallel()
			s := serve(t, "tcp", "127.0.0.1:0", echoing)
			r := load(t, Config{Address: s.at(), Conns: 4, Rate: rate, Duration: 500 * time.Millisecond, PID: -1})
			well(t, r)
			m := r.Messages
			// On a busy machine some that were due before the measurement are answered in it, but none before the run began.
			since := rate * (time.Since(r.Began).Seconds())
			if n, want := float64(m.Answered), rate*r.Seconds; n < 0.98*want-4 || n > since+4 || m.NotSent > 0 {
				t.Errorf("%v messages a second wanted in %v s: %+v", rate, r.Seconds, m)
			}
		})
	}
}

func TestAScheduleThatIsTooMuchIsToldFromOneThatIsKept(t *testing.T) {
	t.Parallel()
	// Each answer takes 10 ms: 2 connections with one in flight manage 200 a second.
	s := serve(t, "tcp", "127.0.0.1:0", func(s *server, conn net.Conn) {
		p := make([]byte, 64)
		for {
			if _, err := io.ReadFull(conn, p); err != nil {
				return
			}
			time.Sleep(10 * time.Millisecond)
			conn.Write(p)
		}
	})
	r := load(t, Config{Address: s.at(), Conns: 2, Rate: 1000, Duration: time.Second, PID: -1, LastWait: 100 * time.Millisecond})
	if n := r.Messages.NotSent; n < 500 || r.Messages.Answered > 250 {
		t.Errorf("%+v", r.Messages)
	}
	if r.Latency.Max < 500e3 {
		t.Errorf("what waited to be sent does not show: %.0f µs", r.Latency.Max)
	}
}

func TestWhatNobodyAnswersIsSentWhole(t *testing.T) {
	for name, cfg := range map[string]Config{"small": {}, "large": {Size: Range{1 << 20, 1 << 20}}, "open": {Rate: 500}} {
		for end, handle := range map[string]func(*server, net.Conn){
			"discard": func(s *server, conn net.Conn) {
				n, _ := io.Copy(io.Discard, conn)
				s.bytes.Add(n)
			},
			"echo": func(s *server, conn net.Conn) {
				n, _ := io.Copy(conn, conn)
				s.bytes.Add(n)
			},
		} {
			t.Run(name+"/"+end, func(t *testing.T) {
				t.Parallel()
				cfg := cfg
				s := serve(t, "tcp", "127.0.0.1:0", handle)
				cfg.Address, cfg.Expect, cfg.Duration, cfg.PID = s.at(), None, 200*time.Millisecond, -1
				r := load(t, cfg)
				s.stop()
				if end == "discard" && (r.Totals.BytesOut != s.bytes.Load() || len(r.Errors) > 0) {
					t.Errorf("%d bytes sent, %d received: %s", r.Totals.BytesOut, s.bytes.Load(), said(r))
				}
				if r.Messages.Sent == 0 || r.Latency != nil || r.Bytes.Out == 0 {
					t.Errorf("%+v %+v %v", r.Messages, r.Bytes, r.Latency)
				}
				if end == "echo" && r.Totals.BytesIn == 0 {
					t.Error("nothing was received")
				}
			})
		}
	}
}

func TestALineForALine(t *testing.T) {
	t.Parallel()
	received := make(chan string, 1)
	s := serve(t, "tcp", "127.0.0.1:0", func(s *server, conn net.Conn) {
		in := bufio.NewReader(conn)
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			s.bytes.Add(1)
			select {
			case received <- line:
			default:
			}
			io.WriteString(conn, "250 I take that\r\n")
		}
	})
	r := load(t, Config{Address: s.at(), Expect: Line, Size: Range{10, 200}, Depth: 5})
	well(t, r)
	s.stop()
	if r.Totals.Answered != s.bytes.Load() {
		t.Errorf("%d answers, the server has counted %d", r.Totals.Answered, s.bytes.Load())
	}
	if line := <-received; len(line) < 10 || len(line) > 200 {
		t.Errorf("a line of %d bytes: %q", len(line), line)
	}
	s = serve(t, "tcp", "127.0.0.1:0", echoing)
	well(t, load(t, Config{Address: s.at(), Expect: Line, Payload: []byte("HELO me\r\nNOOP\r\n"), Depth: 3}))
	well(t, load(t, Config{Address: s.at(), Expect: Line, Size: Range{1, 1}}))
}

func TestIdleConnectionsSitThere(t *testing.T) {
	t.Parallel()
	s := serve(t, "tcp", "127.0.0.1:0", echoing)
	r := load(t, Config{Address: s.at(), Idle: 50, Conns: 0, Size: Range{100, 100}, Reset: true})
	s.stop()
	if r.Connections.Idle != 50 || r.Connections.AtEnd != 50 || r.Connections.Silent != 0 || len(r.Errors) > 0 {
		t.Errorf("%+v %s", r.Connections, said(r))
	}
	if s.bytes.Load() != 5000 || r.Messages.Sent != 0 || r.Totals.Answered != 50 {
		t.Errorf("%d bytes received, wanted a message each: %+v %+v", s.bytes.Load(), r.Messages, r.Totals)
	}
}

func TestASilentMajorityIsTold(t *testing.T) {
	t.Parallel()
	var one sync.Mutex // one client at a time
	s := serve(t, "tcp", "127.0.0.1:0", func(s *server, conn net.Conn) {
		one.Lock()
		defer one.Unlock()
		echoing(s, conn)
	})
	r := load(t, Config{Address: s.at(), Conns: 4, LastWait: 50 * time.Millisecond})
	if r.Connections.Silent != 3 || trouble(t, r, "no answer") != 3 || r.Messages.NoAnswer != 3 || r.Messages.Answered == 0 {
		t.Errorf("%+v %+v", r.Connections, r.Messages)
	}
}

func TestAConnectionThatWasNotAskedIsNotSilent(t *testing.T) {
	t.Parallel()
	s := serve(t, "tcp", "127.0.0.1:0", echoing)
	r := load(t, Config{Address: s.at(), Conns: 20, Requests: 1, Duration: time.Minute})
	s.stop()
	if r.Connections.Silent != 0 || r.Messages.Sent != 1 || r.Messages.Answered != 1 || len(r.Errors) > 0 {
		t.Errorf("%+v %+v %s", r.Connections, r.Messages, said(r))
	}
}

func TestGoesHTTPServer(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	requests := map[string]int64{}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		requests[r.Method+" "+r.URL.Path+" "+string(body)]++
		mu.Unlock()
		if r.Host != l.Addr().String() && r.Method == "GET" {
			w.WriteHeader(http.StatusBadRequest)
		}
		w.(http.Flusher).Flush() // in chunks
		io.WriteString(w, "hello")
	})}
	served := make(chan error)
	go func() { served <- s.Serve(l) }()
	defer func() {
		s.Close()
		<-served
	}()
	get := load(t, Config{Address: l.Addr().String(), Expect: HTTP, Path: "/a?b"})
	well(t, get)
	post := load(t, Config{Address: l.Addr().String(), Expect: HTTP, Depth: 2,
		Payload: []byte("POST /c HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody")})
	well(t, post)
	mu.Lock()
	defer mu.Unlock()
	if requests["GET /a "] != get.Totals.Sent || requests["POST /c body"] != post.Totals.Sent {
		t.Errorf("sent %d and %d, received %v", get.Totals.Sent, post.Totals.Sent, requests)
	}
}

func TestTheTimelineAddsUp(t *testing.T) {
	t.Parallel()
	s := serve(t, "tcp", "127.0.0.1:0", echoing)
	r := load(t, Config{Address: s.at(), Conns: 10, Ramp: 300 * time.Millisecond, Warmup: 300 * time.Millisecond, Duration: 600 * time.Millisecond})
	well(t, r)
	seen := map[Phase]int{}
	sum, seconds, last := 0.0, 0.0, math.Inf(-1)
	for _, s := range r.Timeline {
		seen[s.Phase]++
		if s.At <= last || (s.Phase == Measuring) != (s.At > 0.001) {
			t.Errorf("%v after %v in phase %s", s.At, last, s.Phase)
		}
		last = s.At
		if s.Phase == Measuring {
			sum += s.PerSecond * s.Seconds
			seconds += s.Seconds
		}
	}
	if seen[Opening] < 2 || seen[Warming] < 2 || seen[Measuring] < 5 {
		t.Errorf("samples: %v", seen)
	}
	// On a busy machine the last sample is taken some time before the run is over; no message is between the two.
	answered := r.Messages.PerSecond * r.Seconds
	if math.Abs(sum-answered) > 1 || seconds > r.Seconds+0.05 || seconds < r.Seconds/2 {
		t.Errorf("%v messages in %v s of samples, %v in %v s all in all", sum, seconds, answered, r.Seconds)
	}
	if first := r.Timeline[0]; first.Open >= 10 || r.Timeline[len(r.Timeline)-1].Open != 10 {
		t.Errorf("the ramp does not show: %d connections in the first sample", first.Open)
	}
}
