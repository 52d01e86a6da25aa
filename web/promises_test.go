package web_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// What net/http promises of a server, asked of net/http and of package web alike.

func hello(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") }

func TestPipelinedRequestsAreAnsweredInOrder(t *testing.T) {
	everywhere(t, func(t *testing.T, serve func(*http.Server) string) {
		c := dial(t, serve(&http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, r.URL.Path)
		})}))
		const requests = 200
		go func() {
			for i := range requests {
				io.WriteString(c, get(fmt.Sprint("/", i)))
			}
		}()
		for i := range requests {
			if _, body := c.hears("GET"); body != fmt.Sprint("/", i) {
				t.Fatalf("answer %d is %q", i, body)
			}
		}
	})
}

func TestABodyThatComesWithTheNextRequestIsTheFirstOnes(t *testing.T) {
	everywhere(t, func(t *testing.T, serve func(*http.Server) string) {
		c := dial(t, serve(&http.Server{Handler: everything()}))
		for ahead := range 7 { // bytes of the next request that come with the body
			next := get("/echo")
			c.says("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n")
			c.says("body" + next[:ahead])
			if _, body := c.hears("POST"); body != "body" {
				t.Fatalf("heard %q", body)
			}
			time.Sleep(time.Millisecond) // as for parking at once
			c.says(next[ahead:])
			if _, body := c.hears("GET"); body != "" {
				t.Fatalf("heard %q", body)
			}
		}
	})
}

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

func TestTimeoutsHold(t *testing.T) {
	header := func(hs *http.Server, d time.Duration) { hs.ReadHeaderTimeout = d }
	read := func(hs *http.Server, d time.Duration) { hs.ReadTimeout = d }
	idle := func(hs *http.Server, d time.Duration) { hs.IdleTimeout = d }
	for _, test := range []struct {
		name string
		set  func(*http.Server, time.Duration)
		say  []string
		want string // the answer to what is said first
	}{
		{"read header, nothing said", header, nil, ""},
		{"read header, half said", header, []string{"GET / HTTP/1.1\r\nHo"}, "400 Bad Request"},
		{"read header, of the second request", header, []string{get("/"), "GET / HTTP/1.1\r\n"}, "hello"},
		{"read, nothing said", read, nil, ""},
		{"read, in the body", read, []string{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabc"}, "cut off"},
		{"read, idle", read, []string{get("/")}, "hello"},
		{"idle", idle, []string{get("/")}, "hello"},
		{"idle, before the fourth byte", idle, []string{get("/"), "GET"}, "hello"},
		{"idle, with empty lines", idle, []string{get("/"), "\r"}, "hello"},
	} {
		t.Run(test.name, func(t *testing.T) {
			everywhere(t, func(t *testing.T, serve func(*http.Server) string) {
				timeout := 50 * time.Millisecond
				hs := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if _, err := io.Copy(io.Discard, r.Body); errors.Is(err, os.ErrDeadlineExceeded) {
						io.WriteString(w, "cut off")
						return
					}
					hello(w, r)
				})}
				test.set(hs, timeout)
				address := serve(hs)
				// On a busy machine what is said may come too late: then it is said again.
				for tries := 1; !timesOut(t, address, timeout, test.say, test.want); tries++ {
					if tries == 50 {
						t.Fatal("what is said is never heard")
					}
				}
			})
		})
	}
}

// timesOut says something, and hears an answer and the end, not before the timeout. It returns false if there was an end only.
func timesOut(t *testing.T, address string, timeout time.Duration, say []string, want string) bool {
	begun := time.Now()
	c := dial(t, address)
	defer c.Close()
	for i, what := range say {
		if _, err := io.WriteString(c, what); err != nil {
			return false
		}
		if i > 0 || want == "" {
			continue
		}
		r, err := http.ReadResponse(c.r, nil)
		if err != nil {
			return false
		}
		if body, err := io.ReadAll(r.Body); err != nil || string(body) != want {
			t.Errorf("heard %q, %v; want %q", body, err, want)
		}
	}
	if rest, err := io.ReadAll(c.r); len(rest) > 0 || err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("before the end came %q, %v", rest, err)
	}
	if since := time.Since(begun); since < timeout {
		t.Errorf("the end came after %v", since)
	}
	return true
}

