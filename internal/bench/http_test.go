package bench

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
)

// found feeds a stream to the parser in pieces of so many bytes, as a connection does: what it leaves is offered again.
func found(stream []byte, piece int, toHead bool) (whole int, last bool, err error) {
	r := &responses{toHead: toHead}
	k := &client{rec: newRecorder()}
	var left []byte
	for len(stream) > 0 {
		n := min(piece, len(stream))
		left = append(left, stream[:n]...)
		stream = stream[n:]
		used, n, err := r.take(k, left)
		whole += n
		if err == errLast {
			return whole, true, nil
		}
		if err != nil {
			return whole, false, err
		}
		left = left[used:]
	}
	n, err := r.end(left)
	return whole + n, false, err
}

var streams = map[string]struct {
	text   string
	whole  int
	last   bool
	wrong  string
	toHead bool
}{
	"a length":            {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 1, false, "", false},
	"two at once":         {"HTTP/1.1 200 OK\r\ncontent-length:5\r\n\r\nhelloHTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n", 2, false, "", false},
	"chunks":              {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n", 1, false, "", false},
	"chunks and trailers": {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\nExpires: never\r\nX: y\r\n\r\n", 1, false, "", false},
	"chunks over length":  {"HTTP/1.1 200 OK\r\nContent-Length: 999\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n", 1, false, "", false},
	"without a body":      {"HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", 2, false, "", false},
	"to a HEAD":           {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", 1, false, "", true},
	"until the end":       {"HTTP/1.1 200 OK\r\n\r\nall that comes", 1, false, "", false},
	"interim":             {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", 1, false, "", false},
	"no reason":           {"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", 1, false, "", false},
	"the last one":        {"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nby", 1, true, "", false},
	"of 1.0":              {"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nby", 1, true, "", false},
	"of 1.0, kept alive":  {"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 2\r\n\r\nby", 1, false, "", false},
	"close in a list":     {"HTTP/1.1 200 OK\r\nConnection: X-Trace , Close\r\nContent-Length: 2\r\n\r\nby", 1, true, "", false},
	"close, and more":     {"HTTP/1.1 200 OK\r\nConnection: close, X\r\nContent-Length: 2\r\n\r\nby", 1, true, "", false},
	"close in two fields": {"HTTP/1.1 200 OK\r\nConnection: close\r\nConnection: X\r\nContent-Length: 2\r\n\r\nby", 1, true, "", false},
	"closer is not close": {"HTTP/1.1 200 OK\r\nConnection: closer\r\nContent-Length: 2\r\n\r\nby", 1, false, "", false},
	"kept alive, in list": {"HTTP/1.0 200 OK\r\nConnection: X, keep-alive\r\nContent-Length: 2\r\n\r\nby", 1, false, "", false},
	"a folded field":      {"HTTP/1.1 200 OK\r\nX: one\r\n two: three\r\n\tfour\r\nContent-Length: 2\r\n\r\nby", 1, false, "", false},
	"a folded length":     {"HTTP/1.1 200 OK\r\nContent-Length:\r\n 2\r\n\r\nby", 1, false, "", false},
	"a folded list":       {"HTTP/1.1 200 OK\r\nConnection: X,\r\n\tclose\r\nContent-Length: 2\r\n\r\nby", 1, true, "", false},
	"nothing at all":      {"", 0, false, "", false},
	"another protocol":    {"220 mail.example.org ESMTP\r\n", 0, false, "begins with", false},
	"cut off in a head":   {"HTTP/1.1 200 OK\r\nContent-Le", 0, false, "in the middle", false},
	"cut off in a body":   {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", 0, false, "in the middle", false},
	"cut off in a chunk":  {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhell", 0, false, "in the middle", false},
	"a negative length":   {"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n", 0, false, "content length", false},
	"a wrong chunk":       {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfive\r\n", 0, false, "length of a chunk", false},
	"no field":            {"HTTP/1.1 200 OK\r\nthis is none\r\n\r\n", 0, false, "header field", false},
	"no status":           {"HTTP/1.1 OK\r\n\r\n", 0, false, "status line", false},
	"an endless head":     {"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 2*maxHead), 0, false, "more than", false},
	"an endless chunk":    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;" + strings.Repeat("x", 2*maxHead), 0, false, "more than", false},
}

func TestResponsesAreFoundHoweverTheyAreCut(t *testing.T) {
	for name, c := range streams {
		for _, piece := range []int{1, 2, 3, 7, 64, 1 << 20} {
			if len(c.text) > maxHead && piece < 64 {
				continue
			}
			whole, last, err := found([]byte(c.text), piece, c.toHead)
			switch {
			case whole != c.whole || last != c.last:
				t.Errorf("%s, in pieces of %d: %d responses, last %v, wanted %d and %v", name, piece, whole, last, c.whole, c.last)
			case (err != nil) != (c.wrong != ""):
				t.Errorf("%s, in pieces of %d: %v", name, piece, err)
			case err != nil && !strings.Contains(err.Error(), c.wrong):
				t.Errorf("%s, in pieces of %d: wanted %q, got %v", name, piece, c.wrong, err)
			}
		}
	}
}

// FuzzResponses holds two promises: a stream says the same however it is cut, and what net/http reads as responses is
// found to be as many.
func FuzzResponses(f *testing.F) {
	for _, c := range streams {
		f.Add([]byte(c.text), 3, c.toHead)
	}
	f.Fuzz(func(t *testing.T, stream []byte, piece int, toHead bool) {
		if len(stream) > maxHead/2 {
			return
		}
		piece = max(1, min(piece, 1000))
		whole, last, err := found(stream, len(stream)+1, toHead)
		again, last2, err2 := found(stream, piece, toHead)
		if whole != again || last != last2 || (err == nil) != (err2 == nil) {
			t.Fatalf("whole: %d %v %v, in pieces of %d: %d %v %v", whole, last, err, piece, again, last2, err2)
		}
		if err != nil || last {
			return
		}
		if n, ok := readAll(stream, toHead); ok && n != whole {
			t.Fatalf("%d responses, net/http reads %d", whole, n)
		}
	})
}

// readAll counts the responses with net/http, and tells whether it likes all of them.
func readAll(stream []byte, toHead bool) (n int, ok bool) {
	request, _ := http.NewRequest("GET", "/", nil)
	if toHead {
		request.Method = "HEAD"
	}
	in := bufio.NewReader(bytes.NewReader(stream))
	for {
		if _, err := in.Peek(1); err != nil {
			return n, true
		}
		r, err := http.ReadResponse(in, request)
		if err != nil || r.ProtoMajor != 1 || r.ProtoMinor > 1 || r.StatusCode < 100 || r.StatusCode == 101 {
			return n, false
		}
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return n, false
		}
		if r.StatusCode >= 200 {
			n++
		}
	}
}

func TestTheHostOfARequestIsAName(t *testing.T) {
	for _, c := range []struct {
		address string
		secure  bool
		host    string
	}{
		{"127.0.0.1:80", false, "127.0.0.1"},
		{"127.0.0.1:80", true, "127.0.0.1:80"},
		{"example.org:443", true, "example.org"},
		{"[::1]:8080", false, "[::1]:8080"},
		{"[::1]:80", false, "[::1]"},
		{"[fe80::1%eth0]:80", false, "[fe80::1]"},
		{"[fe80::1%eth0]:8080", false, "[fe80::1]:8080"},
		{"/tmp/s", false, "localhost"},
	} {
		if host := hostOf(c.address, c.secure); host != c.host {
			t.Errorf("%s, TLS %v: wanted the host %s, got %s", c.address, c.secure, c.host, host)
		}
	}
}
