package web_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard/internal/systest"
)

func TestAContextIsCancelledWhenTheClientGoes(t *testing.T) {
	for name, leave := range map[string]func(c *client){
		"half-close": func(c *client) { c.CloseWrite() },
		"close":      func(c *client) { c.Close() },
		"reset":      func(c *client) { c.SetLinger(0); c.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			everywhere(t, func(t *testing.T, serve func(*http.Server) string) {
				begun, gone := make(chan bool, 1), make(chan error, 1)
				c := dial(t, serve(&http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path == "/" {
						return
					}
					begun <- true
					<-r.Context().Done()
					gone <- r.Context().Err()
				})}))
				c.asks(get("/"), "")
				c.says(get("/wait"))
				next(t, begun)
				leave(c)
				if err := next(t, gone); err != context.Canceled {
					t.Errorf("the context ended with %v", err)
				}
			})
		})
	}
}

func TestAContextLivesWhileTheNextRequestComes(t *testing.T) {
	everywhere(t, func(t *testing.T, serve func(*http.Server) string) {
		begun, release := make(chan bool), make(chan bool)
		c := dial(t, serve(&http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			begun <- true
			<-release
			fmt.Fprint(w, r.Context().Err())
		})}))
		c.says(get("/"))
		next(t, begun)
		c.says(get("/")[:10])
		release <- true
		if _, body := c.hears("GET"); body != "<nil>" {
			t.Errorf("the context of the first request ended: %s", body)
		}
		c.says(get("/")[10:])
		next(t, begun)
		release <- true
		c.hears("GET")
	})
}

func TestKeepAlivesCanBeDisabled(t *testing.T) {
	everywhere(t, func(t *testing.T, serve func(*http.Server) string) {
		var d diary
		hs := &http.Server{Handler: http.HandlerFunc(hello), ConnState: d.note}
		address := serve(hs)
		for round := range 3 {
			before := dial(t, address)
			before.asks(get("/"), "hello")
			d.is(t, 2*round, "new active idle")
			time.Sleep(10 * time.Millisecond) // so that it is parked, where it is
			hs.SetKeepAlivesEnabled(false)
			before.hearsEnd("")
			d.is(t, 2*round, "new active idle closed")
			after := dial(t, address)
			if r := after.asks(get("/"), "hello"); !r.Close {
				t.Error("the answer does not say that it is the last")
			}
			after.hearsEnd("")
			hs.SetKeepAlivesEnabled(true)
		}
	})
}

func TestShutdownClosesWhatIsIdleAndWaitsForAnswers(t *testing.T) {
	everywhere(t, func(t *testing.T, serve func(*http.Server) string) {
		begun, release := make(chan bool), make(chan bool)
		var d diary
		hs := &http.Server{ConnState: d.note, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/slow" {
				begun <- true
				<-release
			}
			hello(w, r)
		})}
		told := make(chan bool, 1)
		hs.RegisterOnShutdown(func() { told <- true })
		address := serve(hs)
		idle, busy := dial(t, address), dial(t, address)
		idle.asks(get("/"), "hello")
		busy.says(get("/slow"))
		next(t, begun)
		d.is(t, 0, "new active idle")
		over := make(chan error, 1)
		go func() { over <- hs.Shutdown(context.Background()) }()
		next(t, told)
		idle.hearsEnd("")
		select {
		case err := <-over:
			t.Errorf("Shutdown returned %v before the answer was given", err)
		case <-time.After(20 * time.Millisecond):
		}
		eventually(t, "connections are refused", func() bool {
			c, err := net.Dial("tcp", address)
			if err == nil {
				c.Close()
			}
			return err != nil
		})
		release <- true
		if r, body := busy.hears("GET"); body != "hello" || !r.Close {
			t.Errorf("heard %q, the last: %v", body, r.Close)
		}
		busy.hearsEnd("")
		if err := next(t, over); err != nil {
			t.Errorf("Shutdown returned %v", err)
		}
		d.is(t, 0, "new active idle closed")
		d.is(t, 1, "new active closed")
	})
}

func TestShutdownEndsWithItsContextAndCloseEndsTheRest(t *testing.T) {
	everywhere(t, func(t *testing.T, serve func(*http.Server) string) {
		begun, ended := make(chan bool), make(chan error, 1)
		hs := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			begun <- true
			_, err := io.ReadAll(r.Body)
			ended <- err
		})}
		c := dial(t, serve(hs))
		c.says("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n")
		next(t, begun)
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
		defer cancel()
		if err := hs.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Shutdown returned %v", err)
		}
		hs.Close()
		if err := next(t, ended); err == nil {
			t.Error("the body ended in order")
		}
		c.hearsEnd("")
	})
}