func TestNoTimeoutEndsAnIdleConnectionBeforeItsTime(t *testing.T) {
	for _, s := range servers()[:3] {
		t.Run(s.name, func(t *testing.T) {
			leavesNothing(t)
			const timeout = time.Second
			c := dial(t, s.start(t, &http.Server{Handler: http.HandlerFunc(hello), ReadHeaderTimeout: timeout, IdleTimeout: time.Hour}))
			c.asks(get("/"), "hello")
			time.Sleep(timeout * 5 / 4)
			c.asks(get("/"), "hello")
			c.says(get("/")[:16])
			c.hearsEnd("") // but one that has begun to ask is held to the header timeout
		})
	}
}

func TestAWriteTimeoutEndsAnAnswerThatNobodyTakes(t *testing.T) {
	everywhere(t, func(t *testing.T, serve func(*http.Server) string) {
		failed := make(chan error, 1)
		c := dial(t, serve(&http.Server{WriteTimeout: 50 * time.Millisecond, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for {
				if _, err := w.Write(make([]byte, 64<<10)); err != nil {
					failed <- err
					return
				}
			}
		})}))
		c.says(get("/"))
		if err := next(t, failed); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Write returned %v", err)
		}
		c.Close()
	})
}

func TestDeadlinesOfAResponseController(t *testing.T) {
	everywhere(t, func(t *testing.T, serve func(*http.Server) string) {
		errs := make(chan error, 2)
		c := dial(t, serve(&http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			rc := http.NewResponseController(w)
			rc.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
			_, err := io.ReadAll(r.Body)
			errs <- err
			rc.SetWriteDeadline(time.Now().Add(-time.Second))
			_, err = w.Write(make([]byte, 1<<20))
			errs <- err
		})}))
		c.says("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabc")
		for _, call := range []string{"read", "write"} {
			if err := next(t, errs); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%s: %v", call, err)
			}
		}
	})
}

// A diary notes what ConnState is told of connections.
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

// of returns the notes of connection number i.
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

// hearsHeader reads a header alone.
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
			c.hearsEnd("")
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

func TestAHeaderThatIsTooLongIsRefused(t *testing.T) {
	everywhere(t, func(t *testing.T, serve func(*http.Server) string) {
		address := serve(&http.Server{Handler: http.HandlerFunc(hello), MaxHeaderBytes: 10_000})
		for _, first := range []string{"", get("/")} {
			c := dial(t, address)
			if first != "" {
				c.asks(first, "hello")
			}
			c.says("GET / HTTP/1.1\r\nHost: a\r\nLong: " + strings.Repeat("a", 10_000))
			time.Sleep(time.Millisecond)
			c.says(strings.Repeat("a", 10_000)) // the client does not say that it is over
			if r, _ := c.hears("GET"); r.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
				t.Errorf("the answer is %s", r.Status)
			}
			c.hearsEnd("")
		}
		c := dial(t, address)
		c.asks("GET / HTTP/1.1\r\nHost: a\r\nLong: "+strings.Repeat("a", 9_000)+"\r\n\r\n", "hello")
		c.asks(get("/"), "hello")
	})
}

func TestAHeaderLongerThanEveryBuffer(t *testing.T) {
	everywhere(t, func(t *testing.T, serve func(*http.Server) string) {
		c := dial(t, serve(&http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, len(r.Header["Field"]))
		})}))
		var b strings.Builder
		b.WriteString("GET / HTTP/1.1\r\nHost: a\r\n")
		for b.Len() < 900<<10 {
			b.WriteString("Field: " + strings.Repeat("v", 90) + "\r\n")
		}
		want := fmt.Sprint(strings.Count(b.String(), "Field"))
		for range 3 {
			c.asks(b.String()+"\r\n", want)
		}
	})
}

