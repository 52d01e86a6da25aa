package websocket

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/internal/buffer"
	"github.com/switchboard-go/switchboard/internal/field"
)

// An Upgrader accepts WebSockets: on connections of a switchboard.Server, with Accept as its Accept, or from requests
// of an HTTP server. Accept needs Handler or Check. Upgrade needs neither. Do not copy an Upgrader, nor change it
// after its first use. Any goroutine may call its methods.
type Upgrader struct {
	// Options are common to Upgrader and Dialer. Do not change them after the first connection.
	Options

	// Handler serves the WebSockets for which Check returns no handler.
	Handler Handler

	// Check decides about a valid request. It returns the handler of the WebSocket, nil for the field Handler, and
	// may add fields to header, which is sent with the answer. An error refuses the request, with the status and text
	// of a *Refusal or else with 403. On a switchboard.Server it runs on the loop and must not wait. Nil means that
	// every request is accepted.
	Check func(r *http.Request, header http.Header) (Handler, error)

	// MovedHandler returns the handler of a WebSocket that another process has handed over, made from what its Mover
	// saved there. Nil means the field Handler, for Movers that saved nothing.
	MovedHandler func(c *Conn, from switchboard.HandlerState) (Handler, error)

	// Origins are the origins whose pages may open a WebSocket, besides pages of the same host:
	// "https://example.org", "https://*.example.org" for all its subdomains, or "*" for all. Clients that send no
	// Origin are not web pages, and are accepted.
	Origins []string

	// Server carries WebSockets from HTTP servers without event loops, such as net/http. Nil means a server that all
	// such Upgraders share, with one loop for each processor. It starts at its first use. Accept does not use it.
	Server *switchboard.Server

	once     sync.Once
	settings *settings
	err      error
}

// A Refusal is an error of Upgrader.Check with the HTTP status of the answer.
type Refusal struct {
	Status int    // 0: 403
	Text   string // sent as the body
}

func (r *Refusal) Error() string { return r.Text }

func (u *Upgrader) resolve() (*settings, error) {
	u.once.Do(func() {
		u.settings, u.err = u.Options.resolve(u)
		for _, origin := range u.Origins {
			if err := field.CheckOrigin(origin); err != nil && u.err == nil {
				u.err = fmt.Errorf("websocket: Upgrader.Origins: %w", err)
			}
		}
	})
	return u.settings, u.err
}

// Accept serves a connection whose first bytes are a request for a WebSocket, without an HTTP server. Use it as
// switchboard.Server.Accept. Other requests get an HTTP answer that says why, and are closed.
func (u *Upgrader) Accept(sc *switchboard.Conn) (switchboard.Handler, error) {
	s, err := u.resolve()
	if err == nil && u.Handler == nil && u.Check == nil {
		err = errors.New("websocket: Upgrader.Handler is nil: nobody to serve WebSockets")
	}
	if err != nil {
		return nil, err
	}
	c := &Conn{conn: sc, loop: s.on(sc), subprotocol: -1}
	c.enter(inHandshake)
	return (*serverHandshake)(c), nil
}

// A serverHandshake is a Conn whose client has not asked for a WebSocket yet: a switchboard.Handler.
type serverHandshake Conn

// Data implements switchboard.Handler.
func (h *serverHandshake) Data(sc *switchboard.Conn, p []byte) (int, error) {
	n, err := (*Conn)(h).answer(p)
	if err == nil {
		return n, nil
	}
	var no *refusal
	if errors.As(err, &no) {
		sc.Write(no.answer())
		err = io.EOF // a reset might overtake the answer
	}
	return len(p), err
}

// answer answers the request that p begins with, if it is all there, and returns its length.
func (c *Conn) answer(p []byte) (n int, err error) {
	u := c.loop.upgrader
	if get := "GET "; !bytes.HasPrefix(p, []byte(get)[:min(len(p), len(get))]) {
		if line, _, whole := bytes.Cut(p, []byte("\r\n")); !whole && len(line) <= 16 && field.IsToken(line) {
			return 0, nil // another method
		}
	}
	end := bytes.Index(p[:min(len(p), c.loop.MaxHandshake)], []byte("\r\n\r\n"))
	switch {
	case end < 0 && len(p) >= c.loop.MaxHandshake:
		return 0, refuse(http.StatusRequestHeaderFieldsTooLarge, fmt.Sprintf("the request is longer than %d bytes", c.loop.MaxHandshake))
	case end < 0 && !mayBeRequest(p):
		return 0, refuse(http.StatusBadRequest, "this is not an HTTP/1.1 request")
	case end < 0:
		return 0, nil
	}
	head := p[:end+4]
	r, err := parseRequest(head, c.loop.settings)
	if err == nil {
		err = r.check(u.Origins)
	}
	if err != nil {
		return 0, err
	}
	h, fields := u.Handler, ""
	if u.Check != nil {
		asked, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(head)))
		if err != nil {
			return 0, refuse(http.StatusBadRequest, err.Error())
		}
		asked.RemoteAddr, asked.TLS = c.conn.RemoteAddr().String(), c.conn.TLS()
		if h, fields, err = u.ask(asked, h, http.Header{}); err != nil {
			return 0, err
		}
	}
	if h == nil {
		return 0, refuse(http.StatusNotFound, "nobody serves this")
	}
	return len(head), c.begin(&r, h, fields)
}

