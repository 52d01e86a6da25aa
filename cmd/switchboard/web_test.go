//go:build unix

package main

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func webRoot(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{"index.html": "<h1>home</h1>", "a.txt": strings.Repeat("text\n", 1000), ".env": "secret"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	os.Mkdir(filepath.Join(dir, "sub"), 0o755)
	return dir
}

func TestWebServesFilesToCurl(t *testing.T) {
	url := "http://" + serve(t, "web", "--root", webRoot(t), "--header", "X-Own: yes", "--header", "Referrer-Policy: no-referrer").addrs[0]
	if out := peer(t, nil, "curl", "-sS", url+"/", url+"/"); string(out) != "<h1>home</h1><h1>home</h1>" {
		t.Errorf("curl heard %q", out)
	}
	out := peer(t, nil, "curl", "-sSi", "--compressed", "-r", "0-3", url+"/a.txt")
	for _, want := range []string{"HTTP/1.1 206", "Content-Range: bytes 0-3/5000", "X-Content-Type-Options: nosniff", "X-Own: yes",
		"Referrer-Policy: no-referrer", "\r\n\r\ntext"} {
		if !bytes.Contains(out, []byte(want)) {
			t.Errorf("no %q in %s", want, out)
		}
	}
	if out := peer(t, nil, "curl", "-sS", "--compressed", "-w", "%{http_code} %{size_download}", "-o", os.DevNull, url+"/a.txt"); !strings.HasPrefix(string(out), "200 ") ||
		len(out) > len("200 999") {
		t.Errorf("compressed it has %q bytes", out)
	}
	for _, path := range []string{"/.env", "/sub/", "/%2e%2e/%2e%2e/etc/passwd"} {
		if out := peer(t, nil, "curl", "-sS", "-o", os.DevNull, "-w", "%{http_code}", "--path-as-is", url+path); string(out) != "404" {
			t.Errorf("%s is answered with %s", path, out)
		}
	}
}

// A compressor is held for as long as its client does not read: with a low limit of the memory there are few.
func TestWebCompressesForNoMoreClientsThanFitTheMemoryLimit(t *testing.T) {
	dir := t.TempDir()
	random := make([]byte, 24<<20) // more than the buffers of a connection take
	rand.NewChaCha8([32]byte{}).Read(random)
	if err := os.WriteFile(filepath.Join(dir, "a.txt"), random, 0o644); err != nil {
		t.Fatal(err)
	}
	url := "http://" + serve(t, "web", "--root", dir, "--memory-limit", "2M", "--loops", "2").addrs[0]
	client := &http.Client{Transport: &http.Transport{DisableCompression: true}}
	compressed := 0
	for range 3 * leastCompressors / 2 {
		request, err := http.NewRequest("GET", url+"/a.txt", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Accept-Encoding", "gzip")
		answer, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		if answer.Header.Get("Content-Encoding") == "gzip" {
			compressed++
		}
	}
	if compressed != leastCompressors {
		t.Errorf("%d answers were compressed at the same time, want %d", compressed, leastCompressors)
	}
}

func TestWebShowsDirectoriesIfAsked(t *testing.T) {
	url := "http://" + serve(t, "web", "--root", webRoot(t), "--pages").addrs[0]
	if out := peer(t, nil, "curl", "-sS", url+"/sub/"); !bytes.Contains(out, []byte("<h1>/sub</h1>")) {
		t.Errorf("curl heard %q", out)
	}
}

func TestWebLogsAccesses(t *testing.T) {
	for form, want := range map[string]string{"common": `"GET /a.txt HTTP/1.1" 200 5000`, "json": `"uri":"/a.txt"`} {
		cmd := exec.Command(os.Args[0], serveArgs([]string{"web", "--root", webRoot(t), "--access-log", form})...)
		out, err := os.CreateTemp(t.TempDir(), "")
		if err != nil {
			t.Fatal(err)
		}
		defer out.Close()
		cmd.Stdout = out
		url := "http://" + start(t, cmd).addrs[0]
		peer(t, nil, "curl", "-sS", url+"/a.txt")
		for limit := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
			b, _ := os.ReadFile(out.Name())
			if form == "json" && bytes.HasSuffix(b, []byte("\n")) && !json.Valid(b) {
				t.Fatalf("%s is no JSON", b)
			}
			if strings.Contains(string(b), want) {
				break
			} else if time.Now().After(limit) {
				t.Fatalf("the log is %q; want %q", b, want)
			}
		}
	}
}

func TestWebOverTLSSaysSo(t *testing.T) {
	url := "https://" + serve(t, "web", "--root", webRoot(t), "--tls-self-signed", "--hsts", "1h").addrs[0]
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	defer transport.CloseIdleConnections()
	r, err := (&http.Client{Transport: transport}).Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if b, err := io.ReadAll(r.Body); err != nil || string(b) != "<h1>home</h1>" || r.Header.Get("Strict-Transport-Security") != "max-age=3600" {
		t.Errorf("heard %q, %v, %v", b, r.Header, err)
	}
}

func TestBenchTakesTheURLOfAPage(t *testing.T) {
	url := "http://" + serve(t, "web", "--root", webRoot(t)).addrs[0]
	out, err := exec.Command(os.Args[0], "bench", "--duration", "200ms", "--warmup", "0s", "--timeout", "1m", "-c", "5", "--json", url+"/a.txt").Output()
	if err != nil || !bytes.Contains(out, []byte(`"/a.txt"`)) {
		t.Errorf("bench said %v\n%s", err, out)
	}
}

func TestWrongCallsOfWebAreExplained(t *testing.T) {
	for _, call := range []struct{ args, want string }{
		{"serve web", "Give --root DIR"},
		{"serve web --root . --mode select", "web is served in the mode loop"},
		{"serve web --root . --access-log xml", "there are common, json and off"},
		{"serve web --root . --hsts 1h", "--hsts needs --tls-cert"},
		{"serve web --root . --max-header 10", "--max-header 10: 1k to 16M"},
		{"serve web --root . --header nonsense", "it must be NAME: VALUE"},
		{"serve web --root . --header a(b:c", `"a(b" is not the name of a field`},
		{"serve web --root . --park-after -1s", "cannot be negative"},
		{"bench http:///path", "the host is missing"},
		{"bench --path / http://127.0.0.1:1/", "the URL says what --path"},
		{"bench --expect line http://127.0.0.1:1/", "the URL says what --path"},
	} {
		_, complaint, code := once(t, "", strings.Fields(call.args)...)
		if code != exitUsage || !strings.Contains(complaint, call.want) {
			t.Errorf("%s: exit code %d, %q, want %q", call.args, code, complaint, call.want)
		}
	}
	if _, complaint, code := once(t, "", "serve", "web", "--root", "/no/such/directory", "--listen", "127.0.0.1:0"); code != exitFailed ||
		!strings.Contains(complaint, "/no/such/directory") {
		t.Errorf("no such directory: exit code %d, %q", code, complaint)
	}
}
