package websocket

import (
	"context"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/certs"
	"github.com/switchboard-go/switchboard/web"
)

func TestUpgradeFromNetHTTP(t *testing.T) {
	engines(t, func(t *testing.T, engine string) {
		w := newWitness(func(c *Conn, kind Kind, p []byte) error { return c.Write(kind, p) })
		s := loops(t, engine)
		u := &Upgrader{Handler: w, Server: s, Options: Options{Subprotocols: []string{"chat"}}}
		web := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			rw.Header().Set("X-Mine", "yes")
			if err := u.Upgrade(rw, r, w); r.URL.Path == "/" && err != nil {
				t.Error(err)
			}
		}))
		defer web.Close()
		r := connect(t, web.Listener.Addr().String())
		r.write(join([]byte("GET / HTTP/1.1\r\n"+askLines+"Sec-WebSocket-Protocol: chat\r\n\r\n"), frame(0x81, true, "early"), frame(0x81, true, "late")[:4]))
		r.answered(101)
		if h := r.head.Header; h.Get("X-Mine") != "yes" || h.Get("Sec-WebSocket-Protocol") != "chat" {
			t.Errorf("answered %v", h)
		}
		r.wants(opText, "early")
		c := w.conn(t)
		if got := c.Conn().RemoteAddr().String(); got != r.conn.LocalAddr().String() {
			t.Errorf("the peer is %s", got)
		}
		if c.Conn().Server() != s {
			t.Error("it is on another server")
		}
		r.write(frame(0x88, true, "")) // after a frame that was cut: its rest
		if err := c.Close(CodeNormal, ""); err != nil {
			t.Error(err)
		}
		for {
			h, _, err := r.frame()
			if err != nil {
				t.Fatal(err)
			}
			if h.op == opClose {
				break
			}
		}
		bad := connect(t, web.Listener.Addr().String())
		bad.write([]byte("GET /bad HTTP/1.1\r\nHost: x\r\n\r\n"))
		bad.answered(426)
		if bad.head.Header.Get("Upgrade") != "websocket" {
			t.Errorf("answered %v", bad.head.Header)
		}
	})
}

// TLS of net/http: its state is nobody else's, so goroutines stand between.
func TestUpgradeFromNetHTTPOverTLS(t *testing.T) {
	w := newWitness(func(c *Conn, kind Kind, p []byte) error { return c.Write(kind, p) })
	web := httptest.NewTLSServer(&Upgrader{Handler: w, Server: loops(t, "")})
	defer web.Close()
	d := &Dialer{Server: loops(t, ""), TLSConfig: web.Client().Transport.(*http.Transport).TLSClientConfig}
	got := make(chan string, 1)
	client := newWitness(func(c *Conn, kind Kind, p []byte) error {
		got <- string(p)
		return nil
	})
	c, err := d.Dial(t.Context(), "wss"+strings.TrimPrefix(web.URL, "https"), client)
	if err != nil {
		t.Fatal(err)
	}
	client.conn(t)
	long := strings.Repeat("long ", 20000)
	for _, p := range []string{"hello", long} {
		if err := c.Write(Text, []byte(p)); err != nil {
			t.Fatal(err)
		}
		if s := <-got; s != p {
			t.Errorf("%d bytes came back, want %d", len(s), len(p))
		}
	}
	if s := w.conn(t).Conn().RemoteAddr().Network(); s != "tcp" {
		t.Errorf("the peer's network is %s", s)
	}
	c.Close(CodeNormal, "")
	if err := client.end(t); err != nil {
		t.Error(err)
	}
	if err := w.end(t); err != nil {
		t.Error(err)
	}
}

// A connection of package web goes back to its loop, with TLS as without, after other requests on it as at once.
func TestUpgradeOfAConnectionOfWeb(t *testing.T) {
	own, err := certs.SelfSigned("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	engines(t, func(t *testing.T, engine string) {
		for _, secure := range []bool{false, true} {
			w := newWitness(func(c *Conn, kind Kind, p []byte) error { return c.Write(kind, p) })
			loops := &switchboard.Server{Engine: engine, Logger: quiet}
			if secure {
				loops.TLSConfig = &tls.Config{Certificates: []tls.Certificate{own}}
			}
			mux := http.NewServeMux()
			mux.Handle("/ws", &Upgrader{Handler: w})
			mux.HandleFunc("/hello", func(rw http.ResponseWriter, _ *http.Request) { io.WriteString(rw, "hello") })
			s := &web.Server{HTTP: &http.Server{Handler: mux, ErrorLog: log.New(io.Discard, "", 0)}, Loops: loops}
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- s.Serve(l) }()
			r := connect(t, l.Addr().String())
			if secure {
				r.conn = tls.Client(r.conn, &tls.Config{InsecureSkipVerify: true})
				r.in.Reset(r.conn)
			}
			r.write([]byte("GET /hello HTTP/1.1\r\nHost: test\r\n\r\n"))
			r.answered(200)
			if body, _ := io.ReadAll(r.head.Body); string(body) != "hello" {
				t.Errorf("answered %q", body)
			}
			r.write(join([]byte("GET /ws HTTP/1.1\r\n"+askLines+"\r\n"), frame(0x81, true, "early"), frame(0x82, true, "late")[:5]))
			r.answered(101)
			r.wants(opText, "early")
			c := w.conn(t)
			if c.Conn().Server() != loops {
				t.Error("it left its loop")
			}
			if secure != (c.Conn().TLS() != nil) {
				t.Errorf("TLS: %v", c.Conn().TLS())
			}
			c.Close(CodeNormal, "")
			r.wants(opClose, "\x03\xe8")
			r.conn.Close()
			w.end(t)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			if err := loops.Shutdown(ctx); err != nil {
				t.Error(err)
			}
			cancel()
			<-ended
		}
	})
}
