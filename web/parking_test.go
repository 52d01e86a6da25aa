package web_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/internal/systest"
	"github.com/switchboard-go/switchboard/web"
)

// parking lists the servers that park.
func parking(t *testing.T, promise func(t *testing.T, s server)) {
	onTheLoops(t, func(t *testing.T, s server) {
		if s.park < 0 {
			t.Skip("it does not park")
		}
		promise(t, s)
	})
}

func TestWhatIsIdleHasNoGoroutine(t *testing.T) {
	parking(t, func(t *testing.T, s server) {
		address := s.start(t, &http.Server{Handler: http.HandlerFunc(hello), IdleTimeout: time.Hour})
		warm := dial(t, address) // the idleWatch is there from now on
		warm.asks(get("/"), "hello")
		eventually(t, "the goroutine was gone", func() bool { return runtime.NumGoroutine() < 30 })
		const clients = 100
		var idle []*client
		for range clients {
			c := dial(t, address)
			c.asks(get("/"), "hello")
			idle = append(idle, c)
		}
		few := func() bool { return runtime.NumGoroutine() < 30 }
		eventually(t, "idle connections had no goroutines", few)
		for _, c := range idle {
			c.says("GET / HTTP/1.1\r\nHost: te") // a slow header, of a new connection and of a parked one
			slow := dial(t, address)
			slow.says("GET / HTTP/1.1\r\nHost: te")
		}
		time.Sleep(10 * time.Millisecond)
		eventually(t, "slow headers had no goroutines", few)
		for _, c := range idle {
			c.asks("st\r\n\r\n", "hello")
		}
	})
}

func TestTheLoopsIdleTimeoutDoesNotEndARequest(t *testing.T) {
	leavesNothing(t)
	s := servers()[1]
	s.loops.IdleTimeout = time.Second
	c := dial(t, s.start(t, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(2 * s.loops.IdleTimeout)
		hello(w, r)
	})}))
	c.asks(get("/"), "hello")
	c.hearsEnd("") // but what is idle it ends
}

func TestEmptyLinesBeforeARequestAreSkipped(t *testing.T) {
	onTheLoops(t, func(t *testing.T, s server) {
		if s.park < 0 {
			t.Skip("as net/http has it")
		}
		c := dial(t, s.start(t, &http.Server{Handler: http.HandlerFunc(hello)}))
		for range 3 {
			c.says("\r")
			time.Sleep(time.Millisecond)
			c.says("\n\n\r\n")
			time.Sleep(time.Millisecond)
			c.asks("\r\n"+get("/"), "hello")
		}
		c.says("\r\n" + get("/") + "\r\n\r\n" + get("/"))
		c.hears("GET")
		c.hears("GET")
	})
}

// TestParkingUnderFire has connections park and wake as often as they can, while everything happens to them.
func TestParkingUnderFire(t *testing.T) {
	parking(t, func(t *testing.T, s server) {
		address := s.start(t, &http.Server{Handler: everything(), IdleTimeout: time.Hour, ReadHeaderTimeout: time.Hour})
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				random := rand.New(rand.NewPCG(uint64(i), 1))
				for range 25 {
					fire(t, address, random)
				}
			})
		}
		wg.Wait()
	})
}