// mayBeRequest tells whether p can be the beginning of a request: a word, a space, and then text.
func mayBeRequest(p []byte) bool {
	line, _, _ := bytes.Cut(p, []byte("\r"))
	method, rest, more := bytes.Cut(line, []byte(" "))
	return (field.IsToken(method) && len(method) <= 32) && (!more || field.IsValue(rest))
}

// ask has Check decide. It returns the handler, and the fields that the answer shall have besides.
func (u *Upgrader) ask(r *http.Request, h Handler, header http.Header) (Handler, string, error) {
	if u.Check != nil {
		chosen, err := u.Check(r, header)
		var no *Refusal
		switch {
		case errors.As(err, &no) && no.Status != 0:
			return nil, "", &refusal{no.Status, no.Text, header}
		case err != nil:
			return nil, "", &refusal{http.StatusForbidden, err.Error(), header}
		case chosen != nil:
			h = chosen
		}
	}
	return h, lines(header), nil
}

// lines returns a header as it is sent. What the handshake itself says is not the user's.
func lines(header http.Header) string {
	if len(header) == 0 {
		return ""
	}
	header = maps.Clone(header)
	for _, name := range []string{"Upgrade", "Connection", "Content-Length", "Transfer-Encoding", "Sec-Websocket-Accept",
		"Sec-Websocket-Protocol", "Sec-Websocket-Extensions"} {
		delete(header, name)
	}
	var b strings.Builder
	header.Write(&b)
	return b.String()
}

// begin answers a request, and has h serve the WebSocket from now on. It runs on the loop.
func (c *Conn) begin(r *request, h Handler, fields string) error {
	c.subprotocol = int8(r.subprotocol)
	if _, ok := h.(Receiver); ok {
		c.flags |= streams
	}
	b := buffer.Get(512)
	b.B = append(b.B, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "...)
	b.B = append(appendAccept(b.B, r.key), "\r\n"...)
	if r.subprotocol >= 0 {
		b.B = append(append(append(b.B, "Sec-WebSocket-Protocol: "...), c.Subprotocol()...), "\r\n"...)
	}
	if r.deflate.on {
		b.B = append(r.deflate.appendTo(append(b.B, "Sec-WebSocket-Extensions: "...)), "\r\n"...)
	}
	b.B = append(append(b.B, fields...), "\r\n"...)
	c.conn.Write(b.B) // an error is told to Closed
	buffer.Put(b)
	c.agree(r.deflate)
	return c.open(h)
}

// open puts h in charge of c, whose opening handshake is done.
func (c *Conn) open(h Handler) error {
	c.handler = h
	c.mu.Lock()
	c.sending.Store(c.sending.Load()&sendReadsOn | sendOpen)
	c.mu.Unlock()
	c.heard = uint32(c.conn.Received())
	c.enter(inOpen)
	c.conn.SetHandler((*endpoint)(c))
	if h, ok := h.(Opener); ok {
		if err := h.Opened(c); err != nil {
			return c.endFor(err)
		}
	}
	return nil
}

// InputEnded implements switchboard.InputEnder.
func (h *serverHandshake) InputEnded(_ *switchboard.Conn, rest []byte) error {
	if len(rest) == 0 {
		return io.EOF
	}
	return io.ErrUnexpectedEOF
}

// Closed implements switchboard.Handler. Nobody knows of the connection.
func (h *serverHandshake) Closed(*switchboard.Conn, error) { (*Conn)(h).leaveLists() }

// handshakeTimedOut is called when the opening handshake is not done within HandshakeTimeout.
func (c *Conn) handshakeTimedOut() {
	c.flags |= lateStart
	if !c.loop.client {
		c.conn.Write(refuse(http.StatusRequestTimeout, "the request did not come in time").answer())
		c.conn.Close()
		return
	}
	c.conn.Abort()
}

// answer returns a refusal as it is sent.
func (r *refusal) answer() []byte {
	var b []byte
	b = append(b, "HTTP/1.1 "...)
	b = strconv.AppendInt(b, int64(r.status), 10)
	b = append(append(b, ' '), http.StatusText(r.status)...)
	b = append(b, "\r\nContent-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\nContent-Length: "...)
	b = strconv.AppendInt(b, int64(len(r.why)+1), 10)
	b = append(append(b, "\r\n"...), lines(r.header)...)
	if r.status == http.StatusUpgradeRequired {
		b = append(b, "Upgrade: websocket\r\nConnection: Upgrade, close\r\n"...)
	} else {
		b = append(b, "Connection: close\r\n"...)
	}
	return append(append(append(b, "\r\n"...), r.why...), '\n')
}
