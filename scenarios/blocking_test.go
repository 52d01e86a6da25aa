package scenarios

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard"
)

// lines answers each line with what f makes of it, as anybody would write it for a net.Conn.
func lines(f func(line string) string) switchboard.Handler {
	return switchboard.Blocking(func(conn net.Conn, r *bufio.Reader) error {
		line, err := r.ReadString('\n')
		if err != nil {
			return err
		}
		_, err = io.WriteString(conn, f(strings.TrimSuffix(line, "\n"))+"\n")
		return err
	})
}

func TestBlockingCodeServesLines(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		s.Accept = everyone(lines(strings.ToUpper))
		address := start(t, s)
		p := call(t, address)
		for _, cut := range []string{"hello\n", "in ", "pie", "ces", "\n", "two\nat once\n", "x\n"} {
			p.says(cut)
			if n := strings.Count(cut, "\n"); n == 0 {
				continue
			} else if cut == "\n" {
				p.hears("IN PIECES\n")
			} else {
				p.hears(strings.ToUpper(cut))
			}
		}
		p.says("half a line")
		p.endsOutput()
		p.hearsEnd("")
	})
}

// A thousand connections that wait for input cost no goroutine.
func TestIdleBlockingConnectionHasNoGoroutine(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		s.Accept = everyone(lines(strings.ToUpper))
		address := start(t, s)
		before := 0
		var peers []peer
		for i := range 100 {
			p := call(t, address)
			p.says("hello\n")
			p.hears("HELLO\n")
			peers = append(peers, p)
			if i == 0 {
				before = runtime.NumGoroutine()
			}
		}
		eventually(t, "their goroutines are gone", func() bool { return runtime.NumGoroutine() <= before })
		for _, p := range peers {
			p.says("still there?\n")
			p.hears("STILL THERE?\n")
		}
	})
}

func TestPipelinedRequestsAreAnsweredInOrder(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		s.Accept = everyone(lines(func(line string) string { return line + " is answered" }))
		p := call(t, start(t, s))
		var said, want strings.Builder
		for i := range 5000 {
			fmt.Fprintf(&said, "request %d\n", i)
			fmt.Fprintf(&want, "request %d is answered\n", i)
		}
		go func() {
			io.WriteString(p, said.String())
			p.endsOutput()
		}()
		p.hearsEnd(want.String())
	})
}

func TestTextprotoRunsUnchanged(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		s.Accept = everyone(switchboard.Blocking(func(conn net.Conn, r *bufio.Reader) error {
			c := textproto.NewConn(conn)
			header, err := c.ReadMIMEHeader()
			if err != nil {
				return err
			}
			body, err := c.ReadDotBytes()
			if err != nil {
				return err
			}
			return c.PrintfLine("250 %s, %d bytes", header.Get("Subject"), len(body))
		}))
		c := textproto.NewConn(call(t, start(t, s)))
		for i := range 3 {
			c.PrintfLine("Subject: hello %d", i)
			c.PrintfLine("")
			w := c.DotWriter()
			io.WriteString(w, strings.Repeat(".line\n", 1000))
			w.Close()
			if _, got, err := c.ReadResponse(250); err != nil || got != fmt.Sprintf("hello %d, 6000 bytes", i) {
				t.Fatal(got, err)
			}
		}
	})
}

func TestCurlIsServedByReadRequest(t *testing.T) {
	inTheClear(t, func(t *testing.T, s *switchboard.Server) {
		s.Accept = everyone(switchboard.Blocking(func(conn net.Conn, r *bufio.Reader) error {
			req, err := http.ReadRequest(r)
			if err != nil {
				return err
			}
			body, err := io.ReadAll(req.Body)
			if err != nil {
				return err
			}
			answer := fmt.Sprintf("%s %s %d\n", req.Method, req.URL, len(body))
			return (&http.Response{StatusCode: 200, ProtoMajor: 1, ProtoMinor: 1, ContentLength: int64(len(answer)),
				Body: io.NopCloser(strings.NewReader(answer))}).Write(conn)
		}))
		url := "http://" + start(t, s)
		got := run(t, strings.Repeat("body", 100_000), "curl", "-sS", "--data-binary", "@-", url+"/one", "--next", url+"/two")
		if got != "POST /one 400000\nGET /two 0\n" {
			t.Errorf("got %q", got)
		}
	})
}

func TestJSONDecoderThatLivesAsLongAsItsConnection(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		s.Accept = everyone(switchboard.Blocking(func(conn net.Conn, r *bufio.Reader) error {
			d, e := json.NewDecoder(r), json.NewEncoder(conn)
			for {
				var v struct{ A, B int }
				if err := d.Decode(&v); err != nil {
					return err
				}
				if err := e.Encode(v.A + v.B); err != nil {
					return err
				}
			}
		}))
		p := call(t, start(t, s))
		p.says(`{"A":1,"B":2}{"A":3,`)
		p.hears("3\n")
		p.says(`"B":4}`)
		p.hears("7\n")
		p.endsOutput()
		p.hearsEnd("")
	})
}

func TestPanicOfABlockingHandlerEndsItsConnectionOnly(t *testing.T) {
	for what, harm := range map[string]func(){"panic": func() { panic("oops") }, "Goexit": func() { runtime.Goexit() }} {
		t.Run(what, func(t *testing.T) {
			onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
				log := logTo(s)
				ends := make(chan error, 10)
				s.Trace = &switchboard.Trace{Closed: func(_ *switchboard.Conn, err error) { ends <- err }}
				s.Accept = everyone(lines(func(line string) string {
					if line == "harm" {
						harm()
					}
					return line
				}))
				address := start(t, s)
				p, q := call(t, address), call(t, address)
				q.says("hello\n")
				q.hears("hello\n")
				p.says("harm\n")
				p.hearsFailure("")
				p.Close()
				var panicked *switchboard.PanicError
				if err := next(t, ends); !errors.As(err, &panicked) {
					t.Errorf("ended with %v", err)
				}
				if !strings.Contains(log(), "panicked") {
					t.Error("the log does not tell")
				}
				q.says("still there?\n")
				q.hears("still there?\n")
			})
		})
	}
}

// A function that works for longer than IdleTimeout and then waits for input has the timeout as any other.
func TestIdleTimeoutCountsAfterAFunctionHasWorked(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		s.IdleTimeout = 50 * time.Millisecond
		h := switchboard.Blocking(func(conn net.Conn, _ *bufio.Reader) error {
			time.Sleep(300 * time.Millisecond) // works
			_, err := conn.Read(make([]byte, 1))
			return err
		})
		h.AtOpen = true
		s.Accept = everyone(h)
		c := call(t, start(t, s))
		c.hearsEnd("")
	})
}
