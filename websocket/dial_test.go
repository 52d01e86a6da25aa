package websocket

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/certs"
	"github.com/switchboard-go/switchboard/internal/systest"
)

// loops returns a server for clients.
func loops(t testing.TB, engine string) *switchboard.Server {
	s := &switchboard.Server{Engine: engine, Logger: quiet}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestAClientSpeaksWithAServer(t *testing.T) {
	engines(t, func(t *testing.T, engine string) {
		own, err := certs.SelfSigned("127.0.0.1")
		if err != nil {
			t.Fatal(err)
		}
		pool := x509.NewCertPool()
		leaf, err := x509.ParseCertificate(own.Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		pool.AddCert(leaf)
		config := &tls.Config{Certificates: []tls.Certificate{own}}
		plain := serve(t, &Upgrader{Handler: echo}, &switchboard.Server{Engine: engine})
		secure := serve(t, &Upgrader{Handler: echo}, &switchboard.Server{Engine: engine, TLSConfig: config})
		at := []string{"ws://" + plain, "ws://" + plain + "/path?and=query", "wss://" + secure}
		if systest.HasUnix() {
			path := filepath.Join(t.TempDir(), "s.sock")
			unix := &switchboard.Server{Engine: engine, Logger: quiet}
			u := &Upgrader{Handler: echo}
			unix.Accept = u.Accept
			l, err := net.Listen("unix", path)
			if err != nil {
				t.Fatal(err)
			}
			go unix.Serve(l)
			t.Cleanup(func() { unix.Close() })
			at = append(at, "ws+unix:"+path, "ws+unix://"+path+":/chat")
		}
		d := &Dialer{Server: loops(t, engine), TLSConfig: &tls.Config{RootCAs: pool}}
		for _, at := range at {
			got := make(chan string, 1)
			w := newWitness(func(c *Conn, kind Kind, p []byte) error {
				got <- kind.String() + ":" + string(p)
				return io.EOF
			})
			c, err := d.Dial(t.Context(), at, w)
			if err != nil {
				t.Fatal(at, err)
			}
			if w.conn(t) != c {
				t.Error("Opened was told of another one")
			}
			if err := c.Write(Text, []byte("grüße")); err != nil {
				t.Error(at, err)
			}
			if s := <-got; s != "text:grüße" {
				t.Errorf("%s: %q", at, s)
			}
			if err := w.end(t); err != nil {
				t.Errorf("%s: told %v", at, err)
			}
			if strings.HasPrefix(at, "wss") && c.Conn().TLS() == nil {
				t.Error("there is no TLS")
			}
		}
	})
}

func TestURLsThatCannotBeDialled(t *testing.T) {
	d := &Dialer{Server: loops(t, "")}
	for _, c := range [][2]string{
		{"http://x/", "try ws://"}, {"https://x/", "try wss://"}, {"ftp://x", "ws, wss and ws+unix"}, {"127.0.0.1:80", ""},
		{"ws://", "host is missing"}, {"ws://:80", "host is missing"}, {"ws://x/#y", "fragment"}, {"ws+unix:", "path of a socket"},
		{"ws://x\x00", ""}, {"ws+unix:/s:/a b", "space"}, {"ws://x:99999/", ""},
	} {
		if _, err := d.Dial(t.Context(), c[0], echo); err == nil || !strings.Contains(err.Error(), c[1]) {
			t.Errorf("%q: %v", c[0], err)
		}
	}
	if _, err := d.Dial(t.Context(), "ws://x", nil); err == nil {
		t.Error("without a handler")
	}
	for name, value := range map[string]string{"Connection": "close", "content-length": "5", "Transfer-Encoding": "chunked", "Expect": "100-continue",
		"Sec-WebSocket-Protocol": "a", "Keep-Alive": "1", "Host": "a b", "host": "", "A b": "c", "X": "a\r\nb: c"} {
		bad := &Dialer{Server: d.Server, Header: http.Header{name: {value}}}
		if _, err := bad.Dial(t.Context(), "ws://x", echo); err == nil || !strings.HasPrefix(err.Error(), "websocket: Dialer.Header: ") {
			t.Errorf("%s: %q: %v", name, value, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := d.Dial(ctx, "ws://127.0.0.1:1", echo); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// answering serves each connection once with an answer to its request.
func answering(t *testing.T, answer func(r *http.Request) string) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				r, err := http.ReadRequest(bufio.NewReader(c))
				if err != nil {
					return
				}
				if a := answer(r); a != "" {
					io.WriteString(c, a)
				} else {
					io.Copy(io.Discard, c)
				}
			}()
		}
	}()
	return l.Addr().String()
}

func TestWrongAnswersAreTold(t *testing.T) {
	good := func(r *http.Request) string {
		return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " +
			string(appendAccept(nil, r.Header.Get("Sec-WebSocket-Key"))) + "\r\n"
	}
	for name, c := range map[string]struct {
		answer func(r *http.Request) string
		says   string
		status int
	}{
		"404": {func(*http.Request) string {
			return "HTTP/1.1 404 Not Found\r\nX-A: b\r\nContent-Length: 5\r\n\r\nsorry"
		}, "Not Found", 404},
		"200": {func(*http.Request) string { return "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" }, "OK", 200},
		"302": {func(*http.Request) string { return "HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n" }, "Found", 302},
		"no accept": {func(r *http.Request) string {
			return "HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
		}, "Sec-WebSocket-Accept", 101},
		"another key's accept": {func(r *http.Request) string {
			return "HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
		}, "Sec-WebSocket-Accept", 101},
		"no upgrade": {func(r *http.Request) string {
			return strings.Replace(good(r), "Upgrade: websocket", "X: y", 1) + "\r\n"
		}, "does not switch", 101},
		"an extension":  {func(r *http.Request) string { return good(r) + "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n" }, "extensions", 101},
		"a subprotocol": {func(r *http.Request) string { return good(r) + "Sec-WebSocket-Protocol: other\r\n\r\n" }, "subprotocol", 101},
		"not HTTP":      {func(*http.Request) string { return "SSH-2.0-x\r\n" }, "SSH-2.0", 0},
		"closed":        {func(*http.Request) string { return "HTTP/1.1 101 Swi" }, "closed the connection", 0},
		"long":          {func(*http.Request) string { return "HTTP/1.1 101 S\r\nX: " + strings.Repeat("x", 20<<10) }, "longer than", 0},
		"broken":        {func(*http.Request) string { return "HTTP/1.1 huh\r\n\r\n" }, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWitness(nil)
			d := &Dialer{Server: loops(t, ""), Options: Options{Subprotocols: []string{"mine"}}}
			if _, err := d.Dial(t.Context(), "ws://"+answering(t, c.answer), w); err != nil {
				t.Fatal(err)
			}
			err := w.end(t)
			var no *HandshakeError
			if !errors.As(err, &no) || no.Status != c.status || !strings.Contains(err.Error(), c.says) {
				t.Errorf("told %v", err)
			}
			if name == "404" && (no.Header.Get("X-A") != "b" || string(no.Body) != "sorry") {
				t.Errorf("the answer is %v %q", no.Header, no.Body)
			}
		})
	}
	// What is not final is passed over, and what comes with the answer is not lost.
	w := newWitness(func(c *Conn, kind Kind, p []byte) error { return io.EOF })
	d := &Dialer{Server: loops(t, "")}
	at := answering(t, func(r *http.Request) string {
		return "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + good(r) + "\r\n" + string(frame(0x81, false, "first")) + string(frame(0x88, false, "\x03\xe8"))
	})
	if _, err := d.Dial(t.Context(), "ws://"+at, w); err != nil {
		t.Fatal(err)
	}
	if err := w.end(t); err != nil || len(w.told) != 1 || w.told[0] != "text:first" {
		t.Errorf("told %q and %v", w.told, err)
	}
}

func TestDiallingFails(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead := l.Addr().String()
	l.Close()
	silent := answering(t, func(*http.Request) string { return "" })
	w := newWitness(nil)
	d := &Dialer{Server: loops(t, ""), Options: Options{HandshakeTimeout: 50 * time.Millisecond}}
	d.Dial(t.Context(), "ws://"+dead, w)
	if err := w.end(t); !errors.Is(err, syscall.ECONNREFUSED) || !strings.Contains(err.Error(), dead) {
		t.Errorf("nobody listens: %v", err)
	}
	d.Dial(t.Context(), "ws://"+silent, w)
	if err := w.end(t); !errors.Is(err, ErrHandshakeTimeout) {
		t.Errorf("no answer: %v", err)
	}
	patient := &Dialer{Server: d.Server}
	ctx, cancel := context.WithCancelCause(t.Context())
	c, err := patient.Dial(ctx, "ws://"+silent, w)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Write(Text, nil); err != ErrNotOpen {
		t.Errorf("a write before the handshake: %v", err)
	}
	why := errors.New("changed my mind")
	time.AfterFunc(20*time.Millisecond, func() { cancel(why) })
	if err := w.end(t); !errors.Is(err, why) {
		t.Errorf("cancelled: %v", err)
	}
	c, err = patient.Dial(t.Context(), "ws://"+silent, w)
	if err != nil {
		t.Fatal(err)
	}
	c.Close(CodeNormal, "")
	if err := w.end(t); !errors.Is(err, switchboard.ErrAborted) {
		t.Errorf("closed: %v", err)
	}
}

func TestAClientSendsItsHeaderAndSubprotocols(t *testing.T) {
	asked := make(chan *http.Request, 1)
	u := &Upgrader{Handler: echo, Options: Options{Subprotocols: []string{"two"}}, Check: func(r *http.Request, _ http.Header) (Handler, error) {
		asked <- r
		return nil, nil
	}}
	address := serve(t, u, nil)
	w := newWitness(nil)
	d := &Dialer{Server: loops(t, ""), Header: http.Header{"Cookie": {"a=b"}, "Host": {"name.example"}},
		Options: Options{Subprotocols: []string{"one", "two"}}}
	if _, err := d.Dial(t.Context(), "ws://user:pass@"+address+"/x", w); err != nil {
		t.Fatal(err)
	}
	c := w.conn(t)
	r := <-asked
	if user, pass, _ := r.BasicAuth(); r.Host != "name.example" || r.Header.Get("Cookie") != "a=b" || user != "user" || pass != "pass" || r.URL.Path != "/x" {
		t.Errorf("asked %+v", r)
	}
	if c.Subprotocol() != "two" {
		t.Errorf("the subprotocol is %q", c.Subprotocol())
	}
	c.Abort()
	if err := w.end(t); !errors.Is(err, switchboard.ErrAborted) {
		t.Error(err)
	}
}

// The server says goodbye: its client answers, and leaves the end of TCP to it.
func TestAClientAnswersAClose(t *testing.T) {
	address := serve(t, &Upgrader{Handler: MessageFunc(func(*Conn, Kind, []byte) error { return &CloseError{4000, "go"} })}, nil)
	w := newWitness(nil)
	c, err := (&Dialer{Server: loops(t, "")}).Dial(t.Context(), "ws://"+address, w)
	if err != nil {
		t.Fatal(err)
	}
	w.conn(t)
	c.Write(Text, nil)
	var closed *CloseError
	if err := w.end(t); !errors.As(err, &closed) || closed.Code != 4000 || closed.Reason != "go" {
		t.Errorf("told %v", err)
	}
}

// tunnels is an HTTP proxy.
func tunnels(t *testing.T, status int, secure bool) (*url.URL, *atomic.Int64) {
	count := new(atomic.Int64)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect || status != 200 {
			w.WriteHeader(status)
			return
		}
		count.Add(1)
		to, err := net.Dial("tcp", r.Host)
		if err != nil {
			w.WriteHeader(502)
			return
		}
		w.WriteHeader(200)
		nc, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		go func() {
			io.Copy(to, rw)
			to.Close()
		}()
		io.Copy(nc, to)
		nc.Close()
	}))
	if secure {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	return u, count
}

