package websocket

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/switchboard-go/switchboard"
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

// A connection that a library on loops has lent to net/http, as package web does, goes back to its loop.
func TestUpgradeOfALoopsConnection(t *testing.T) {
	w := newWitness(func(c *Conn, kind Kind, p []byte) error { return c.Write(kind, p) })
	u := &Upgrader{Handler: w}
	s := &switchboard.Server{Logger: quiet, Accept: func(*switchboard.Conn) (switchboard.Handler, error) { return &lender{u: u}, nil }}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go s.Serve(l)
	defer s.Close()
	r := connect(t, l.Addr().String())
	r.write(join([]byte("GET / HTTP/1.1\r\n"+askLines+"\r\n"), frame(0x81, true, "early")))
	r.answered(101)
	r.wants(opText, "early")
	if w.conn(t).Conn().Server() != s {
		t.Error("it left its loop")
	}
	r.conn.Close()
	w.end(t)
}

// A lender has an Upgrader serve its connection from the first request on.
type lender struct{ u *Upgrader }

func (l *lender) Data(c *switchboard.Conn, p []byte) (int, error) {
	head, ahead, ok := strings.Cut(string(p), "\r\n\r\n")
	if !ok {
		return 0, nil
	}
	r, err := http.ReadRequest(newReader(head + "\r\n\r\n"))
	if err != nil {
		return 0, err
	}
	lent := &lentWriter{ResponseWriter: httptest.NewRecorder(), c: c, ahead: ahead}
	return len(p), l.u.Upgrade(lent, r, l.u.Handler)
}

func (l *lender) Closed(*switchboard.Conn, error) {}
