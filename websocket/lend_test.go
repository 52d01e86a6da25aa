package websocket

import (
	"bufio"
	"net"
	"net/http"
	"strings"

	"github.com/switchboard-go/switchboard"
)

func newReader(s string) *bufio.Reader { return bufio.NewReader(strings.NewReader(s)) }

// A lentWriter can be hijacked. What it gives away can go back to its loop.
type lentWriter struct {
	http.ResponseWriter
	c     *switchboard.Conn
	ahead string
}

func (w *lentWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	in := newReader(w.ahead)
	in.Peek(1)
	return &lentConn{c: w.c}, bufio.NewReadWriter(in, bufio.NewWriter(nil)), nil
}

type lentConn struct {
	net.Conn
	c *switchboard.Conn
}

func (l *lentConn) Loop(ahead []byte, begin func(*switchboard.Conn) (switchboard.Handler, error)) error {
	ahead = append([]byte(nil), ahead...)
	return l.c.Do(func() {
		h, err := begin(l.c)
		if err != nil {
			l.c.Abort()
			return
		}
		l.c.SetHandler(h)
		h.Data(l.c, ahead)
	})
}