// fire asks on one connection, and leaves it in one of many ways.
func fire(t *testing.T, address string, random *rand.Rand) {
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Error(err)
		return
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	cl := &client{c.(*net.TCPConn), t, newReader(c)}
	nap := func() {
		switch random.IntN(3) {
		case 0:
			runtime.Gosched()
		case 1:
			time.Sleep(time.Duration(random.IntN(300)) * time.Microsecond)
		}
	}
	for range 1 + random.IntN(12) {
		body := strings.Repeat("b", random.IntN(5))
		request := fmt.Sprintf("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		ahead := get("/file")[:random.IntN(6)]
		whole := request + ahead
		for _, piece := range cut(random, whole, 1+random.IntN(4)) {
			if _, err := c.Write(piece); err != nil {
				t.Error(err)
				return
			}
			nap()
		}
		if r, err := http.ReadResponse(cl.r, nil); err != nil {
			t.Errorf("no answer: %v", err)
			return
		} else if got, err := io.ReadAll(r.Body); err != nil || string(got) != body {
			t.Errorf("heard %q, %v; want %q", got, err, body)
			return
		}
		nap()
		if ahead != "" {
			io.WriteString(c, get("/file")[len(ahead):])
			if r, err := http.ReadResponse(cl.r, nil); err != nil {
				t.Errorf("no answer to what began early: %v", err)
				return
			} else if got, err := io.ReadAll(r.Body); err != nil || len(got) != 26 {
				t.Errorf("heard %q, %v", got, err)
				return
			}
			nap()
		}
	}
	switch random.IntN(4) {
	case 0: // a half-close, maybe while it is being parked
		cl.CloseWrite()
		if rest, err := io.ReadAll(cl.r); err != nil || len(rest) > 0 {
			t.Errorf("after a half-close came %q, %v", rest, err)
		}
	case 1: // a last request and the end in one
		io.WriteString(c, get("/file"))
		cl.CloseWrite()
		if rest, err := io.ReadAll(cl.r); err != nil || !strings.HasSuffix(string(rest), "xyz") {
			t.Errorf("after the last request came %q, %v", rest, err)
		}
	case 2:
		cl.SetLinger(0) // a reset
	}
}

func TestShutdownAndCloseMeetParkingConnections(t *testing.T) {
	ends := map[string]func(hs *http.Server, loops *switchboard.Server) error{
		"Shutdown of the http.Server": func(hs *http.Server, _ *switchboard.Server) error { return hs.Shutdown(context.Background()) },
		"Close of the http.Server":    func(hs *http.Server, _ *switchboard.Server) error { return hs.Close() },
		"Shutdown of the loops":       func(_ *http.Server, loops *switchboard.Server) error { return loops.Shutdown(context.Background()) },
		"Close of the loops":          func(_ *http.Server, loops *switchboard.Server) error { return loops.Close() },
		"keep-alives off": func(hs *http.Server, _ *switchboard.Server) error {
			hs.SetKeepAlivesEnabled(false)
			hs.SetKeepAlivesEnabled(true)
			return nil
		},
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			parking(t, func(t *testing.T, s server) {
				var d diary
				hs := &http.Server{Handler: http.HandlerFunc(hello), ConnState: d.note}
				address := s.start(t, hs)
				var wg sync.WaitGroup
				for range 16 {
					c := dial(t, address)
					wg.Go(func() {
						defer c.Close()
						for {
							if _, err := io.WriteString(c, get("/")); err != nil {
								return
							}
							r, err := http.ReadResponse(c.r, nil)
							if err != nil {
								if errors.Is(err, context.DeadlineExceeded) {
									t.Error(err)
								}
								return
							}
							if b, err := io.ReadAll(r.Body); err == nil && string(b) != "hello" {
								t.Errorf("heard %q", b)
							}
						}
					})
				}
				time.Sleep(10 * time.Millisecond)
				ended := make(chan error, 1)
				go func() { ended <- end(hs, s.loops) }()
				if err := next(t, ended); err != nil {
					t.Errorf("it returned %v", err)
				}
				if name == "keep-alives off" {
					hs.Close()
				}
				wg.Wait()
				// Each has ended, and nobody was told so twice.
				eventually(t, "every connection was told to be closed", func() bool {
					d.mu.Lock()
					defer d.mu.Unlock()
					for _, notes := range d.notes {
						if notes[len(notes)-1] != http.StateClosed {
							return false
						}
					}
					return true
				})
				for i := range d.conns {
					if notes := d.of(i); strings.Count(notes, "closed") != 1 || strings.Count(notes, "new") != 1 {
						t.Errorf("connection %d was %s", i, notes)
					}
				}
			})
		})
	}
}

