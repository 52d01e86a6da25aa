//go:build unix

package web_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/certs"
	"github.com/switchboard-go/switchboard/web"
)

// What programs that nobody here wrote hear from package web. The server parks at once, and counts what it accepts.

type counted struct {
	url         string
	connections atomic.Int64
	requests    atomic.Int64
}

func serveCounted(t *testing.T, h http.Handler) *counted {
	t.Helper()
	leavesNothing(t)
	c := new(counted)
	s := servers()[1]
	c.url = "http://" + s.start(t, &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c.requests.Add(1)
			h.ServeHTTP(w, r)
		}),
		ConnState: func(_ net.Conn, s http.ConnState) {
			if s == http.StateNew {
				c.connections.Add(1)
			}
		},
	})
	return c
}

// runs runs a program, and returns what it wrote.
func runs(t *testing.T, name string, args ...string) (stdout, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 6*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, program(t, name), args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %q: %v\n%s%s", name, args, err, &out, &errs)
	}
	return out.String(), errs.String()
}

func TestCurlKeepsItsConnection(t *testing.T) {
	c := serveCounted(t, everything())
	args := []string{"-sS"}
	for i := range 30 {
		args = append(args, fmt.Sprintf("%s/%d", c.url, i))
	}
	out, _ := runs(t, "curl", args...)
	if strings.Count(out, "GET /") != 30 || c.connections.Load() != 1 {
		t.Errorf("curl heard %q on %d connections", out, c.connections.Load())
	}
	if out, _ = runs(t, "curl", "-sS", "-H", "Expect: 100-continue", "-d", strings.Repeat("x", 100_000), c.url+"/nothing"); !strings.Contains(out, "100000 bytes announced") {
		t.Errorf("curl heard %q", out)
	}
	if out, _ = runs(t, "curl", "-sS", "-0", c.url+"/flush"); out != "part 0\npart 1\npart 2\n" {
		t.Errorf("curl heard %q over HTTP/1.0", out)
	}
}

func TestWrkHasNoErrors(t *testing.T) {
	c := serveCounted(t, http.HandlerFunc(hello))
	out, _ := runs(t, "wrk", "-t1", "-c20", "-d1s", c.url)
	if strings.Contains(out, "errors") || strings.Contains(out, "Non-2xx") || c.connections.Load() > 21 {
		t.Errorf("%d connections\n%s", c.connections.Load(), out)
	}
}

func TestAbKeepsAliveAndHasNoFailures(t *testing.T) {
	c := serveCounted(t, http.HandlerFunc(hello))
	out, _ := runs(t, "ab", "-q", "-k", "-n", "2000", "-c", "10", c.url+"/")
	for _, want := range []string{`Failed requests: +0\b`, `Keep-Alive requests: +2000\b`, `Complete requests: +2000\b`} {
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("no %s in\n%s", want, out)
		}
	}
}

func TestPythonKeepsItsConnection(t *testing.T) {
	c := serveCounted(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		w.Write(b)
	}))
	const script = `
import http.client, sys, time
c = http.client.HTTPConnection(sys.argv[1], timeout=20)
for i in range(50):
    body = str(i) * i
    c.request("POST", "/", body=body if i % 2 else iter([body.encode()]), encode_chunked=i % 2 == 0,
              headers={} if i % 2 else {"Transfer-Encoding": "chunked"})
    r = c.getresponse()
    assert (r.status, r.read().decode()) == (200, body), i
    time.sleep(.002 if i % 7 == 0 else 0)
print("ok")
`
	out, _ := runs(t, "python3", "-c", script, strings.TrimPrefix(c.url, "http://"))
	if out != "ok\n" || c.connections.Load() != 1 {
		t.Errorf("python heard %q on %d connections", out, c.connections.Load())
	}
}

func TestNginxInFrontKeepsItsConnections(t *testing.T) {
	c := serveCounted(t, everything())
	dir := t.TempDir()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	front := l.Addr().String()
	l.Close()
	config := filepath.Join(dir, "nginx.conf")
	err = os.WriteFile(config, []byte(fmt.Sprintf(`
daemon off; master_process off; pid %[1]s/pid; error_log stderr error;
events {}
http {
  access_log off; client_body_temp_path %[1]s/b; proxy_temp_path %[1]s/p; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
  upstream web { server %[2]s; keepalive 4; }
  server { listen %[3]s; location / { proxy_pass http://web; proxy_http_version 1.1; proxy_set_header Connection ""; } }
}`, dir, strings.TrimPrefix(c.url, "http://"), front)), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program(t, "nginx", "/usr/sbin/nginx"), "-p", dir, "-c", config)
	cmd.Stderr = t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		cmd.Process.Kill()
		cmd.Wait()
	}()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	hc := &http.Client{Transport: transport, Timeout: patience}
	eventually(t, "nginx served", func() bool {
		r, err := hc.Get("http://" + front + "/")
		if err == nil {
			r.Body.Close()
		}
		return err == nil
	})
	for i := range 100 {
		body := strings.Repeat("b", i)
		r, err := hc.Post("http://"+front+"/dump", "text/plain", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r.Body)
		r.Body.Close()
		if err != nil || r.StatusCode != 200 || !bytes.Contains(got, []byte(`\r\n\r\n`+body+`"`)) {
			t.Fatalf("request %d: %s %q, %v", i, r.Status, got, err)
		}
	}
	if n := c.connections.Load(); n > 5 {
		t.Errorf("nginx used %d connections", n)
	}
}

