package web_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
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
