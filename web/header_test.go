package web

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

var scans = []struct {
	name, input string
	size        int // of the header; -1: not ready
}{
	{"nothing", "", -1},
	{"a part of a request line", "GET / HT", -1},
	{"a request line", "GET / HTTP/1.1\r\n", -1},
	{"a header without its end", "GET / HTTP/1.1\r\nHost: a\r\n", -1},
	{"a header without its last byte", "GET / HTTP/1.1\r\nHost: a\r\n\r", -1},
	{"a header", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 27},
	{"a header and more", "GET / HTTP/1.1\r\nHost: a\r\n\r\nbody\r\n\r\n", 27},
	{"a header without fields", "GET / HTTP/1.0\r\n\r\n", 18},
	{"lines that end without carriage return", "GET / HTTP/1.1\nHost: a\n\nmore", 24},
	{"lines that end both ways", "GET / HTTP/1.1\nHost: a\n\r\nmore", 25},
	{"a request line that is none", "hello\r\n", 7},
	{"another version", "GET / HTTP/2.0\r\n", 16},
	{"a method that is none", "G@T / HTTP/1.1\r\n", 16},
	{"a target that does not parse", "GET /%zz HTTP/1.1\r\n", 19},
	{"a field without a colon", "GET / HTTP/1.1\r\nHost\r\n", 22},
	{"a field with a space in its name", "GET / HTTP/1.1\r\nHo st: a\r\n", 26},
	{"a folded field", "GET / HTTP/1.1\r\nA: b\r\n c\r\n", 26},
	{"a field with a control character", "GET / HTTP/1.1\r\nA: \x01\r\n", 22},
	{"a field with UTF-8", "GET / HTTP/1.1\r\nA: é\r\n", -1},
	{"what is too long", "GET /" + strings.Repeat("a", 1000), 1000},
}

func TestHeaderScanEndsWhereTheHeaderDoes(t *testing.T) {
	for _, test := range scans {
		const limit = 1000
		var whole headerScan
		size, ready := whole.look([]byte(test.input), limit)
		if want := test.size; ready != (want >= 0) || ready && size != max(want, min(size, len(test.input))) {
			t.Errorf("%s: got %d, %v; want %d", test.name, size, ready, want)
		}
		// Byte after byte, it is ready at the same one and not before, and asking again changes nothing.
		var scan headerScan
		for n := 1; n <= len(test.input); n++ {
			for range 2 {
				if size, ready = scan.look([]byte(test.input[:n]), limit); ready && test.size < n-1 && size != n {
					t.Errorf("%s: ready for %d bytes after %d", test.name, size, n)
				}
			}
			if ready {
				if test.size >= 0 && n != min(test.size, limit) {
					t.Errorf("%s: ready after %d bytes; want %d", test.name, n, test.size)
				}
				break
			}
		}
		if ready != (test.size >= 0) {
			t.Errorf("%s: byte after byte it is ready: %v", test.name, ready)
		}
	}
}

// A blockedReader returns errBlocked where a connection would have the reader wait.
type blockedReader struct {
	rest    []byte
	blocked bool
}

var errBlocked = errors.New("wait for more")

func (r *blockedReader) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		r.blocked = true
		return 0, errBlocked
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// scanInTime fails if net/http has an opinion on p, and the scan would have it wait.
func scanInTime(t *testing.T, p []byte, cut int) {
	p = p[emptyLines(p):]
	var scan headerScan
	if cut = min(cut, len(p)); cut > 0 {
		scan.look(p[:cut], 1<<20)
	}
	size, ready := scan.look(p, 1<<20)
	if size < 0 || size > len(p) {
		t.Fatalf("a header of %d bytes in %d", size, len(p))
	}
	r := &blockedReader{rest: p}
	_, err := http.ReadRequest(bufio.NewReaderSize(r, readerSize))
	if !r.blocked && !ready {
		t.Fatalf("net/http has read %q (%v), but the scan waits", p, err)
	}
}

func TestHeaderScanIsNeverLaterThanNetHTTP(t *testing.T) {
	for _, test := range scans {
		for n := range len(test.input) + 1 {
			scanInTime(t, []byte(test.input[:n]), n/2)
		}
	}
}

func FuzzHeaderScan(f *testing.F) {
	for _, test := range scans {
		f.Add([]byte(test.input), 5)
	}
	f.Add([]byte("CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n"), 3)
	f.Add([]byte("GET http://a/ HTTP/1.1\r\nA:b\r\n\tc\r\n\r\n"), 30)
	f.Fuzz(func(t *testing.T, p []byte, cut int) { scanInTime(t, p, max(0, cut)) })
}

func TestEmptyLinesAreCounted(t *testing.T) {
	for input, want := range map[string]int{"": 0, "\r": 0, "\r\n": 2, "\n": 1, "\n\r\n\nG": 4, "\r\r\n": 0, "G\r\n": 0, "\r\n\r": 2} {
		if got := emptyLines([]byte(input)); got != want {
			t.Errorf("%q: %d bytes of empty lines; want %d", input, got, want)
		}
	}
}

func TestAHeaderThatDripsIsScannedOnce(t *testing.T) {
	var b bytes.Buffer
	b.WriteString("GET / HTTP/1.1\r\n")
	for i := 0; b.Len() < 256<<10; i++ {
		fmt.Fprintf(&b, "Field-%d: value\r\n", i)
	}
	p := b.Bytes()
	var scan headerScan
	for n := range len(p) {
		if _, ready := scan.look(p[:n], 1<<20); ready {
			t.Fatalf("ready after %d bytes", n)
		}
		if n > 8 && int(scan.searched) < n-1 {
			t.Fatalf("after %d bytes only %d need not be looked at again", n, scan.searched)
		}
	}
}