func TestSlowhttptestFindsNoGoroutineToHold(t *testing.T) {
	c := serveCounted(t, http.HandlerFunc(hello))
	tool := program(t, "slowhttptest")
	before := runtime.NumGoroutine()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	cmd := exec.CommandContext(ctx, tool, "-c", "200", "-H", "-i", "1", "-r", "200", "-l", "60", "-x", "10", "-p", "3", "-u", c.url+"/")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		cancel()
		cmd.Wait()
	}()
	eventually(t, "200 slow connections were there", func() bool { return c.connections.Load() >= 200 })
	for range 20 {
		r, err := http.Get(c.url + "/")
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
	}
	if c.requests.Load() < 20 {
		t.Errorf("%d requests were served", c.requests.Load())
	}
	eventually(t, "slow headers have no goroutines", func() bool { return runtime.NumGoroutine() < before+30 })
}

func TestABrowserLoadsAPageOfFortyFiles(t *testing.T) {
	browser := program(t, "chromium", "chromium-browser", "google-chrome")
	done := make(chan string, 1)
	c := serveCounted(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/":
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, "<!doctype html><title>forty</title><script>let n = 0; function loaded(i) { if (++n == 40) fetch('/done?n=' + n) }</script>")
			for i := range 40 {
				fmt.Fprintf(w, "<script src=\"/%d.js\"></script>\n", i)
			}
		case strings.HasSuffix(r.URL.Path, ".js"):
			w.Header().Set("Content-Type", "text/javascript")
			fmt.Fprintf(w, "loaded(%q) // %s\n", r.URL.Path, strings.Repeat("x", 3000))
		case r.URL.Path == "/done":
			select {
			case done <- r.FormValue("n"):
			default:
			}
		default:
			http.NotFound(w, r)
		}
	}))
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
		"--user-data-dir="+t.TempDir(), "--virtual-time-budget=60000", "--dump-dom", c.url+"/")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	select {
	case n := <-done:
		if n != "40" {
			t.Errorf("%s files were loaded", n)
		}
	default:
		t.Errorf("the page was not loaded: %d requests\n%s", c.requests.Load(), out)
	}
	if n := c.connections.Load(); n > 12 {
		t.Errorf("%d connections for %d requests", n, c.requests.Load())
	}
}

func TestOverTLS(t *testing.T) {
	own, err := certs.SelfSigned("127.0.0.1", "localhost")
	if err != nil {
		t.Fatal(err)
	}
	for _, engine := range switchboard.Engines() {
		t.Run(engine, func(t *testing.T) {
			leavesNothing(t)
			hs := &http.Server{
				TLSConfig: &tls.Config{Certificates: []tls.Certificate{own}, NextProtos: []string{"h2"}},
				Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path == "/hijack" {
						everything().ServeHTTP(w, r)
						return
					}
					fmt.Fprint(w, r.Proto, " ", r.TLS.ServerName, " ", r.TLS.NegotiatedProtocol, " ", r.TLS.HandshakeComplete)
				}),
			}
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			s := &web.Server{HTTP: hs, Loops: &switchboard.Server{Engine: engine, Loops: 2}, ParkAfter: time.Nanosecond}
			served := make(chan error, 1)
			go func() { served <- s.ServeTLS(l, "", "") }()
			transport := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true, ServerName: "localhost"}}
			hc := &http.Client{Transport: transport, Timeout: patience}
			for range 5 {
				r, err := hc.Get("https://" + l.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				b, _ := io.ReadAll(r.Body)
				r.Body.Close()
				if string(b) != "HTTP/1.1 localhost http/1.1 true" {
					t.Errorf("heard %q", b)
				}
				time.Sleep(2 * time.Millisecond)
			}
			transport.CloseIdleConnections()
			conn, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{InsecureSkipVerify: true})
			if err != nil {
				t.Fatal(err)
			}
			io.WriteString(conn, get("/hijack")+"ahead")
			conn.CloseWrite()
			if got, err := io.ReadAll(conn); err != nil || string(got) != "HTTP/1.1 101 Switching Protocols\r\n\r\nahead" {
				t.Errorf("heard %q, %v", got, err)
			}
			conn.Close()
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			if err := hs.Shutdown(ctx); err != nil {
				t.Error(err)
			}
			if err := next(t, served); err != http.ErrServerClosed {
				t.Errorf("ServeTLS returned %v", err)
			}
		})
	}
}

func TestCurlOverTLSIsOfferedHTTP1(t *testing.T) {
	url := "https://" + serveFiles(t, t.TempDir()) + "/"
	_, about := runs(t, "curl", "-sSvk", "--http2", url, url)
	if !strings.Contains(about, "ALPN") || !strings.Contains(about, "http/1.1") || strings.Count(about, "< HTTP/1.1 200") != 2 {
		t.Errorf("curl tells\n%s", about)
	}
}

// serveFiles serves over TLS with a certificate from files.
func serveFiles(t *testing.T, dir string) (address string) {
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	runs(t, "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key,
		"-out", cert, "-days", "2", "-subj", "/CN=localhost")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	hs := &http.Server{Handler: http.HandlerFunc(hello)}
	served := make(chan error, 1)
	go func() { served <- (&web.Server{HTTP: hs}).ServeTLS(l, cert, key) }()
	t.Cleanup(func() {
		hs.Close()
		next(t, served)
	})
	return l.Addr().String()
}
