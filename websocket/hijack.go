package websocket

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"sync"
	"syscall"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/socket"
)

// Upgrade opens a WebSocket from a request of an HTTP server. h serves it. w.Header() is sent with the answer. A
// request that is not valid gets an HTTP error, which Upgrade returns. Upgrade does not wait for the WebSocket:
// Opened is called if h is an Opener, and the goroutine of the request may end.
//
// The connection moves to a loop. A connection of package web stays on its own loop. Other connections move to
// Upgrader.Server, and cost nothing in net/http any more. TLS of net/http cannot be taken over: such a connection
// costs two goroutines and their buffers besides the loop. A TLS proxy, or the TLS of switchboard.Server, is better.
func (u *Upgrader) Upgrade(w http.ResponseWriter, r *http.Request, h Handler) error {
	err := u.upgrade(w, r, h)
	var no *refusal
	if errors.As(err, &no) {
		maps.Copy(w.Header(), no.header)
		if no.status == http.StatusUpgradeRequired {
			w.Header().Set("Upgrade", "websocket")
			w.Header().Set("Connection", "Upgrade")
		}
		http.Error(w, no.why, no.status)
	}
	return err
}

// ServeHTTP implements http.Handler: it is Upgrade with the field Handler.
func (u *Upgrader) ServeHTTP(w http.ResponseWriter, r *http.Request) { u.Upgrade(w, r, u.Handler) }

func (u *Upgrader) upgrade(w http.ResponseWriter, r *http.Request, h Handler) error {
	s, err := u.resolve()
	if err != nil {
		return &refusal{status: http.StatusInternalServerError, why: err.Error()}
	}
	asked, err := fromHTTP(r, s)
	if err == nil {
		err = asked.check(u.Origins)
	}
	if err != nil {
		return err
	}
	h, fields, err := u.ask(r, h, w.Header())
	if err != nil {
		return err
	}
	if h == nil {
		return refuse(http.StatusNotFound, "nobody serves this")
	}
	nc, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return refuse(http.StatusInternalServerError, fmt.Sprintf("this server cannot give a connection away: %v", err))
	}
	ahead, _ := rw.Reader.Peek(rw.Reader.Buffered())
	to := &upgradeHandshake{c: &Conn{subprotocol: -1}, s: s, asked: asked, handler: h, fields: fields}
	if err := u.handOver(nc, ahead, to); err != nil {
		nc.Close()
		return err
	}
	return nil
}

// fromHTTP reads what an HTTP server has read already.
func fromHTTP(r *http.Request, s *settings) (asked request, err error) {
	asked.subprotocol = -1
	if r.ProtoMajor != 1 || r.ProtoMinor < 1 {
		return asked, refuse(http.StatusHTTPVersionNotSupported, "a WebSocket begins with HTTP/1.1")
	}
	if r.ContentLength != 0 {
		return asked, refuse(http.StatusBadRequest, "a request for a WebSocket has no body")
	}
	asked.method, asked.host, asked.hosts = []byte(r.Method), []byte(r.Host), 1
	for name, values := range r.Header {
		for _, value := range values {
			if err := asked.field([]byte(name), []byte(value), s); err != nil {
				return asked, err
			}
		}
	}
	asked.hosts = 1
	return asked, nil
}

// A loopConn is a hijacked connection that is on a loop, as those of package web are. Loop ends the net.Conn, and has the
// connection served by the handler that begin returns on the loop: it is offered ahead first, which was read and not
// handled, and then what comes.
type loopConn interface {
	Loop(ahead []byte, begin func(sc *switchboard.Conn) (switchboard.Handler, error)) error
}

// handOver gives a hijacked connection to the loop.
func (u *Upgrader) handOver(nc net.Conn, ahead []byte, h *upgradeHandshake) error {
	if on, ok := nc.(loopConn); ok {
		return on.Loop(ahead, func(sc *switchboard.Conn) (switchboard.Handler, error) {
			err := h.Opened(sc)
			return (*endpoint)(h.c), err
		})
	}
	server := u.Server
	if server == nil {
		server = ownServer()
	}
	if _, ok := nc.(syscall.Conn); !ok {
		var err error
		if nc, err = bridge(nc); err != nil {
			return err
		}
	}
	_, err := server.Adopt(nc, ahead, nil, h)
	return err
}

// ownServer is the one that carries what has no server.
var ownServer = sync.OnceValue(func() *switchboard.Server { return new(switchboard.Server) })

// An upgradeHandshake is a connection on its way from an HTTP server to a loop: a switchboard.Handler and Opener.
type upgradeHandshake struct {
	c       *Conn
	s       *settings
	asked   request
	handler Handler
	fields  string
}

// Opened implements switchboard.Opener.
func (h *upgradeHandshake) Opened(sc *switchboard.Conn) error {
	h.c.conn, h.c.loop = sc, h.s.on(sc)
	return h.c.begin(&h.asked, h.handler, h.fields)
}

// Data implements switchboard.Handler. The endpoint is in charge before anything comes.
func (h *upgradeHandshake) Data(_ *switchboard.Conn, p []byte) (int, error) { return 0, nil }

// Closed implements switchboard.Handler. Nobody knows of the connection.
func (h *upgradeHandshake) Closed(*switchboard.Conn, error) {}

// bridge returns one end of a pair of sockets whose other end two goroutines join with nc.
func bridge(nc net.Conn) (net.Conn, error) {
	near, far, err := pair()
	if err != nil {
		return nil, fmt.Errorf("websocket: a %T has no descriptor, and a bridge to it cannot be made: %w", nc, err)
	}
	go func() {
		defer far.Close()
		defer nc.Close()
		over := make(chan error, 1)
		go func() {
			_, err := io.Copy(far, nc)
			if err == nil {
				err = far.CloseWrite()
			} else {
				far.Close()
			}
			over <- err
		}()
		if _, err := io.Copy(nc, far); err == nil {
			if half, ok := nc.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
				<-over
			}
		}
	}()
	return &bridgedConn{near, nc}, nil
}

// A bridgedConn is a socket that speaks for another connection.
type bridgedConn struct {
	end
	of net.Conn
}

// RemoteAddr implements net.Conn.
func (b *bridgedConn) RemoteAddr() net.Addr { return b.of.RemoteAddr() }

// An end is one of two sockets that are connected with each other.
type end interface {
	net.Conn
	syscall.Conn
	CloseWrite() error
}

func pair() (near, far end, err error) {
	a, b, err := socket.Pair(socket.AF_UNIX, socket.SOCK_STREAM, 0)
	if err != nil {
		return nil, nil, err
	}
	defer a.Close()
	defer b.Close()
	x, err := a.Conn()
	if err != nil {
		return nil, nil, err
	}
	y, err := b.Conn()
	if err != nil {
		x.Close()
		return nil, nil, err
	}
	return x.(end), y.(end), nil
}
