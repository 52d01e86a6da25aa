package web_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httputil"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

// everything is what the differential tests ask: each path another thing that net/http offers.
func everything() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s for %s, %d bytes announced\n", r.Method, r.RequestURI, r.Host, r.ContentLength)
	})
	mux.HandleFunc("/dump", func(w http.ResponseWriter, r *http.Request) {
		b, err := httputil.DumpRequest(r, true)
		fmt.Fprintf(w, "%q %v\n", b, err)
	})
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		if n, err := io.Copy(w, r.Body); err != nil {
			fmt.Fprintf(w, "after %d bytes: %v", n, err)
		}
	})
	mux.HandleFunc("/unread", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "not read") })
	mux.HandleFunc("/large", func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(r.FormValue("n"))
		io.Copy(w, io.LimitReader(zeros{}, int64(min(n, 1<<20))))
	})
	mux.HandleFunc("/length", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "5")
		io.WriteString(w, r.FormValue("body"))
	})
	mux.HandleFunc("/flush", func(w http.ResponseWriter, r *http.Request) {
		for i := range 3 {
			fmt.Fprintf(w, "part %d\n", i)
			w.(http.Flusher).Flush()
		}
	})
	mux.HandleFunc("/trailer", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "Sum")
		io.Copy(w, r.Body)
		w.Header().Set("Sum", fmt.Sprint(r.Trailer))
		w.Header().Set(http.TrailerPrefix+"More", "yes")
	})
	mux.HandleFunc("/status", func(w http.ResponseWriter, r *http.Request) {
		code, _ := strconv.Atoi(r.FormValue("code"))
		w.WriteHeader(max(200, min(code, 599)))
	})
	mux.HandleFunc("/early", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		io.WriteString(w, "then this")
	})
	mux.HandleFunc("/close", func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Connection", "close") })
	mux.HandleFunc("/panic", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "half of it")
		panic(http.ErrAbortHandler)
	})
	mux.HandleFunc("/panic-late", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "half of it")
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	})
	mux.HandleFunc("/toolarge", func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 8))
		fmt.Fprintf(w, "%q %v", b, err)
	})
	mux.HandleFunc("/duplex", func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).EnableFullDuplex()
		io.WriteString(w, "first this, then ")
		io.Copy(w, r.Body)
	})
	mux.HandleFunc("/file", func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "alphabet.txt", time.Unix(1e9, 0), strings.NewReader("abcdefghijklmnopqrstuvwxyz"))
	})
	mux.HandleFunc("/hijack", func(w http.ResponseWriter, r *http.Request) {
		conn, rw, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\n\r\n")
		io.Copy(conn, rw)
	})
	return mux
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// smuggled are requests that servers and proxies have disagreed about.
var smuggled = []string{
	"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n2\r\nab\r\n0\r\n\r\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcdeGET /x HTTP/1.1\r\nHost: a\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\nabcdGET /x HTTP/1.1\r\nHost: a\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4, 4\r\n\r\nabcdGET /x HTTP/1.1\r\nHost: a\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +4\r\n\r\nabcd",
	"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\nabcd",
	"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x4\r\n\r\nabcd",
	"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551616\r\n\r\nabcd",
	"POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: a\r\nContent-Length : 4\r\n\r\nabcd",
	"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\tchunked\r\n\r\n0\r\n\r\n" + get("/x"),
	"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + get("/x"),
	"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;ext=1\r\nhello\r\n0\r\nTrailer: x\r\n\r\n" + get("/x"),
	"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nhello\r\n0\r\n\r\n",
	"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nhello\r\n0\r\n\r\n",
	"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloX\r\n0\r\n\r\n",
	"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\n0\n\n" + get("/x"),
	"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: a\r\nFolded: one\r\n two\r\n\r\n" + get("/x"),
	"GET / HTTP/1.1\r\n Host: a\r\n\r\n" + get("/x"),
	"GET / HTTP/1.1\r\nHost: a\r\nX: \x00\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n",
	"GET / HTTP/1.1\nHost: a\n\nGET /x HTTP/1.1\nHost: a\n\n",
	"GET / HTTP/1.1\r\nHost: a\n\r\n" + get("/x"),
	"GET / HTTP/1.1\r\nHost: a\r\r\n\r\n" + get("/x"),
	"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
	"GET / HTTP/1.1\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
	"GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET /\tHTTP/1.1\r\nHost: a\r\n\r\n",
	"GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
	"GET / HTTP/1.2\r\nHost: a\r\n\r\n",
	"GET / HTTP/3.0\r\nHost: a\r\n\r\n",
	"GET / http/1.1\r\nHost: a\r\n\r\n",
	"GET /\r\n",
	"GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET //evil/ HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET /a%zz HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET /#frag HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n",
	"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n" + get("/x"),
	"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n",
	"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
	"hello\r\n",
	"hello",
	"GET / HTTP/1.1\r\nHost: a\r\n",
	"GET / HT",
	"G",
	get("/") + "0C\n",
	get("/") + "0C\n\n",
	get("/") + "G",
	get("/") + "GET / HT",
}

