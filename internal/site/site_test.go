package site_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard/internal/accesslog"
	"github.com/switchboard-go/switchboard/internal/site"
)

var text = strings.Repeat("a line of text\n", 200)

// odd is the name of a file that must be escaped in a page, and oddURL in a path.
var odd, oddURL = "a:b <c>.txt", "a:b%20%3Cc%3E.txt"

func init() {
	if runtime.GOOS == "windows" { // whose names have no such characters
		odd, oddURL = "a&b #c.txt", "a&b%20%23c.txt"
	}
}

// directory makes a site's files.
func directory(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	outside := filepath.Join(t.TempDir(), "secret")
	for name, content := range map[string]string{
		"index.html": "<h1>home</h1>", "a.txt": text, "b.js": text, "small.txt": "small", "data.bin": text, "plain": "no extension",
		"sub/index.html": "sub", "list/one.txt": "1", "list/" + odd: "2", "list/.hidden": "3", ".env": "secret",
		".git/config": "secret", ".well-known/acme": "token", outside: "secret", "empty.txt": "",
	} {
		if !filepath.IsAbs(name) {
			name = filepath.Join(dir, name)
		}
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	within := filepath.Join(dir, "within.txt")
	if os.Symlink(outside, filepath.Join(dir, "escape")) == nil {
		os.Symlink("a.txt", within)
	}
	if _, err := os.Stat(within); err != nil { // no symbolic links, or as under Wine none that can be followed
		os.Remove(within)
		if err := os.WriteFile(within, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// ask asks h without net/http's help: redirects are not followed, nothing is decompressed.
func ask(t *testing.T, h http.Handler, method, path string, fields ...string) *http.Response {
	t.Helper()
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(method + " " + path + " HTTP/1.1\r\nHost: a\r\n" +
		strings.Join(append(fields, ""), "\r\n") + "\r\n")))
	if err != nil {
		t.Fatal(err)
	}
	r.RemoteAddr = "192.0.2.1:1234"
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestFilesAreServedAndNothingElse(t *testing.T) {
	dir := directory(t)
	for _, pages := range []bool{false, true} {
		s, err := site.Open(dir, pages)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		list := 404
		if pages {
			list = 200
		}
		for _, test := range []struct {
			path string
			code int
			want string // the beginning of the body, or where it redirects
		}{
			{"/", 200, "<h1>home"}, {"/a.txt", 200, text}, {"/sub/", 200, "sub"}, {"/sub", 301, "./sub/"}, {"/plain", 200, "no"},
			{"/sub?q=1", 301, "./sub/?q=1"}, {"/a.txt/", 301, "../a.txt"}, {"/empty.txt", 200, ""}, {"//a.txt", 200, text},
			{"/sub/../a.txt", 200, text}, {"/within.txt", 200, text}, {"/.well-known/acme", 200, "token"},
			{"/list/", list, ""}, {"/list", 301, "./list/"}, {"/list/" + oddURL, 200, "2"},
			{"/none", 404, ""}, {"/.env", 404, ""}, {"/.git/config", 404, ""}, {"/list/.hidden", 404, ""}, {"/escape", 404, ""},
			{"/../secret", 404, ""}, {"/%2e%2e/secret", 404, ""}, {"/..%2f..%2fetc%2fpasswd", 404, ""}, {"/a.txt/b", 404, ""},
			{"/%00", 404, ""}, {"/a.txt%00.html", 404, ""}, {"/..%5csecret", 404, ""}, {"/" + strings.Repeat("x", 5000), 404, ""},
		} {
			r := ask(t, s, "GET", test.path)
			got := body(t, r)
			if r.StatusCode == 301 {
				got = r.Header.Get("Location")
			}
			if r.StatusCode != test.code || !strings.HasPrefix(got, test.want) || strings.Contains(got, "secret") {
				t.Errorf("%s, pages %v: %d %.40q; want %d %.40q", test.path, pages, r.StatusCode, got, test.code, test.want)
			}
			if head := ask(t, s, "HEAD", test.path); head.StatusCode != r.StatusCode || body(t, head) != "" && r.StatusCode == 200 && !strings.HasSuffix(test.path, "/") {
				t.Errorf("HEAD %s: %d", test.path, head.StatusCode)
			}
		}
		if r := ask(t, s, "POST", "/"); r.StatusCode != 405 || r.Header.Get("Allow") != "GET, HEAD" {
			t.Errorf("POST: %d, %q", r.StatusCode, r.Header.Get("Allow"))
		}
	}
}

func TestAPageOfADirectoryIsEscapedAndHidesWhatIsNotServed(t *testing.T) {
	s, err := site.Open(directory(t), true)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	page := body(t, ask(t, s, "GET", "/list/"))
	if !strings.Contains(page, `<a href="./`+html.EscapeString(oddURL)+`">`+html.EscapeString(odd)+`</a>`) || !strings.Contains(page, `"./one.txt"`) ||
		!strings.Contains(page, `"../"`) || strings.Contains(page, "hidden") || strings.Contains(page, "<c>") {
		t.Errorf("the page is %s", page)
	}
}

func TestTypesRangesAndDates(t *testing.T) {
	s, err := site.Open(directory(t), false)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for path, want := range map[string]string{"/": "text/html; charset=utf-8", "/a.txt": "text/plain; charset=utf-8",
		"/b.js": "text/javascript; charset=utf-8", "/plain": "text/plain; charset=utf-8"} {
		if got := ask(t, s, "GET", path).Header.Get("Content-Type"); got != want {
			t.Errorf("%s has the type %s; want %s", path, got, want)
		}
	}
	r := ask(t, s, "GET", "/a.txt", "Range: bytes=2-5", "Accept-Encoding: gzip")
	if got := body(t, r); r.StatusCode != 206 || got != text[2:6] || r.Header.Get("Content-Encoding") != "" {
		t.Errorf("a range: %d %q", r.StatusCode, got)
	}
	if r := ask(t, s, "GET", "/a.txt", "Range: bytes=90000-"); r.StatusCode != 416 {
		t.Errorf("a range beyond the end: %d", r.StatusCode)
	}
	r = ask(t, s, "GET", "/a.txt")
	for _, field := range []string{"If-None-Match: " + r.Header.Get("ETag"), "If-Modified-Since: " + r.Header.Get("Last-Modified")} {
		for _, encoding := range []string{"", "gzip"} {
			if r := ask(t, s, "GET", "/a.txt", field, "Accept-Encoding: "+encoding); r.StatusCode != 304 || body(t, r) != "" {
				t.Errorf("%s: %d", field, r.StatusCode)
			}
		}
	}
}

func TestTextIsCompressedForWhoTakesIt(t *testing.T) {
	s, err := site.Open(directory(t), false)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, test := range []struct {
		path, accepts string
		want          bool
	}{
		{"/a.txt", "gzip", true}, {"/a.txt", "deflate, GZIP;q=0.5", true}, {"/a.txt", "*", true}, {"/b.js", "gzip, br", true},
		{"/a.txt", "", false}, {"/a.txt", "gzip;q=0", false}, {"/a.txt", "*;q=0", false}, {"/a.txt", "br", false},
		{"/a.txt", "gzip;q=0, *", false}, {"/a.txt", "gzip;q=nonsense", false},
		{"/small.txt", "gzip", false}, {"/data.bin", "gzip", false},
	} {
		r := ask(t, s, "GET", test.path, "Accept-Encoding: "+test.accepts)
		got := body(t, r)
		if zipped := r.Header.Get("Content-Encoding") == "gzip"; zipped != test.want {
			t.Errorf("%s for %q is compressed: %v", test.path, test.accepts, zipped)
		} else if zipped {
			z, err := gzip.NewReader(strings.NewReader(got))
			if err != nil {
				t.Fatal(err)
			}
			plain, err := io.ReadAll(z)
			if err != nil || string(plain) != text || r.Header.Get("Vary") != "Accept-Encoding" || r.Header.Get("Content-Length") != "" {
				t.Errorf("%s: %v, %d bytes, %v", test.path, err, len(plain), r.Header)
			}
		}
	}
}

// A slowAnswer is a ResponseWriter whose client does not read until it is let.
type slowAnswer struct {
	*httptest.ResponseRecorder
	writing chan bool
	read    chan bool
}

func (a *slowAnswer) Write(p []byte) (int, error) {
	a.writing <- true
	<-a.read
	return a.ResponseRecorder.Write(p)
}

func TestClientsThatDoNotReadTakeNoMoreCompressorsThanThereMayBe(t *testing.T) {
	s, err := site.Open(directory(t), false)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.Compressors = 1
	slow := &slowAnswer{httptest.NewRecorder(), make(chan bool), make(chan bool)}
	over := make(chan bool)
	go func() {
		r := httptest.NewRequest("GET", "/a.txt", nil)
		r.Header.Set("Accept-Encoding", "gzip")
		s.ServeHTTP(slow, r)
		close(over)
	}()
	<-slow.writing
	r := ask(t, s, "GET", "/a.txt", "Accept-Encoding: gzip")
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" || r.Header.Get("Vary") != "Accept-Encoding" || body(t, r) != text {
		t.Errorf("beside a compressed answer: encoded as %q, %v", encoding, r.Header)
	}
	go func() {
		for range slow.writing { // the rest of the first answer
		}
	}()
	close(slow.read)
	<-over
	close(slow.writing)
	if r := ask(t, s, "GET", "/a.txt", "Accept-Encoding: gzip"); slow.Header().Get("Content-Encoding") != "gzip" || r.Header.Get("Content-Encoding") != "gzip" {
		t.Errorf("the first: %v, a later one: %v", slow.Header(), r.Header)
	}
}

func TestTheAccessLogHasALineForEachRequest(t *testing.T) {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/none" {
			http.NotFound(w, r)
			return
		}
		io.WriteString(w, "hello")
	})
	var b bytes.Buffer
	common := site.Log(&b, site.Common, accesslog.Sample(1), h)
	ask(t, common, "GET", "/a%22b?q=1")
	ask(t, common, "HEAD", "/none")
	lines := strings.SplitAfter(b.String(), "\n")
	if len(lines) != 3 ||
		!regexp.MustCompile(`^192\.0\.2\.1 - - \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] "GET /a%22b\?q=1 HTTP/1\.1" 200 5\n$`).MatchString(lines[0]) ||
		!strings.Contains(lines[1], `"HEAD /none HTTP/1.1" 404 `) {
		t.Errorf("the common form is %q", lines)
	}
	b.Reset()
	ask(t, site.Log(&b, site.JSON, accesslog.Sample(1), h), "GET", "/none", "User-Agent: me\"\\")
	var line struct {
		Time                     time.Time
		Peer, Method, URI, Proto string
		UserAgent                string `json:"user_agent"`
		Status, Bytes            int
		Seconds                  float64
	}
	if err := json.Unmarshal(b.Bytes(), &line); err != nil || line.Status != 404 || line.URI != "/none" ||
		line.Peer != "192.0.2.1" || line.UserAgent != "me\"\\" {
		t.Errorf("the JSON form is %s, %v", &b, err)
	}
}

func TestHeadersAreAdded(t *testing.T) {
	h := site.Headers(site.Secure(), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Referrer-Policy", "no-referrer")
	}))
	for range 2 {
		r := ask(t, h, "GET", "/")
		if r.Header.Get("X-Content-Type-Options") != "nosniff" || r.Header.Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("the header is %v", r.Header)
		}
	}
	if got := site.Secure().Get("Referrer-Policy"); got == "no-referrer" {
		t.Error("one answer changed the next")
	}
}
