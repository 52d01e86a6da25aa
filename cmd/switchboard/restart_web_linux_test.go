package main

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestARestartOfAWebServerMovesParkedConnections(t *testing.T) {
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "page.txt"), []byte("a page\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	s := serveRestarting(t, "web", "--root", root, "--access-log", "off", "--park-after", "1ms")
	ask := func(c net.Conn, in *bufio.Reader, rest string) (closes bool) {
		t.Helper()
		io.WriteString(c, rest)
		answer, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		page, err := io.ReadAll(answer.Body)
		if err != nil || string(page) != "a page\n" {
			t.Fatalf("%v %q, %v", answer.Status, page, err)
		}
		return answer.Close
	}
	const request = "GET /page.txt HTTP/1.1\r\nHost: here\r\n\r\n"
	kept := client(t, s.server) // which may be parked by then, or not
	keptIn := bufio.NewReader(kept)
	if ask(kept, keptIn, request) {
		t.Error("the first answer is the last")
	}
	for range 3 {
		fresh, half := client(t, s.server), client(t, s.server)
		io.WriteString(half, request[:20])
		present := 2
		if kept != nil {
			present++
		}
		until(t, "all are accepted", func() bool { return acceptedBy(t, s.pid) >= present })
		e := s.restart()
		if e["connections"].(float64) < 2 {
			t.Errorf("%v", e)
		}
		for _, c := range []struct {
			conn net.Conn
			rest string
		}{{fresh, request}, {half, request[20:]}} {
			if ask(c.conn, bufio.NewReader(c.conn), c.rest) {
				t.Error("an answer after the restart is the last")
			}
			c.conn.Close()
		}
		if kept != nil && ask(kept, keptIn, request) { // it was not parked, and is told to go
			if n, err := keptIn.Read(make([]byte, 1)); err != io.EOF {
				t.Error(n, err)
			}
			kept = nil
		}
		until(t, "those are gone", func() bool { return acceptedBy(t, s.pid) <= present-2 })
	}
}

// A connection that cannot move, as it was answered a moment ago, gets one more answer, which says that it is the last.
func TestARestartOfAWebServerAnswersOnceMore(t *testing.T) {
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "page.txt"), []byte("a page\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"--park-after", "1h"}, {"--park-after", "1h", "--tls-self-signed"}, {"--park-after", "1ms", "--tls-self-signed"}} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			t.Parallel()
			s := serveRestarting(t, append([]string{"web", "--root", root, "--access-log", "off", "--grace", "1m", "--loops", "1"}, args...)...)
			ask := func(c net.Conn) *http.Response {
				t.Helper()
				io.WriteString(c, "GET /page.txt HTTP/1.1\r\nHost: here\r\n\r\n")
				answer, err := http.ReadResponse(bufio.NewReader(c), nil)
				if err != nil {
					t.Fatal(err)
				}
				if page, err := io.ReadAll(answer.Body); err != nil || string(page) != "a page\n" {
					t.Fatalf("%v %q, %v", answer.Status, page, err)
				}
				return answer
			}
			var conns []net.Conn
			for range 4 {
				c := net.Conn(client(t, s.server))
				if len(args) > 2 {
					c = tls.Client(c, &tls.Config{InsecureSkipVerify: true})
				}
				if ask(c).Close {
					t.Error("the first answer is the last")
				}
				conns = append(conns, c)
			}
			time.Sleep(50 * time.Millisecond)
			if e := s.restart(); e["stayed"] != 4.0 {
				t.Errorf("%v", e)
			}
			time.Sleep(50 * time.Millisecond) // the old process shuts down
			for i, c := range conns[1:] {     // the first is asked to leave at once
				if !ask(c).Close {
					t.Errorf("the answer to client %d is not the last", i+1)
				}
			}
		})
	}
}