func TestWhatIsMalformedIsRefusedBeforeTheRestComes(t *testing.T) {
	everywhere(t, func(t *testing.T, serve func(*http.Server) string) {
		address := serve(&http.Server{Handler: http.HandlerFunc(hello)})
		for _, test := range []struct {
			request string
			code    int
		}{
			{"nonsense\r\n", 400},
			{"GET / HTTP/1.1\r\nno colon\r\n", 400},
			{"GET / HTTP/1.1\r\nA: \x01\r\nB", 400},
			{"GET / HTTP/9.1\r\n\r\n", 505},
			{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501},
		} {
			for _, first := range []string{"", get("/")} {
				c := dial(t, address)
				if first != "" {
					c.asks(first, "hello")
				}
				c.says(test.request)
				if r, _ := c.hears("GET"); r.StatusCode != test.code {
					t.Errorf("%q after %q is answered with %s", test.request, first, r.Status)
				}
				c.hearsEnd("")
			}
		}
	})
}

func TestContinueIsSaidWhenTheBodyIsWanted(t *testing.T) {
	everywhere(t, func(t *testing.T, serve func(*http.Server) string) {
		address := serve(&http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/no" {
				w.WriteHeader(http.StatusForbidden)
				return
			}
			io.Copy(w, r.Body)
		})})
		c := dial(t, address)
		for range 2 {
			c.says("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
			if line, _ := c.r.ReadString('\n'); line != "HTTP/1.1 100 Continue\r\n" {
				t.Fatalf("heard %q", line)
			}
			c.r.ReadString('\n')
			c.says("body")
			if _, body := c.hears("POST"); body != "body" {
				t.Fatalf("heard %q", body)
			}
		}
		c.says("POST /no HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
		if r, _ := c.hears("POST"); r.StatusCode != http.StatusForbidden || !r.Close {
			t.Errorf("the answer is %s, the last: %v", r.Status, r.Close)
		}
		c.CloseWrite() // until then the body is waited for
		c.hearsEnd("")
	})
}

func TestAFlushedPartArrivesAlone(t *testing.T) {
	everywhere(t, func(t *testing.T, serve func(*http.Server) string) {
		heard := make(chan bool)
		c := dial(t, serve(&http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for range 3 {
				io.WriteString(w, "part")
				http.NewResponseController(w).Flush()
				<-heard
			}
		})}))
		c.says(get("/"))
		r, err := http.ReadResponse(c.r, nil)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			part := make([]byte, 4)
			if _, err := io.ReadFull(r.Body, part); err != nil || string(part) != "part" {
				t.Fatalf("heard %q, %v", part, err)
			}
			heard <- true
		}
	})
}

func TestALargeBodyBothWays(t *testing.T) {
	everywhere(t, func(t *testing.T, serve func(*http.Server) string) {
		c := dial(t, serve(&http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			b, err := io.ReadAll(r.Body)
			if err != nil {
				panic(err)
			}
			w.Write(b)
		})}))
		sent := bytes.Repeat([]byte("0123456789abcdef"), 400_000)
		for range 2 {
			go func() {
				fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", len(sent))
				c.Write(sent)
			}()
			if _, got := c.hears("POST"); got != string(sent) {
				t.Fatalf("%d bytes of %d came back", len(got), len(sent))
			}
		}
	})
}

func TestAHandlerThatDoesNotReadHoldsItsClientBack(t *testing.T) {
	everywhere(t, func(t *testing.T, serve func(*http.Server) string) {
		release := make(chan bool)
		c := dial(t, serve(&http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			<-release
			n, err := io.Copy(io.Discard, r.Body)
			fmt.Fprint(w, n, err)
		})}))
		const size = 64 << 20
		c.says(fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", size))
		sent := 0
		c.SetWriteDeadline(time.Now().Add(500 * time.Millisecond))
		for sent < size {
			n, err := c.Write(make([]byte, min(1<<20, size-sent)))
			sent += n
			if errors.Is(err, os.ErrDeadlineExceeded) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
		if sent >= size/2 {
			t.Errorf("%d bytes were taken that nobody reads", sent)
		}
		c.SetWriteDeadline(time.Now().Add(patience))
		close(release)
		c.Write(make([]byte, size-sent))
		if _, body := c.hears("POST"); body != fmt.Sprint(size, nil) {
			t.Errorf("the handler read %s", body)
		}
	})
}

func TestAHijackedConnectionIsANetConn(t *testing.T) {
	everywhere(t, func(t *testing.T, serve func(*http.Server) string) {
		result := make(chan error, 1)
		var d diary
		c := dial(t, serve(&http.Server{ConnState: d.note, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/" {
				return
			}
			conn, rw, err := http.NewResponseController(w).Hijack()
			if err != nil {
				result <- err
				return
			}
			go func() { // the handler returns
				result <- func() error {
					defer conn.Close()
					if _, err := io.ReadFull(rw, make([]byte, 5)); err != nil {
						return err
					}
					conn.SetReadDeadline(time.Now().Add(30 * time.Millisecond))
					if _, err := conn.Read(make([]byte, 100)); !errors.Is(err, os.ErrDeadlineExceeded) {
						return fmt.Errorf("Read until the deadline: %v", err)
					}
					conn.SetReadDeadline(time.Now().Add(-time.Second))
					if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
						return fmt.Errorf("Read after the deadline: %v", err)
					}
					conn.SetReadDeadline(time.Time{})
					if n, err := conn.(io.ReaderFrom).ReadFrom(strings.NewReader("ready\n")); n != 6 || err != nil {
						return fmt.Errorf("ReadFrom: %d, %v", n, err)
					}
					one := make([]byte, 1)
					var got []byte
					for {
						if _, err := rw.Read(one); err == io.EOF {
							break
						} else if err != nil {
							return err
						}
						got = append(got, one[0])
					}
					fmt.Fprintf(rw, "%d bytes\n", len(got))
					rw.Flush()
					if err := conn.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
						return err
					}
					if _, err := conn.Write([]byte("more")); err == nil {
						return errors.New("Write after CloseWrite: no error")
					}
					return nil
				}()
			}()
		})}))
		c.asks(get("/"), "")
		c.says(get("/hijack") + "12345")
		if line, err := c.r.ReadString('\n'); line != "ready\n" {
			t.Fatalf("heard %q, %v, %v", line, err, <-result)
		}
		c.Write(make([]byte, 300_000))
		c.CloseWrite()
		c.hearsEnd("300000 bytes\n")
		if err := next(t, result); err != nil {
			t.Error(err)
		}
		d.is(t, 0, "new active idle active hijacked")
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

func TestReadFromSendsAFile(t *testing.T) {
	content := bytes.Repeat([]byte("a line of a file\n"), 50_000)
	path := t.TempDir() + "/file.txt"
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	everywhere(t, func(t *testing.T, serve func(*http.Server) string) {
		c := dial(t, serve(&http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.ServeFile(w, r, path)
		})}))
		for range 3 {
			c.asks(get("/"), string(content))
		}
		c.asks("GET / HTTP/1.1\r\nHost: a\r\nRange: bytes=17-33\r\n\r\n", "a line of a file\n")
		c.asks("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", "")
	})
}

func TestManyClientsOfNetHTTP(t *testing.T) {
	everywhere(t, func(t *testing.T, serve func(*http.Server) string) {
		url := "http://" + serve(&http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(r.Body)
			w.Write(b)
		})})
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				transport := &http.Transport{MaxIdleConnsPerHost: 2}
				defer transport.CloseIdleConnections()
				hc := &http.Client{Transport: transport}
				for j := range 40 {
					body := strings.Repeat(fmt.Sprint(i, " ", j, ";"), j*50)
					r, err := hc.Post(url+"/echo", "text/plain", strings.NewReader(body))
					if err != nil {
						t.Error(err)
						return
					}
					got, err := io.ReadAll(bufio.NewReader(r.Body))
					r.Body.Close()
					if err != nil || string(got) != body {
						t.Errorf("%d bytes of %d came back: %v", len(got), len(body), err)
					}
					if j%10 == 0 {
						time.Sleep(time.Duration(j) * time.Millisecond)
					}
				}
			})
		}
		wg.Wait()
	})
}