// asked are requests in order.
var asked = []string{
	get("/"),
	"HEAD /dump HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET /dump HTTP/1.0\r\nConnection: keep-alive\r\nA: b\r\n\r\n",
	"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\nhello,\r\nyou",
	"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n, you!\r\n0\r\n\r\n",
	"POST /trailer HTTP/1.1\r\nHost: a\r\nTrailer: T\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nT: 1\r\n\r\n",
	"PUT /unread HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nabcd",
	"POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
	"POST /dump HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
	get("/large?n=100"), get("/large?n=2048"), get("/large?n=5000"), get("/large?n=300000"),
	get("/length?body=short"), get("/flush"), get("/early"), get("/file"), get("/status?code=204"), get("/status?code=304"),
	"GET /file HTTP/1.1\r\nHost: a\r\nRange: bytes=3-5\r\n\r\n",
	"GET /file HTTP/1.1\r\nHost: a\r\nRange: bytes=0-1,4-5,90-\r\nIf-Range: x\r\n\r\n",
	"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
	"POST /duplex HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nthat!",
}

// ending are requests after which the server closes.
var ending = []string{
	get("/close"), get("/panic"), get("/panic-late"), get("/length?body=1"), "GET / HTTP/1.0\r\n\r\n", "GET /flush HTTP/1.0\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
	"POST /echo HTTP/1.1\r\nHost: a\r\nExpect: the-unexpected\r\nContent-Length: 3\r\n\r\nabc",
	"GET /hijack HTTP/1.1\r\nHost: a\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\nthis\r\ncomes\r\nback",
	"POST /toolarge HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\n\r\ntwelve bytes",
	"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nless",
}

// A pair is net/http and another server of the same handlers.
type pair struct {
	plain, looped string
}

func newPair(t testing.TB, s server) pair {
	return pair{
		plain:  server{name: "net-http"}.start(t, &http.Server{Handler: everything(), MaxHeaderBytes: 4096}),
		looped: s.start(t, &http.Server{Handler: everything(), MaxHeaderBytes: 4096}),
	}
}

// agrees makes sure that both answer pieces alike.
func (p pair) agrees(t testing.TB, pieces [][]byte, pause func()) {
	t.Helper()
	want, reset := exchange(t, p.plain, pieces, pause)
	got, ours := exchange(t, p.looped, pieces, pause)
	// A reset may cost the client the last of what it was sent. On the loops an answer that is cut short ends with one.
	if reset {
		want = want[:bytes.LastIndexByte(want, '\n')+1] // a part of a date has no mask
	}
	want, got = masked(want), masked(got)
	cutShort := bytes.Contains(bytes.Join(pieces, nil), []byte("GET /panic"))
	if ours && !reset && !cutShort || !bytes.Equal(got, want) && !(reset && bytes.HasPrefix(got, want)) {
		t.Errorf("to %q\nnet/http says %.2000q, reset %v\n  on the loops %.2000q, reset %v", pieces, want, reset, got, ours)
	}
}

