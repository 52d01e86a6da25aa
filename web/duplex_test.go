package web_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// Handlers may write while they read, to a client that reads nothing before it has said all.
func TestWhatWaitsToBeSentDoesNotKeepTheInputFromBeingRead(t *testing.T) {
	const size = 24 << 20 // more than the system's buffers hold
	text := strings.Repeat("0123456789abcdef", size/16)
	done := make(chan bool, 1)
	both := func(w io.Writer, r io.Reader) {
		defer func() { done <- true }()
		written := make(chan error, 1)
		go func() {
			_, err := io.WriteString(w, text)
			written <- err
		}()
		if n, err := io.CopyN(io.Discard, r, size); err != nil {
			t.Errorf("heard %d bytes: %v", n, err)
		}
		if err := <-written; err != nil {
			t.Error(err)
		}
	}
	for path, handler := range map[string]http.HandlerFunc{
		"hijacked": func(w http.ResponseWriter, r *http.Request) {
			conn, rw, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", size)
			both(conn, rw)
		},
		"full duplex": func(w http.ResponseWriter, r *http.Request) {
			if err := http.NewResponseController(w).EnableFullDuplex(); err != nil {
				t.Error(err)
			}
			w.Header().Set("Content-Length", fmt.Sprint(size))
			both(w, r.Body)
		},
	} {
		t.Run(path, func(t *testing.T) {
			everywhere(t, func(t *testing.T, serve func(*http.Server) string) {
				c := dial(t, serve(&http.Server{Handler: handler}))
				c.says(fmt.Sprintf("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n", size))
				c.says(text)
				answer, err := http.ReadResponse(bufio.NewReader(c), nil)
				if err != nil {
					t.Fatal(err)
				}
				if n, err := io.Copy(io.Discard, io.LimitReader(answer.Body, size)); n != size || err != nil {
					t.Errorf("heard %d bytes: %v", n, err)
				}
				next(t, done)
			})
		})
	}
}
