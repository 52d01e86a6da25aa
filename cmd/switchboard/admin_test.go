//go:build unix

package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// asks asks the admin page of a server for something, and returns the status and the answer.
func asks(t testing.TB, r *http.Request) (status int, body string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	answer, err := http.DefaultClient.Do(r.WithContext(ctx))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode == http.StatusSwitchingProtocols {
		return answer.StatusCode, ""
	}
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

// request returns a request to a page, with header fields "Name: value".
func request(t testing.TB, method, at string, form url.Values, fields ...string) *http.Request {
	t.Helper()
	r, err := http.NewRequest(method, at, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for _, field := range fields {
		name, value, ok := strings.Cut(field, ": ")
		if !ok {
			continue
		}
		r.Header.Set(name, value)
		if name == "Host" {
			r.Host = value
		}
	}
	return r
}

func get(t testing.TB, at string, fields ...string) (status int, body string) {
	t.Helper()
	return asks(t, request(t, "GET", at, nil, fields...))
}

// listed are the connections that the page lists.
func listed(t testing.TB, at string) (list []map[string]any) {
	t.Helper()
	status, body := get(t, at)
	var l struct{ Connections []map[string]any }
	if err := json.Unmarshal([]byte(body), &l); status != 200 || err != nil {
		t.Fatalf("%d %s: %v", status, body, err)
	}
	return l.Connections
}

func TestTheAdminPageTellsWhatThereIs(t *testing.T) {
	curl, promtool := installed(t, "curl"), installed(t, "promtool")
	s := serve(t, "echo", "--admin=127.0.0.1:0", "--tls-self-signed")
	at := adminURL(s)
	fetch := func(path string) string {
		out, err := exec.Command(curl, "-sSf", "--max-time", "30", at+path).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v: %s", path, err, out)
		}
		return string(out)
	}
	over := tls.Client(client(t, s), &tls.Config{InsecureSkipVerify: true})
	echoes(t, over, []byte("hello"))
	until(t, "the handshake is done", func() bool {
		list := listed(t, at+"connections?by=age&n=5")
		return len(list) == 1 && list[0]["state"] == "open" && strings.HasPrefix(fmt.Sprint(list[0]["tls"]), "TLS 1.3")
	})
	if fetch("healthz") != "ok\n" || fetch("readyz") != "ready\n" {
		t.Error("it is not well")
	}
	figures := fetch("metrics")
	for _, want := range []string{
		`switchboard_connections{listener="` + s.addrs[0] + `",state="open"} 1`, "switchboard_tls_handshakes_total 1",
		"switchboard_turn_seconds_count", "switchboard_handler_seconds_count", "process_open_fds", `switchboard_loop_busy_seconds_total{loop="0"}`,
	} {
		if !strings.Contains(figures, want) {
			t.Errorf("the metrics do not have %s", want)
		}
	}
	check := exec.Command(promtool, "check", "metrics")
	check.Stdin = strings.NewReader(figures)
	if out, err := check.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool: %v\n%s", err, out)
	}
	for path, want := range map[string]string{
		"debug/pprof/":                  "goroutine",
		"debug/pprof/goroutine?debug=1": "goroutine profile",
		"debug/pprof/heap?debug=1":      "heap profile",
		"debug/pprof/cmdline":           "--admin",
	} {
		if got := fetch(path); !strings.Contains(got, want) {
			t.Errorf("%s: %.200s", path, got)
		}
	}
	for path, want := range map[string]int{"connections?by=luck": 400, "connections?n=0": 400, "connections?n=1001": 400, "connections?n=x": 400,
		"nothing": 404, "connections?paused=1": 200} {
		if status, body := get(t, at+path); status != want {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	if status, body := get(t, at+"connections", "Accept: text/html"); status != 200 || !strings.Contains(body, "<table>") || strings.Contains(body, "<button") {
		t.Errorf("%d %s", status, body)
	}
}

// Strangers who open connections and do not finish what they ask, or ask nothing more, keep nobody from being answered.
func TestTheAdminPageAnswersBesideAFlood(t *testing.T) {
	t.Parallel()
	const secret = "0123456789abcdef0123"
	token := writeFile(t, filepath.Join(t.TempDir(), "token"), secret)
	s := serve(t, "echo", "--admin=0.0.0.0:0", "--admin-token="+token)
	u, err := url.Parse(adminURL(s))
	if err != nil {
		t.Fatal(err)
	}
	at := "127.0.0.1:" + u.Port()
	ask := func(c net.Conn, in *bufio.Reader, path string) (status int) {
		t.Helper()
		fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n\r\n", path, at, secret)
		answer, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
		return answer.StatusCode
	}
	known := dialled(t, at)
	knownIn := bufio.NewReader(known)
	if status := ask(known, knownIn, "/metrics"); status != 200 {
		t.Fatal(status)
	}
	for i := range 3 * adminConns {
		c := dialled(t, at)
		if io.WriteString(c, "GET /healthz HTTP/1.1\r\nHost: a\r\n"); i%3 == 0 {
			io.WriteString(c, "\r\n") // this one is answered, and stays
		}
		if i%50 > 0 {
			continue
		}
		for _, path := range []string{"/healthz", "/readyz"} {
			fresh := dialled(t, at)
			if status := ask(fresh, bufio.NewReader(fresh), path); status != 200 {
				t.Errorf("%s: %d", path, status)
			}
			fresh.Close()
		}
	}
	if status := ask(known, knownIn, "/metrics"); status != 200 {
		t.Error(status)
	}
}

// dialled returns a connection to an address, until the test ends.
func dialled(t testing.TB, address string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	return c
}

func TestTheAdminPageIsForThoseWhoMaySeeIt(t *testing.T) {
	dir := t.TempDir()
	token, short := filepath.Join(dir, "token"), filepath.Join(dir, "short")
	const secret = "0123456789abcdef0123"
	for name, text := range map[string]string{token: secret + "\n", short: "secret\n"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		args string
		code int
		says string
	}{
		{"--admin=0.0.0.0:0", exitUsage, "needs --admin-token FILE"},
		{"--admin=[::]:0", exitUsage, "needs --admin-token FILE"},
		{"--admin=127.0.0.1:0 --admin-token=" + short, exitUsage, "at least 16"},
		{"--admin=127.0.0.1:0 --admin-token=" + dir + "/none", exitFailed, "no such file"},
		{"--admin=127.0.0.1", exitUsage, "--admin"},
		{"--admin=ws://127.0.0.1:0", exitUsage, "HOST:PORT or unix:PATH"},
		{"--admin=192.0.2.1:0", exitFailed, "192.0.2.1"},
		{"--admin-write", exitUsage, "need --admin ADDRESS"},
		{"--admin-token=" + token, exitUsage, "need --admin ADDRESS"},
		{"--admin=127.0.0.1:0 --mode=goroutines", exitUsage, "for the mode loop"},
	} {
		_, complaint, code := once(t, "", append([]string{"serve", "echo", "--listen=127.0.0.1:0"}, strings.Fields(c.args)...)...)
		if code != c.code || !strings.Contains(complaint, c.says) {
			t.Errorf("%s: exit code %d, %s", c.args, code, complaint)
		}
	}

	open := adminURL(serve(t, "echo", "--admin=127.0.0.1:0"))
	for _, c := range []struct {
		field string
		want  int
	}{{"Host: localhost:1", 200}, {"Host: [::1]", 200}, {"Host: 127.0.0.1", 200}, {"Host: evil.example", 421}, {"Host: 127.0.0.1.evil.example:80", 421}} {
		if status, body := get(t, open+"metrics", c.field); status != c.want {
			t.Errorf("%s: %d %s", c.field, status, body)
		}
	}
	for _, path := range []string{"drain", "log-level", "connections/close"} {
		if status, body := asks(t, request(t, "POST", open+path, url.Values{})); status != 403 || !strings.Contains(body, "--admin-write") {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}

	s := serve(t, "echo", "--admin=0.0.0.0:0", "--admin-token="+token, "--admin-write")
	s.await("the admin page speaks plain HTTP", 1)
	u, err := url.Parse(adminURL(s))
	if err != nil {
		t.Fatal(err)
	}
	closed := "http://127.0.0.1:" + u.Port() + "/"
	for _, c := range []struct {
		path, field string
		want        int
	}{
		{"", "", 401}, {"metrics", "", 401}, {"connections", "Authorization: Bearer " + secret + "4", 401}, {"live", "", 401},
		{"metrics", "Authorization: Bearer ", 401}, {"metrics", "Cookie: switchboard-admin=", 401}, {"metrics", "Cookie: switchboard-admin=" + secret, 401},
		{"healthz", "", 200}, {"readyz", "", 200}, {"metrics", "Authorization: Bearer " + secret, 200}, {"metrics", "authorization: bearer " + secret, 200},
		{"metrics", "Authorization: Basic eDowMTIzNDU2Nzg5YWJjZGVmMDEyMw==", 200}, {"debug/pprof/", "", 401},
	} {
		if status, body := get(t, closed+c.path, c.field); status != c.want || strings.Contains(body, secret) {
			t.Errorf("/%s, %s: %d %s", c.path, c.field, status, body)
		}
	}
	answer, err := http.DefaultClient.Do(request(t, "GET", closed, nil, "Authorization: Basic eDowMTIzNDU2Nzg5YWJjZGVmMDEyMw=="))
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	cookies := answer.Cookies()
	if len(cookies) != 1 || !cookies[0].HttpOnly || cookies[0].SameSite != http.SameSiteStrictMode || strings.Contains(cookies[0].Value, secret) {
		t.Fatalf("%v", cookies)
	}
	if status, _ := get(t, closed+"metrics", "Cookie: "+cookies[0].Name+"="+cookies[0].Value); status != 200 {
		t.Errorf("with the cookie: %d", status)
	}
	if status, _ := asks(t, request(t, "POST", closed+"drain", nil, "Cookie: "+cookies[0].Name+"="+cookies[0].Value, "Origin: http://evil.example")); status != 403 {
		t.Errorf("another site's page may drain: %d", status)
	}
	cookie := "Cookie: " + cookies[0].Name + "=" + cookies[0].Value
	for origin, want := range map[string]int{"http://evil.example": 403, strings.TrimSuffix(closed, "/"): 101} {
		status, body := get(t, closed+"live", cookie, "Origin: "+origin, "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
			"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
		if status != want {
			t.Errorf("a page of %s opens a WebSocket: %d %s", origin, status, body)
		}
	}
	if out, complaint, code := once(t, "", "top", closed, "-n", "1"); code != exitFailed || !strings.Contains(complaint, "401") || !strings.Contains(complaint, "--token FILE") {
		t.Errorf("top without the token: %d %s %s", code, out, complaint)
	}
	wrong := writeFile(t, filepath.Join(t.TempDir(), "wrong"), secret+"4")
	if _, complaint, code := once(t, "", "top", closed, "-n", "1", "--token="+wrong); code != exitFailed || !strings.Contains(complaint, "the token of --token is not") {
		t.Errorf("top with another token: %d %s", code, complaint)
	}
	if _, complaint, code := once(t, "", "top", nobody(t), "-n", "1"); code != exitFailed || !strings.Contains(complaint, "(nothing listens there)") {
		t.Errorf("top without a server: %d %s", code, complaint)
	}
	if out, complaint, code := once(t, "", "top", closed, "-n", "1", "--token="+token); code != 0 {
		t.Errorf("top: %d %s %s", code, out, complaint)
	}
}

func TestTheAdminPageChangesWhatItMay(t *testing.T) {
	s := serve(t, "echo", "--admin=127.0.0.1:0", "--admin-write")
	at := adminURL(s)
	post := func(path string, form url.Values, want int) {
		t.Helper()
		if status, body := asks(t, request(t, "POST", at+path, form)); status != want {
			t.Errorf("%s %v: %d %s", path, form, status, body)
		}
	}
	conn := client(t, s)
	echoes(t, conn, []byte("hello"))
	id := fmt.Sprint(listed(t, at+"connections")[0]["id"])
	for form, want := range map[string]int{"": 400, "how=abort": 404, "how=abort&id=x": 404, "how=kill&id=" + id: 400} {
		values, _ := url.ParseQuery(form)
		post("connections/close", values, want)
	}
	echoes(t, conn, []byte("still there"))
	post("connections/close", url.Values{"id": {id}, "how": {"close"}}, 200)
	if _, err := conn.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("closed in order: %v", err)
	}
	conn.Close()
	conn = client(t, s)
	echoes(t, conn, []byte("hello"))
	until(t, "the first is gone", func() bool { return len(listed(t, at+"connections")) == 1 })
	post("connections/close", url.Values{"id": {fmt.Sprint(listed(t, at+"connections")[0]["id"])}, "how": {"abort"}}, 200)
	if _, err := conn.Read(make([]byte, 1)); err == nil || err == io.EOF {
		t.Errorf("aborted: %v", err)
	}

	post("log-level", url.Values{"level": {"loud"}}, 400)
	post("log-level", url.Values{"level": {"debug"}}, 200)
	broken := client(t, s)
	echoes(t, broken, []byte("x"))
	broken.SetLinger(0)
	broken.Close()
	s.await("a connection failed", 1) // which is for debugging

	post("drain", url.Values{}, 200)
	if code := s.wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	s.await("told to drain", 1)
}
