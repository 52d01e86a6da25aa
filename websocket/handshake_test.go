package websocket

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard"
)

// The example of RFC 6455, section 1.3.
func TestTheKeyOfTheRFC(t *testing.T) {
	if got := string(appendAccept(nil, "dGhlIHNhbXBsZSBub25jZQ==")); got != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		t.Error(got)
	}
}

func TestRequestsAreHeldAgainstTheRules(t *testing.T) {
	get := "GET /chat?x=1 HTTP/1.1\r\n"
	without := func(name string) string {
		var lines []string
		for _, line := range strings.SplitAfter(askLines, "\r\n") {
			if !strings.HasPrefix(line, name+":") {
				lines = append(lines, line)
			}
		}
		return strings.Join(lines, "")
	}
	address := serve(t, &Upgrader{Handler: echo, Origins: []string{"https://*.good.example", "https://one.example:8443"}}, nil)
	for _, c := range []struct {
		name, request string
		status        int
	}{
		{"a good one", get + askLines, 101},
		{"other cases and lists", "GET / HTTP/1.1\r\nhost: x\r\nupgrade: h2c, WebSocket\r\nconnection: keep-alive, upgrade\r\n" +
			"sec-websocket-key:dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13 \r\n", 101},
		{"lists over several fields", without2(get+askLines, "Connection") + "Connection: keep-alive\r\nConnection: Upgrade\r\n", 101},
		{"a browser on the same host", get + askLines + "Origin: http://test\r\n", 101},
		{"… at the scheme's port", get + without("Host") + "Host: test:443\r\nOrigin: https://test\r\n", 101},
		{"… at another port", get + without("Host") + "Host: test:8080\r\nOrigin: https://test:8080\r\n", 101},
		{"an allowed origin", get + askLines + "Origin: https://a.good.example\r\n", 101},
		{"another allowed origin", get + askLines + "Origin: https://one.example:8443\r\n", 101},

		{"another origin", get + askLines + "Origin: https://evil.example\r\n", 403},
		{"the same name at another port", get + askLines + "Origin: https://test:444\r\n", 403},
		{"an origin that only ends like it", get + askLines + "Origin: https://evilgood.example\r\n", 403},
		{"the domain itself", get + askLines + "Origin: https://good.example\r\n", 403},
		{"an allowed origin without TLS", get + askLines + "Origin: http://a.good.example\r\n", 403},
		{"a page of nowhere", get + askLines + "Origin: null\r\n", 403},
		{"POST", "POST / HTTP/1.1\r\n" + askLines, 405},
		{"HTTP/1.0", "GET / HTTP/1.0\r\n" + askLines, 505},
		{"HTTP/2", "PRI * HTTP/2.0\r\n", 505},
		{"no Host", get + without("Host"), 400},
		{"two Hosts", get + askLines + "Host: other\r\n", 400},
		{"no Upgrade", get + without("Upgrade"), 426},
		{"another Upgrade", get + without("Upgrade") + "Upgrade: h2c\r\n", 426},
		{"no Connection", get + without("Connection"), 426},
		{"a browser's plain page", "GET / HTTP/1.1\r\nHost: test\r\n", 426},
		{"no version", get + without("Sec-WebSocket-Version"), 426},
		{"version 8", get + without("Sec-WebSocket-Version") + "Sec-WebSocket-Version: 8\r\n", 426},
		{"no key", get + without("Sec-WebSocket-Key"), 400},
		{"two keys", get + askLines + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", 400},
		{"a short key", get + without("Sec-WebSocket-Key") + "Sec-WebSocket-Key: dGhlIHNhbXBsZQ==\r\n", 400},
		{"a key that is not base64", get + without("Sec-WebSocket-Key") + "Sec-WebSocket-Key: ************************\r\n", 400},
		{"a body", get + askLines + "Content-Length: 5\r\n", 400},
		{"a chunked body", get + askLines + "Transfer-Encoding: chunked\r\n", 400},
		{"a line without a colon", get + askLines + "nonsense\r\n", 400},
		{"a continued line", get + askLines + " folded\r\n", 400},
		{"a name with a space", get + askLines + "X : y\r\n", 400},
		{"a control character", get + askLines + "X: a\x00b\r\n", 400},
		{"not HTTP", "hello, is anybody there?\r\n", 400},
		{"no target", "GET HTTP/1.1\r\n" + askLines, 400},
		{"a long header", get + askLines + "X: " + strings.Repeat("x", 20<<10) + "\r\n", 431},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, cut := range []int{0, 1, len(c.request) / 2} {
				r := connect(t, address)
				go func() {
					request := []byte(c.request + "\r\n")
					if cut == 1 && len(request) < 1000 {
						for i := range request {
							if _, err := r.conn.Write(request[i : i+1]); err != nil {
								return
							}
						}
						return
					}
					r.conn.Write(request[:cut])
					r.conn.Write(request[cut:])
				}()
				r.answered(c.status)
				if c.status != 101 {
					body, _ := io.ReadAll(r.head.Body)
					if len(body) < 10 {
						t.Errorf("it is told no reason: %q", body)
					}
					if !r.head.Close {
						t.Error("the answer does not say that the connection ends")
					}
					if c.status == 426 && !hasToken([]byte(r.head.Header.Get("Upgrade")), "websocket") {
						t.Error("the answer does not say to what to upgrade")
					}
					if cut == 0 {
						r.wantsEnd()
					}
					r.conn.Close()
					continue
				}
				r.write(frame(0x81, true, "hello"))
				r.wants(opText, "hello")
			}
		})
	}
}