func TestThroughAProxy(t *testing.T) {
	own, err := certs.SelfSigned("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	plain := serve(t, &Upgrader{Handler: echo}, nil)
	secure := serve(t, &Upgrader{Handler: echo}, &switchboard.Server{TLSConfig: &tls.Config{Certificates: []tls.Certificate{own}}})
	proxy, count := tunnels(t, 200, false)
	d := &Dialer{Server: loops(t, ""), Proxy: func(r *http.Request) (*url.URL, error) {
		if r.URL.Scheme != "http" && r.URL.Scheme != "https" {
			return nil, fmt.Errorf("the scheme is %s", r.URL.Scheme)
		}
		return proxy, nil
	}, TLSConfig: &tls.Config{InsecureSkipVerify: true}}
	for _, at := range []string{"ws://" + plain, "wss://" + secure} {
		got := make(chan string, 1)
		w := newWitness(func(c *Conn, kind Kind, p []byte) error {
			got <- string(p)
			return io.EOF
		})
		c, err := d.Dial(t.Context(), at, w)
		if err != nil {
			t.Fatal(err)
		}
		w.conn(t)
		if err := c.Write(Text, []byte("hello")); err != nil {
			t.Error(err)
		}
		if s := <-got; s != "hello" {
			t.Errorf("%s: %q", at, s)
		}
		if err := w.end(t); err != nil {
			t.Errorf("%s: told %v", at, err)
		}
	}
	if count.Load() != 2 {
		t.Errorf("the proxy made %d tunnels", count.Load())
	}
	refusing, _ := tunnels(t, 407, false)
	proxy = refusing
	w := newWitness(nil)
	d.Dial(t.Context(), "ws://"+plain, w)
	var no *HandshakeError
	if err := w.end(t); !errors.As(err, &no) || no.Status != 407 {
		t.Errorf("told %v", err)
	}
	c, _ := d.Dial(t.Context(), "ws://"+plain, w)
	c.Abort()
	if err := w.end(t); err == nil {
		t.Error("aborted, and told nothing")
	}
}
