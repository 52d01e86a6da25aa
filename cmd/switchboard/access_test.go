//go:build unix

package main

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// serveLogging starts a server whose access log goes to a file, and returns what reads its lines.
func serveLogging(t *testing.T, args ...string) (s *server, lines func() []string) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "access.log")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	cmd := exec.Command(os.Args[0], serveArgs(args)...)
	cmd.Stdout = f
	return start(t, cmd), func() []string {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return strings.FieldsFunc(string(text), func(r rune) bool { return r == '\n' })
	}
}

func TestTheProxyLogsItsConnections(t *testing.T) {
	installed(t, "nc")
	echo := serve(t, "echo").addrs[0]
	s, lines := serveLogging(t, "proxy", "--to="+echo, "--access-log=text")
	host, port := split(t, s.addrs[0])
	peer(t, []byte("hello"), "nc", "-N", host, port)
	until(t, "there is a line", func() bool { return len(lines()) == 1 })
	form := regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\S+ 127\.0\.0\.1:\d+ ` + regexp.QuoteMeta(s.addrs[0]+" "+echo) + ` 5 5 \d+\.\d{3} ok$`)
	if got := lines()[0]; !form.MatchString(got) {
		t.Error(got)
	}

	s, lines = serveLogging(t, "proxy", "--to=127.0.0.1:1", "--access-log=json", "--access-sample=100")
	for range 3 {
		conn, err := net.Dial("tcp", s.addrs[0])
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, conn)
		conn.Close()
	}
	until(t, "all that failed are there", func() bool { return len(lines()) == 3 })
	for i, line := range lines() {
		var l connectionLine
		if err := json.Unmarshal([]byte(line), &l); err != nil || l.Listener != s.addrs[0] || l.Target != "" || l.Error == "" || (l.Connections == 100) != (i == 0) {
			t.Errorf("%s: %v", line, err)
		}
	}
}

func TestAnAccessLogIsASampleIfThatIsAskedFor(t *testing.T) {
	echo := serve(t, "echo").addrs[0]
	s, lines := serveLogging(t, "proxy", "--to="+echo, "--access-log=json", "--access-sample=5")
	web, requests := serveLogging(t, "web", "--root="+webRoot(t), "--access-log=json", "--access-sample=5")
	for range 10 {
		conn := client(t, s)
		echoes(t, conn, []byte("x"))
		conn.Close()
		answer, err := http.Get("http://" + web.addrs[0] + "/none")
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
	}
	s.stop()
	web.stop()
	for of, all := range map[string][]string{"connections": lines(), "requests": requests()} {
		if len(all) != 2 {
			t.Errorf("%d lines of 10 %s: %q", len(all), of, all)
		}
		for _, line := range all {
			if !strings.Contains(line, `"`+of+`":5`) {
				t.Error(line)
			}
		}
	}
	for args, says := range map[string]string{
		"proxy --to=127.0.0.1:1 --access-log=common":                  "there are text, json and off",
		"proxy --to=127.0.0.1:1 --access-sample=2":                    "needs --access-log",
		"proxy --to=127.0.0.1:1 --access-log=text --access-sample=0":  "at least 1",
		"proxy --to=127.0.0.1:1 --access-log=text --access-sample=-1": "at least 1",
		"web --root=. --access-log=text":                              "there are common, json and off",
	} {
		if _, complaint, code := once(t, "", append([]string{"serve"}, strings.Fields(args)...)...); code != exitUsage || !strings.Contains(complaint, says) {
			t.Errorf("%s: exit code %d, %s", args, code, complaint)
		}
	}
}

// TestAnAccessLogThatNobodyReadsStopsNobody has a pipe for it that is full soon.
func TestAnAccessLogThatNobodyReadsStopsNobody(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cmd := exec.Command(os.Args[0], serveArgs([]string{"proxy", "--to=" + serve(t, "echo").addrs[0], "--access-log=json"})...)
	cmd.Stdout = w
	s := start(t, cmd)
	w.Close()
	until(t, "more lines wait than a pipe holds", func() bool {
		for range 50 {
			conn := client(t, s)
			echoes(t, conn, []byte("x"))
			conn.Close()
		}
		return len(s.entries("disconnected")) > 600 // of some 150 bytes each
	})
	s.stop()
}