func TestShutdownOfTheLoopsServesWhatHasBegun(t *testing.T) {
	onTheLoops(t, func(t *testing.T, s server) {
		begun, release := make(chan bool), make(chan bool)
		hs := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/slow" {
				begun <- true
				<-release
			}
			hello(w, r)
		})}
		address := s.start(t, hs)
		idle, half, busy := dial(t, address), dial(t, address), dial(t, address)
		for _, c := range []*client{idle, half} {
			c.asks(get("/"), "hello")
		}
		half.says(get("/")[:16])
		time.Sleep(20 * time.Millisecond)
		busy.says(get("/slow"))
		next(t, begun)
		over := make(chan error, 1)
		go func() { over <- s.loops.Shutdown(context.Background()) }()
		idle.hearsEnd("")
		if s.park == time.Nanosecond { // then it was parked with the half
			if r := half.asks(get("/")[16:], "hello"); !r.Close {
				t.Error("the answer does not say that it is the last")
			}
			half.hearsEnd("")
		}
		half.Close()
		release <- true
		if r, body := busy.hears("GET"); body != "hello" || !r.Close {
			t.Errorf("heard %q, the last: %v", body, r.Close)
		}
		busy.hearsEnd("")
		for _, c := range []*client{idle, busy} {
			c.Close()
		}
		if err := next(t, over); err != nil {
			t.Errorf("Shutdown returned %v", err)
		}
	})
}

func TestOneServerOnSeveralAddresses(t *testing.T) {
	leavesNothing(t)
	hs := &http.Server{
		BaseContext: func(l net.Listener) context.Context {
			return context.WithValue(context.Background(), http.LocalAddrContextKey, l.Addr())
		},
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, new(int), 1)
		},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, r.Context().Value(http.LocalAddrContextKey))
		}),
	}
	s := &web.Server{HTTP: hs}
	served := make(chan error, 3)
	var addresses []string
	path := t.TempDir() + "/web.sock"
	listeners := [][2]string{{"tcp", "127.0.0.1:0"}, {"tcp", "127.0.0.1:0"}}
	if systest.HasUnix() {
		listeners = append(listeners, [2]string{"unix", path})
	}
	for _, at := range listeners {
		l, err := net.Listen(at[0], at[1])
		if err != nil {
			t.Fatal(err)
		}
		addresses = append(addresses, l.Addr().String())
		go func() { served <- s.Serve(l) }()
	}
	for i, address := range addresses {
		network := "tcp"
		if i == 2 {
			network = "unix"
		}
		eventually(t, "it served", func() bool {
			c, err := net.Dial(network, address)
			if err != nil {
				return false
			}
			defer c.Close()
			io.WriteString(c, "GET / HTTP/1.0\r\n\r\n")
			all, err := io.ReadAll(c)
			if err != nil || !strings.HasSuffix(string(all), "\r\n\r\n"+address) {
				t.Fatalf("%s heard %q, %v", address, all, err)
			}
			return true
		})
	}
	if err := hs.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	for range addresses {
		if err := next(t, served); err != http.ErrServerClosed {
			t.Errorf("Serve returned %v", err)
		}
	}
}

func TestWrongUseIsExplained(t *testing.T) {
	leavesNothing(t)
	own := func(*switchboard.Conn) (switchboard.Handler, error) { return nil, nil }
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &web.Server{Loops: &switchboard.Server{Accept: own}}
	if err := s.Serve(l); err == nil || !strings.Contains(err.Error(), "Accept") {
		t.Errorf("Serve returned %v", err)
	}
	s = &web.Server{HTTP: &http.Server{Addr: "127.0.0.1:no-such-port"}}
	if err := s.ListenAndServe(); err == nil || !strings.Contains(err.Error(), "no-such-port") {
		t.Errorf("ListenAndServe returned %v", err)
	}
	s = &web.Server{HTTP: &http.Server{Addr: "127.0.0.1:0"}, Loops: &switchboard.Server{Engine: "steam"}}
	if err := s.ListenAndServe(); err == nil || !strings.Contains(err.Error(), "steam") {
		t.Errorf("ListenAndServe returned %v", err)
	}
	s = &web.Server{HTTP: &http.Server{Addr: "127.0.0.1:0"}}
	if err := s.ListenAndServeTLS("no-such-file", "no-such-file"); err == nil || !strings.Contains(err.Error(), "no-such-file") {
		t.Errorf("ListenAndServeTLS returned %v", err)
	}
}