// without2 drops a field from a whole request.
func without2(request, name string) string {
	i := strings.Index(request, name+":")
	return request[:i] + request[i+strings.Index(request[i:], "\r\n")+2:]
}

func TestTLSAtAPlainServerIsRefusedAtOnce(t *testing.T) {
	r := connect(t, serve(t, &Upgrader{Handler: echo}, nil))
	r.write([]byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"))
	r.answered(400)
}

func TestASlowRequestIsGivenUp(t *testing.T) {
	r := connect(t, serve(t, &Upgrader{Handler: echo, Options: Options{HandshakeTimeout: 50 * time.Millisecond}}, nil))
	r.write([]byte("GET / HTTP/1.1\r\nHost: x\r\n"))
	r.answered(408)
	io.Copy(io.Discard, r.head.Body)
	r.wantsEnd()
	// Who is done in time stays.
	r = dialRaw(t, serve(t, &Upgrader{Handler: echo, Options: Options{HandshakeTimeout: time.Second}}, nil))
	time.Sleep(1200 * time.Millisecond)
	r.write(frame(0x81, true, "hello"))
	r.wants(opText, "hello")
}

func TestWhatCameWithTheRequestIsNotLost(t *testing.T) {
	engines(t, func(t *testing.T, engine string) {
		r := connect(t, serve(t, &Upgrader{Handler: echo}, &switchboard.Server{Engine: engine}))
		r.write(join([]byte("GET / HTTP/1.1\r\n"+askLines+"\r\n"), frame(0x81, true, "early"), frame(0x82, true, "bird")[:3]))
		r.answered(101)
		r.wants(opText, "early")
	})
}

func TestSubprotocols(t *testing.T) {
	w := newWitness(nil)
	address := serve(t, &Upgrader{Handler: w, Options: Options{Subprotocols: []string{"chat.v2", "chat.v1"}}}, nil)
	for offer, want := range map[string]string{
		"":                                    "",
		"Sec-WebSocket-Protocol: chat.v1\r\n": "chat.v1",
		"Sec-WebSocket-Protocol: chat.v3, chat.v1, chat.v2\r\n":                  "chat.v1",
		"Sec-WebSocket-Protocol: chat.v3\r\nSec-WebSocket-Protocol: chat.v2\r\n": "chat.v2",
		"Sec-WebSocket-Protocol: none\r\n":                                       "",
		"Sec-WebSocket-Protocol: CHAT.V1\r\n":                                    "",
	} {
		r := dialRaw(t, address, offer)
		if got := r.head.Header.Get("Sec-WebSocket-Protocol"); got != want {
			t.Errorf("%q: answered %q, want %q", offer, got, want)
		}
		if got := w.conn(t).Subprotocol(); got != want {
			t.Errorf("%q: %q, want %q", offer, got, want)
		}
	}
}

func TestCheckDecides(t *testing.T) {
	loud := MessageFunc(func(c *Conn, kind Kind, p []byte) error { return c.Write(kind, []byte(strings.ToUpper(string(p)))) })
	address := serve(t, &Upgrader{Handler: echo, Check: func(r *http.Request, header http.Header) (Handler, error) {
		header.Set("X-Seen", r.URL.Path)
		header.Set("Sec-WebSocket-Accept", "mine")
		switch {
		case r.URL.Path == "/loud":
			return loud, nil
		case r.URL.Path == "/login":
			header.Set("WWW-Authenticate", "Basic")
			return nil, &Refusal{401, "who are you?"}
		case r.URL.Path == "/no":
			return nil, errors.New("not you")
		case r.RemoteAddr == "" || r.Host != "test":
			return nil, fmt.Errorf("%q %q", r.RemoteAddr, r.Host)
		}
		return nil, nil
	}}, nil)
	for path, c := range map[string]struct {
		status int
		text   string
	}{"/": {101, "hello"}, "/loud": {101, "HELLO"}, "/login": {401, "who are you?\n"}, "/no": {403, "not you\n"}} {
		r := connect(t, address)
		r.write([]byte("GET " + path + " HTTP/1.1\r\n" + askLines + "\r\n"))
		r.answered(c.status)
		if seen := r.head.Header.Get("X-Seen"); seen != path {
			t.Errorf("%s: a field of the answer is %q", path, seen)
		}
		if c.status == 101 {
			r.write(frame(0x81, true, "hello"))
			r.wants(opText, c.text)
		} else if body, _ := io.ReadAll(r.head.Body); string(body) != c.text {
			t.Errorf("%s: told %q", path, body)
		}
		if path == "/login" && r.head.Header.Get("WWW-Authenticate") != "Basic" {
			t.Error("a field of the refusal is missing")
		}
	}
}

func TestWrongOptionsAreTold(t *testing.T) {
	for _, u := range []*Upgrader{
		{},
		{Handler: echo, Options: Options{MaxMessage: -1}},
		{Handler: echo, Options: Options{Subprotocols: []string{"a b"}}},
		{Handler: echo, Options: Options{Subprotocols: []string{"a", "b", "a"}}},
		{Handler: echo, Origins: []string{"https://example.org", "example.org"}},
		{Handler: echo, Options: Options{Deflate: &Deflate{Level: 10}}},
		{Handler: echo, Options: Options{Deflate: &Deflate{WindowBits: 7}}},
	} {
		if _, err := u.Accept(nil); err == nil || !strings.HasPrefix(err.Error(), "websocket: ") {
			t.Errorf("%+v: %v", u.Options, err)
		}
	}
}

// A head cut anywhere is not yet answered, and any bytes are answered or waited for, never worse.
func FuzzRequest(f *testing.F) {
	f.Add([]byte("GET / HTTP/1.1\r\n" + askLines + "\r\n"))
	f.Add([]byte("GET / HTTP/1.1\r\n" + askLines + "Sec-WebSocket-Extensions: permessage-deflate; x=\"a,b\"\r\nSec-WebSocket-Protocol: a, b\r\n\r\n"))
	f.Add([]byte("POST / HTTP/1.0\r\n\r\n"))
	s, err := Options{Subprotocols: []string{"a"}, Deflate: &Deflate{}}.resolve(&Upgrader{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, head []byte) {
		mayBeRequest(head)
		r, err := parseRequest(head, s)
		if err == nil {
			err = r.check([]string{"https://*.x"})
		}
		if err == nil && (len(r.key) != keyLength || string(r.method) != "GET" || r.hosts != 1) {
			t.Fatalf("%q is taken as %+v", head, r)
		}
		if no := (*refusal)(nil); err != nil && (!errors.As(err, &no) || !strings.HasPrefix(string(no.answer()), "HTTP/1.1 4") &&
			!strings.HasPrefix(string(no.answer()), "HTTP/1.1 5")) {
			t.Fatalf("%q: %v", head, err)
		}
	})
}
