package web_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/web"
)

func newReader(r io.Reader) *bufio.Reader { return bufio.NewReader(r) }

// A leaver echoes, and says goodbye when the loops are shut down.
type leaver struct {
	switchboard.DataFunc
	closed chan error
}

func (h leaver) Leaving(c *switchboard.Conn) {
	io.WriteString(c, "goodbye")
	c.Close()
}

func (h leaver) Closed(_ *switchboard.Conn, err error) { h.closed <- err }

// upgrading is a server whose "/" goes back to the loop, where it is a leaver's.
func upgrading(closed chan error) *http.Server {
	return &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		if r.URL.Path == "/half" {
			io.ReadFull(rw, make([]byte, 4))
		}
		io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\n\r\n")
		ahead, _ := rw.Peek(rw.Reader.Buffered())
		err = conn.(web.Conn).Loop(ahead, func(c *switchboard.Conn) (switchboard.Handler, error) {
			if r.URL.Path == "/refused" {
				return nil, errors.New("refused")
			}
			return leaver{(*switchboard.Conn).Write, closed}, nil
		})
		if err != nil {
			panic(err)
		}
		if r.URL.Path == "/refused" {
			return
		}
		if err := conn.(web.Conn).Loop(nil, nil); err == nil {
			panic("a second Loop: no error")
		}
		if err := conn.Close(); err == nil {
			panic("Close after Loop: no error")
		}
		if _, err := conn.Write([]byte("x")); err == nil {
			panic("Write after Loop: no error")
		}
		if _, err := conn.Read(make([]byte, 1)); err == nil {
			panic("Read after Loop: no error")
		}
	})}
}

func TestAHijackedConnectionGoesBackToTheLoopWithWhatWasReadAhead(t *testing.T) {
	onTheLoops(t, func(t *testing.T, s server) {
		closed := make(chan error, 100)
		address := s.start(t, upgrading(closed))
		const answer = "HTTP/1.1 101 Switching Protocols\r\n\r\n"
		for _, test := range []struct{ request, later, want string }{
			{get("/"), "", ""},
			{get("/"), "later", "later"},
			{get("/") + "at once", "", "at once"},
			{get("/") + "at once", ", later", "at once, later"},
			{get("/half") + "at once", ", later", "nce, later"},
			{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody" + "at once", ", later", "at once, later"},
			{get("/") + strings.Repeat("x", 300_000), "y", strings.Repeat("x", 300_000) + "y"},
		} {
			for _, early := range []bool{true, false} {
				c := dial(t, address)
				c.says(test.request)
				if !early {
					c.hearsHeader()
				}
				go func() {
					io.WriteString(c, test.later)
					c.CloseWrite()
				}()
				if early {
					c.hearsEnd(answer + test.want)
				} else {
					c.hearsEnd(test.want)
				}
				if err := next(t, closed); err != nil {
					t.Errorf("it closed with %v", err)
				}
			}
		}
		c := dial(t, address)
		c.says(get("/refused"))
		if _, err := io.ReadAll(c.r); err == nil {
			t.Error("a connection that was not taken over ends in order")
		}
	})
}

func TestAConnectionBackOnItsLoopIsToldOfShutdown(t *testing.T) {
	onTheLoops(t, func(t *testing.T, s server) {
		closed := make(chan error, 1)
		hs := upgrading(closed)
		address := s.start(t, hs)
		c := dial(t, address)
		c.says(get("/"))
		c.hearsHeader()
		c.says("before")
		heard := make([]byte, 6)
		io.ReadFull(c.r, heard)
		if err := hs.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		c.hearsEnd("goodbye")
		c.Close()
		if err := next(t, closed); err != nil {
			t.Errorf("it closed with %v", err)
		}
	})
}

func TestOnlyAHijackedConnectionGoesBack(t *testing.T) {
	onTheLoops(t, func(t *testing.T, s server) {
		conns := make(chan net.Conn, 1)
		hs := &http.Server{Handler: http.HandlerFunc(hello), ConnState: func(c net.Conn, s http.ConnState) {
			if s == http.StateNew {
				conns <- c
			}
		}}
		c := dial(t, s.start(t, hs))
		conn := next(t, conns).(web.Conn)
		if err := conn.Loop(nil, nil); err == nil {
			t.Error("Loop on a parked connection: no error")
		}
		c.asks(get("/"), "hello")
		time.Sleep(time.Millisecond)
		if err := conn.Loop(nil, nil); err == nil {
			t.Error("Loop on an idle connection: no error")
		}
		conn.Close() // as programs do that end what is idle themselves
		c.hearsEnd("")
	})
}
