package web_test

import (
	"errors"
	"io"
	"net/http"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard/internal/systest"
)

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
	if rest, err := io.ReadAll(c.r); len(rest) > 0 || err != nil && !systest.Is(err, syscall.ECONNRESET) {
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