// cut cuts s into pieces at random.
func cut(random *rand.Rand, s string, pieces int) (cuts [][]byte) {
	for ; pieces > 1 && len(s) > 1; pieces-- {
		n := 1 + random.IntN(len(s)-1)
		cuts, s = append(cuts, []byte(s[:n])), s[n:]
	}
	return append(cuts, []byte(s))
}

func TestAnswersAreThoseOfNetHTTP(t *testing.T) {
	onTheLoops(t, func(t *testing.T, s server) {
		p := newPair(t, s)
		for _, request := range append(append(append([]string(nil), smuggled...), asked...), ending...) {
			p.agrees(t, [][]byte{[]byte(request)}, nil)
			for _, at := range []int{len(request) / 2, len(request) - 3, len(request) - 1} {
				if at > 0 {
					p.agrees(t, [][]byte{[]byte(request[:at]), []byte(request[at:])}, func() { time.Sleep(100 * time.Microsecond) })
				}
			}
		}
		p.agrees(t, [][]byte{[]byte("GET / HTTP/1.1\r\nHost: a\r\nLong: " + strings.Repeat("a", 100_000) + "\r\n\r\n")}, nil)
		p.agrees(t, [][]byte{[]byte("GET /" + strings.Repeat("a", 7000) + " HTTP/1.1\r\nHost: a\r\n\r\n" + get("/"))}, nil)
	})
}

func TestAnswersInEveryCutAndDepthAreThoseOfNetHTTP(t *testing.T) {
	onTheLoops(t, func(t *testing.T, s server) {
		p := newPair(t, s)
		random := rand.New(rand.NewPCG(1, 2))
		rounds := 40
		if testing.Short() {
			rounds = 5
		}
		for range rounds {
			var b strings.Builder
			for range 1 + random.IntN(20) {
				b.WriteString(asked[random.IntN(len(asked))])
			}
			if random.IntN(2) == 0 {
				last := append(ending, smuggled...)
				b.WriteString(last[random.IntN(len(last))])
			}
			slow := random.IntN(4) == 0
			p.agrees(t, cut(random, b.String(), 1+random.IntN(30)), func() {
				if slow {
					time.Sleep(time.Duration(rand.IntN(2000)) * time.Microsecond) // on several goroutines
				}
			})
		}
	})
}

// mayBeSkipped matches input in which a request may follow an empty line: behind another one, or behind a body. Package web
// takes it as RFC 9112, section 2.2 says; net/http refuses it unless the request before was a POST.
var mayBeSkipped = regexp.MustCompile(`^\r?\n|\n\r?\n(.|\n)*\n`)

// FuzzAnswers has both servers answer anything, in pieces.
func FuzzAnswers(f *testing.F) {
	for _, list := range [][]string{smuggled, asked, ending} {
		for i, request := range list {
			f.Add([]byte(request+list[(i+1)%len(list)]), uint64(i))
		}
	}
	p := newPair(f, servers()[1])
	f.Fuzz(func(t *testing.T, input []byte, seed uint64) {
		if len(input) > 1<<16 {
			return
		}
		random := rand.New(rand.NewPCG(seed, seed))
		pieces := cut(random, string(input), 1+random.IntN(5))
		want, reset := exchange(t, p.plain, pieces, runtime.Gosched)
		got, _ := exchange(t, p.looped, pieces, runtime.Gosched)
		want, got = masked(want), masked(got)
		if bytes.Equal(got, want) || reset && bytes.HasPrefix(got, want) {
			return
		}
		refused := bytes.LastIndex(want, []byte("HTTP/1.1 400 Bad Request"))
		if mayBeSkipped.Match(input) && refused >= 0 && bytes.HasPrefix(got, want[:refused]) {
			return
		}
		t.Errorf("to %q\nnet/http says %.2000q\n  on the loops %.2000q", pieces, want, got)
	})
}
