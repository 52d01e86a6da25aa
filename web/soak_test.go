package web_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var soak = flag.Duration("soak", time.Second, "how long TestSoak lasts on each engine, in the clear and over TLS")

// Clients of all kinds come and go: those that pipeline, wait until they are parked and a little less, upload, stream, stop in
// the middle, half-close, reset. Every answer is compared; at the end nothing is left, and every connection was told of once.
func TestSoak(t *testing.T) {
	for _, secure := range []bool{false, true} {
		for _, s := range servers() {
			if s.park < 0 {
				continue
			}
			t.Run(s.name+map[bool]string{true: "-tls"}[secure], func(t *testing.T) {
				leavesNothing(t)
				var came, went atomic.Int64
				hs := &http.Server{Handler: soaked(), ReadHeaderTimeout: patience, ConnState: func(_ net.Conn, state http.ConnState) {
					switch state {
					case http.StateNew:
						came.Add(1)
					case http.StateClosed, http.StateHijacked:
						went.Add(1)
					}
				}}
				var config *tls.Config
				var address string
				if secure {
					a, pool := s.startTLS(t, hs)
					address, config = a, &tls.Config{RootCAs: pool, ServerName: "localhost"}
				} else {
					address = s.start(t, hs)
				}
				end := time.Now().Add(*soak)
				var wg sync.WaitGroup
				for seed := range uint64(8) {
					wg.Go(func() {
						random := rand.New(rand.NewPCG(seed, uint64(time.Now().UnixNano())))
						for time.Now().Before(end) && !t.Failed() {
							soakOnce(t, address, config, random)
						}
					})
				}
				wg.Wait()
				eventually(t, "every connection has ended", func() bool { return came.Load() == went.Load() })
				t.Logf("%d connections", came.Load())
			})
		}
	}
}

// soaked handles what soakOnce asks for.
func soaked() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/id/", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.URL.Path) })
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).EnableFullDuplex()
		io.Copy(w, r.Body)
	})
	mux.HandleFunc("/ignore", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "ignored") })
	mux.HandleFunc("/bytes", func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(r.FormValue("n"))
		w.Write(bytes.Repeat([]byte("b"), n))
	})
	mux.HandleFunc("/until", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "begun")
		http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	mux.HandleFunc("/hijack", func(w http.ResponseWriter, r *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		defer conn.Close()
		io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\n\r\n")
		io.Copy(conn, rw)
	})
	mux.HandleFunc("/abort", func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) })
	return mux
}

// soakOnce is one connection's life.
func soakOnce(t *testing.T, address string, config *tls.Config, random *rand.Rand) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Error(err)
		return
	}
	raw := conn.(*net.TCPConn)
	defer raw.Close()
	raw.SetDeadline(time.Now().Add(3 * patience))
	reset := func() { raw.SetLinger(0) }
	if config != nil {
		conn = tls.Client(raw, config)
	}
	r := bufio.NewReader(conn)
	hears := func(method, want string) bool {
		answer, err := http.ReadResponse(r, &http.Request{Method: method})
		if err != nil {
			t.Errorf("instead of %.40q: %v", want, err)
			return false
		}
		body, err := io.ReadAll(answer.Body)
		if err != nil || string(body) != want {
			t.Errorf("heard %d bytes %.40q, %v; want %d %.40q", len(body), body, err, len(want), want)
			return false
		}
		return true
	}
	for range 1 + random.IntN(8) {
		switch random.IntN(9) {
		case 0, 1: // pipelined, in pieces
			var b strings.Builder
			n := 1 + random.IntN(30)
			for i := range n {
				b.WriteString(get(fmt.Sprint("/id/", i)))
			}
			go func() {
				for _, piece := range cut(rand.New(rand.NewPCG(uint64(n), 1)), b.String(), n%4+1) {
					conn.Write(piece)
				}
			}()
			for i := range n {
				if !hears("GET", fmt.Sprint("/id/", i)) {
					return
				}
			}
		case 2: // idle for as long as parking takes, or not quite
			time.Sleep(time.Duration(random.IntN(8)) * time.Millisecond)
			io.WriteString(conn, get("/id/later"))
			if !hears("GET", "/id/later") {
				return
			}
		case 3: // a body both ways
			said := strings.Repeat("s", random.IntN(100_000))
			go fmt.Fprintf(conn, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", len(said), said)
			if !hears("POST", said) {
				return
			}
		case 4: // a body that nobody reads
			said := strings.Repeat("s", random.IntN(10_000))
			go fmt.Fprintf(conn, "POST /ignore HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", len(said), said)
			if !hears("POST", "ignored") {
				return
			}
		case 5: // much, read slowly
			n := random.IntN(500_000)
			io.WriteString(conn, get(fmt.Sprint("/bytes?n=", n)))
			time.Sleep(time.Duration(random.IntN(3)) * time.Millisecond)
			if !hears("GET", strings.Repeat("b", n)) {
				return
			}
		case 6: // gone while the handler runs, in one way or another
			io.WriteString(conn, get("/until"))
			r.ReadByte()
			if random.IntN(2) == 0 {
				reset()
			}
			return
		case 7: // gone in the middle of a request, or behind one
			request := get("/bytes?n=100000") + get("/id/never heard")
			io.WriteString(conn, request[:random.IntN(len(request))])
			switch random.IntN(3) {
			case 0:
				reset()
			case 1:
				raw.CloseWrite()
				io.Copy(io.Discard, raw)
			}
			return
		case 8: // the last
			if random.IntN(2) == 0 {
				io.WriteString(conn, get("/abort"))
				io.Copy(io.Discard, r)
				return
			}
			io.WriteString(conn, get("/hijack")+"ahead")
			if answer, err := http.ReadResponse(r, nil); err != nil || answer.StatusCode != 101 {
				t.Errorf("hijacked: %v, %v", answer, err)
				return
			}
			io.WriteString(conn, " and after")
			if heard, err := r.Peek(len("ahead and after")); string(heard) != "ahead and after" {
				t.Errorf("heard %q, %v", heard, err)
			}
			return
		}
	}
}