func TestServeAfterShutdownIsRefused(t *testing.T) {
	for _, s := range servers() {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		hs := &http.Server{}
		hs.Close()
		if err := s.serve(hs, l); err != http.ErrServerClosed {
			t.Errorf("%s: Serve returned %v", s.name, err)
		}
		if c, err := net.Dial("tcp", l.Addr().String()); err == nil {
			c.Close()
			t.Errorf("%s: it still listens", s.name)
		}
	}
}

// The answers of HTTP/1.0 end with their connection: without a reset, half of one would look like all of it.
func TestAnAnswerThatIsCutShortEndsWithAReset(t *testing.T) {
	for name, fails := range map[string]func(w http.ResponseWriter){
		"panic":  func(http.ResponseWriter) { panic(http.ErrAbortHandler) },
		"Goexit": func(http.ResponseWriter) { runtime.Goexit() },
		"timeout": func(w http.ResponseWriter) {
			http.NewResponseController(w).SetWriteDeadline(time.Now())
			io.WriteString(w, "never sent")
		},
	} {
		t.Run(name, func(t *testing.T) {
			onTheLoops(t, func(t *testing.T, s server) {
				address := s.start(t, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					io.WriteString(w, "half")
					http.NewResponseController(w).Flush()
					if r.URL.Path != "/" {
						fails(w)
					}
				})})
				c := dial(t, address)
				c.says("GET / HTTP/1.0\r\n\r\n")
				if _, body := c.hears("GET"); body != "half" {
					t.Errorf("heard %q", body)
				}
				c = dial(t, address)
				c.says("GET /fails HTTP/1.0\r\n\r\n")
				heard, err := io.ReadAll(c.r)
				if !bytes.HasSuffix(heard, []byte("\r\n\r\nhalf")) || !systest.Is(err, syscall.ECONNRESET) {
					t.Errorf("heard %q and %v; want half of the answer and a reset", heard, err)
				}
			})
		})
	}
}

// Over TLS there is no close_notify either.
func TestAnAnswerOverTLSThatIsCutShortEndsWithAReset(t *testing.T) {
	onTheLoops(t, func(t *testing.T, s server) {
		address, pool := s.startTLS(t, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "half")
			http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		})})
		conn, err := tls.Dial("tcp", address, &tls.Config{RootCAs: pool, ServerName: "localhost"})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(patience))
		io.WriteString(conn, "GET / HTTP/1.0\r\n\r\n")
		heard, err := io.ReadAll(conn)
		if !bytes.HasSuffix(heard, []byte("\r\n\r\nhalf")) || err == nil {
			t.Errorf("heard %q and %v; want half of the answer and an error", heard, err)
		}
	})
}

// What net/http answers to a browser that speaks HTTP to its TLS port, and says of it in its log.
func TestHTTPToATLSPortIsAnswered(t *testing.T) {
	for _, s := range servers() {
		t.Run(s.name, func(t *testing.T) {
			leavesNothing(t)
			logged := make(chan string, 10)
			address, _ := s.startTLS(t, &http.Server{Handler: http.NotFoundHandler(), ErrorLog: log.New(writer(func(p []byte) (int, error) {
				logged <- string(p)
				return len(p), nil
			}), "", 0)})
			for request, answer := range map[string]string{
				get("/"): "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n",
				"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n.": "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n",
				"SSH-2.0-client\r\n": "",
			} {
				c := dial(t, address)
				c.says(request)
				c.CloseWrite()
				if heard, err := io.ReadAll(c.r); string(heard) != answer && !(s.loops == nil && systest.Is(err, syscall.ECONNRESET)) {
					t.Errorf("%.20q was answered with %q and %v", request, heard, err)
				}
				told, want := next(t, logged), "client sent an HTTP request to an HTTPS server\n"
				if answer == "" {
					want = "first record does not look like a TLS handshake\n"
				}
				if !strings.HasPrefix(told, "http: TLS handshake error from "+c.LocalAddr().String()+": ") || !strings.HasSuffix(told, want) {
					t.Errorf("logged %q", told)
				}
			}
		})
	}
}
