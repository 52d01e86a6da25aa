package web_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

type diary struct {
	mu    sync.Mutex
	conns []net.Conn
	notes map[net.Conn][]http.ConnState
}

func (d *diary) note(c net.Conn, s http.ConnState) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.notes == nil {
		d.notes = map[net.Conn][]http.ConnState{}
	}
	if _, known := d.notes[c]; !known {
		d.conns = append(d.conns, c)
	}
	d.notes[c] = append(d.notes[c], s)
}

func (d *diary) of(i int) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if i >= len(d.conns) {
		return ""
	}
	var all []string
	for _, s := range d.notes[d.conns[i]] {
		all = append(all, s.String())
	}
	return strings.Join(all, " ")
}

func (d *diary) is(t *testing.T, i int, want string) {
	t.Helper()
	for limit := time.Now().Add(patience); d.of(i) != want; time.Sleep(time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("connection %d was %s; want %s", i, d.of(i), want)
		}
	}
}

func TestConnStateTellsALifeAndNoParking(t *testing.T) {
	everywhere(t, func(t *testing.T, serve func(*http.Server) string) {
		var d diary
		address := serve(&http.Server{Handler: everything(), ConnState: d.note})
		c := dial(t, address)
		d.is(t, 0, "new")
		for i := range 3 {
			c.asks(get("/echo"), "")
			d.is(t, 0, "new"+strings.Repeat(" active idle", i+1))
		}
		c.Close()
		d.is(t, 0, "new active idle active idle active idle closed")

		c = dial(t, address) // closed by the server
		c.says(get("/close"))
		c.hears("GET")
		c.hearsEnd("")
		d.is(t, 1, "new active closed")

		c = dial(t, address) // never asked
		d.is(t, 2, "new")
		c.Close()
		d.is(t, 2, "new closed")

		c = dial(t, address)
		c.says(get("/hijack"))
		c.hearsHeader()
		d.is(t, 3, "new active hijacked")
		c.Close()

		c = dial(t, address) // nonsense
		c.says("nonsense\r\n")
		c.hears("GET")
		d.is(t, 4, "new active closed")
	})
}

func (c *client) hearsHeader() {
	c.t.Helper()
	for {
		line, err := c.r.ReadString('\n')
		if err != nil {
			c.t.Fatal(err)
		}
		if line == "\r\n" {
			return
		}
	}
}

func TestContextsComeFromTheHooks(t *testing.T) {
	type key string
	everywhere(t, func(t *testing.T, serve func(*http.Server) string) {
		var mu sync.Mutex
		var conns []net.Conn
		var hs *http.Server
		hs = &http.Server{
			BaseContext: func(l net.Listener) context.Context {
				if _, ok := l.(*net.TCPListener); !ok {
					t.Errorf("BaseContext is given a %T", l)
				}
				return context.WithValue(context.Background(), key("base"), l.Addr().String())
			},
			ConnContext: func(ctx context.Context, c net.Conn) context.Context {
				mu.Lock()
				defer mu.Unlock()
				conns = append(conns, c)
				if ctx.Value(http.ServerContextKey) != hs {
					t.Errorf("ConnContext is given the server %v", ctx.Value(http.ServerContextKey))
				}
				return context.WithValue(ctx, key("number"), len(conns))
			},
			Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				ctx := r.Context()
				fmt.Fprint(w, ctx.Value(key("base")), " ", ctx.Value(key("number")), " ", ctx.Value(http.LocalAddrContextKey),
					" ", r.RemoteAddr, " ", ctx.Value(http.ServerContextKey) == hs, " ", r.TLS != nil)
			}),
		}
		address := serve(hs)
		for i := range 2 {
			c := dial(t, address)
			for range 3 {
				c.asks(get("/"), fmt.Sprint(address, " ", i+1, " ", address, " ", c.LocalAddr(), " true false"))
			}
		}
		mu.Lock()
		defer mu.Unlock()
		if len(conns) != 2 {
			t.Errorf("ConnContext was called %d times", len(conns))
		}
	})
}

func TestAPanicEndsItsConnectionAndIsLogged(t *testing.T) {
	everywhere(t, func(t *testing.T, serve func(*http.Server) string) {
		var mu sync.Mutex
		var b bytes.Buffer
		address := serve(&http.Server{
			ErrorLog: log.New(writer(func(p []byte) (int, error) {
				mu.Lock()
				defer mu.Unlock()
				return b.Write(p)
			}), "", 0),
			Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/abort" {
					panic(http.ErrAbortHandler)
				}
				panic("for a reason")
			}),
		})
		for _, path := range []string{"/abort", "/"} {
			c := dial(t, address)
			c.says(get(path))
			if got, _ := io.ReadAll(c.r); len(got) > 0 { // how it ends: TestAnAnswerThatIsCutShortEndsWithAReset
				t.Errorf("heard %q", got)
			}
		}
		eventually(t, "the panic was logged", func() bool {
			mu.Lock()
			defer mu.Unlock()
			return strings.Contains(b.String(), "for a reason")
		})
		if strings.Contains(b.String(), "abort Handler") {
			t.Error("an abort is logged")
		}
	})
}

type writer func([]byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }
