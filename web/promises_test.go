package web_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
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

// timesOut says something, and hears an answer and the end, not before the timeout. It returns false if there was an end only.

// A diary notes what ConnState is told of connections.

// of returns the notes of connection number i.

// hearsHeader reads a header alone.

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
