package websocket

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/internal/field"
)

// A Dialer connects WebSockets to servers. The zero value is ready to use. Do not copy a Dialer, nor change it after
// its first use. Any goroutine may call its methods.
type Dialer struct {
	// Options are common to Upgrader and Dialer. Do not change them after the first connection.
	Options

	// Server carries the WebSockets on its loops. Nil means a server that all such Dialers share, with one loop for
	// each processor. It starts at its first use.
	Server *switchboard.Server

	// Header is added to each request: cookies, Origin, Authorization. Host replaces the host of the URL. Dial
	// returns an error for fields that the handshake sets, and for those of bodies and of other uses of a connection,
	// such as Content-Length.
	Header http.Header

	// TLSConfig is for wss. Nil means the zero Config. Without a ServerName the host of the URL is verified.
	TLSConfig *tls.Config

	// Proxy returns the proxy for a request, as that of http.Transport does; http.ProxyFromEnvironment is one. The
	// URL of the request has the scheme http for ws and https for wss. The tunnel is opened with CONNECT, on a
	// goroutine. Nil, or a nil URL, means no proxy.
	Proxy func(*http.Request) (*url.URL, error)

	once     sync.Once
	settings *settings
	err      error
}

// A HandshakeError is an answer of a server or proxy that does not open a WebSocket, or that is invalid.
type HandshakeError struct {
	Reason string
	Status int         // of the answer; 0 if it was not HTTP
	Header http.Header // of the answer
	Body   []byte      // as much of it as came with the header
}

func (e *HandshakeError) Error() string {
	if e.Status == 0 {
		return "websocket: the opening handshake failed: " + e.Reason
	}
	return fmt.Sprintf("websocket: the opening handshake failed with status %d: %s", e.Status, e.Reason)
}

// Dial connects a WebSocket to a URL, which h serves: ws://HOST:PORT/PATH, wss:// for TLS, or ws+unix:/SOCKET:/PATH
// for a Unix socket. It returns at once. When the handshake is complete, Opened is called if h is an Opener. Writes
// before that return ErrNotOpen. If the handshake fails, h.Closed receives the reason: a *HandshakeError if the
// server refused. If ctx ends before the handshake is complete, the connection is given up. Any goroutine may call
// it.
//
// Dial returns an error and no Conn for what is known at once, such as an invalid URL.
func (d *Dialer) Dial(ctx context.Context, rawURL string, h Handler) (*Conn, error) {
	if d.Server == nil {
		return d.dial(ctx, ownServer(), ownServer(), rawURL, h)
	}
	return d.dial(ctx, d.Server, d.Server, rawURL, h)
}

// DialFrom is Dial on the loop of sc, so that the handlers of the two connections never run at the same time. It needs a
// Dialer without Proxy. Any goroutine may call it.
func (d *Dialer) DialFrom(ctx context.Context, sc *switchboard.Conn, rawURL string, h Handler) (*Conn, error) {
	return d.dial(ctx, sc, nil, rawURL, h)
}

// A connDialer is a switchboard.Server or Conn.
type connDialer interface {
	Dial(ctx context.Context, address string, h switchboard.Handler) (*switchboard.Conn, error)
	DialTLS(ctx context.Context, address string, config *tls.Config, h switchboard.Handler) (*switchboard.Conn, error)
}

// dial connects from an origin. What comes through a proxy goes to a loop of server, if that is not nil.
func (d *Dialer) dial(ctx context.Context, from connDialer, server *switchboard.Server, rawURL string, h Handler) (*Conn, error) {
	d.once.Do(func() {
		if d.settings, d.err = d.Options.resolve(nil); d.err == nil {
			if err := field.Handshake.CheckHeader(d.Header); err != nil {
				d.err = fmt.Errorf("websocket: Dialer.Header: %w", err)
			}
		}
	})
	if d.err != nil {
		return nil, d.err
	}
	if h == nil {
		return nil, errors.New("websocket: dial: no handler")
	}
	to, err := parseURL(rawURL)
	if err != nil {
		return nil, fmt.Errorf("websocket: dial %q: %w", rawURL, err)
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("websocket: dial %s: %w", to, err)
	}
	k := &clientHandshake{c: &Conn{handler: h, subprotocol: -1}, d: d, to: to, ctx: ctx}
	if k.request, err = d.request(k); err != nil {
		return nil, fmt.Errorf("websocket: dial %s: %w", to, err)
	}
	if proxy, err := d.proxyFor(to); err != nil {
		return nil, fmt.Errorf("websocket: dial %s: %w", to, err)
	} else if proxy != nil && server == nil {
		return nil, fmt.Errorf("websocket: dial %s: DialFrom cannot go through a proxy", to)
	} else if proxy != nil {
		go k.throughProxy(server, proxy)
		return k.c, nil
	}
	k.c.mu.Lock() // Opened waits for it
	defer k.c.mu.Unlock()
	if to.secure {
		k.c.conn, err = from.DialTLS(ctx, to.address, d.TLSConfig, k)
	} else {
		k.c.conn, err = from.Dial(ctx, to.address, k)
	}
	if err != nil {
		return nil, err
	}
	return k.c, nil
}

// A location is what a URL stands for.
type location struct {
	address string // as switchboard.Server.Dial takes it
	host    string // of the Host field
	path    string // that is asked for
	user    *url.Userinfo
	secure  bool
	scheme  string
}

func (l location) String() string {
	if l.scheme == "ws+unix" {
		return "ws+unix:" + l.address + ":" + l.path
	}
	return l.scheme + "://" + l.host + l.path
}

func parseURL(raw string) (to location, err error) {
	if rest, ok := strings.CutPrefix(raw, "ws+unix:"); ok {
		if p, ok := strings.CutPrefix(rest, "//"); ok {
			rest = p
		}
		to = location{scheme: "ws+unix", host: "localhost", path: "/"}
		to.address = rest
		if i := strings.LastIndex(rest, ":/"); i >= 0 {
			to.address, to.path = rest[:i], rest[i+1:]
		}
		switch {
		case to.address == "" || !strings.ContainsAny(to.address[:1], "/@."):
			return to, errors.New("ws+unix: takes the path of a socket, and of the request behind a colon")
		case !field.IsVisible([]byte(to.path)):
			return to, errors.New("the path has a space or a control character")
		}
		return to, nil
	}
	u, err := url.Parse(raw)
	if err != nil {
		var inner *url.Error
		if errors.As(err, &inner) {
			err = inner.Err
		}
		return to, err
	}
	port := ""
	switch u.Scheme {
	case "ws":
		port = "80"
	case "wss":
		port = "443"
	case "http", "https":
		return to, fmt.Errorf("the scheme is %s (try %s://)", u.Scheme, "ws"+u.Scheme[4:])
	default:
		return to, fmt.Errorf("the scheme is %q: there are ws, wss and ws+unix", u.Scheme)
	}
	switch {
	case u.Host == "" || u.Hostname() == "":
		return to, errors.New("the host is missing")
	case u.Fragment != "" || strings.Contains(raw, "#"):
		return to, errors.New("a fragment (#) means nothing here")
	}
	if p := u.Port(); p != "" {
		port = p
	}
	host := u.Host
	if before, after, ok := strings.Cut(host, "%"); ok { // a zone means nothing elsewhere: RFC 6874, section 1
		host = before + after[strings.Index(after, "]"):]
	}
	return location{address: net.JoinHostPort(u.Hostname(), port), host: host, path: u.RequestURI(), user: u.User,
		secure: u.Scheme == "wss", scheme: u.Scheme}, nil
}

// request returns the request that asks for a WebSocket.
func (d *Dialer) request(k *clientHandshake) ([]byte, error) {
	var random [16]byte
	rand.Read(random[:])
	k.key = base64.StdEncoding.EncodeToString(random[:])
	host := k.to.host
	if name := d.Header.Get("Host"); name != "" {
		host = name
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: %s\r\n"+
		"Sec-WebSocket-Version: 13\r\n", k.to.path, host, k.key)
	if len(d.settings.Subprotocols) > 0 {
		fmt.Fprintf(&b, "Sec-WebSocket-Protocol: %s\r\n", strings.Join(d.settings.Subprotocols, ", "))
	}
	if d.settings.Deflate != nil {
		k.offer = offer(d.settings.Deflate)
		fmt.Fprintf(&b, "Sec-WebSocket-Extensions: %s; client_max_window_bits\r\n", k.offer.appendTo(nil))
	}
	if k.to.user != nil && d.Header.Get("Authorization") == "" {
		password, _ := k.to.user.Password()
		fmt.Fprintf(&b, "Authorization: Basic %s\r\n", base64.StdEncoding.EncodeToString([]byte(k.to.user.Username()+":"+password)))
	}
	for name, values := range d.Header {
		if name = http.CanonicalHeaderKey(name); name == "Host" {
			continue
		}
		for _, value := range values {
			fmt.Fprintf(&b, "%s: %s\r\n", name, value)
		}
	}
	if err := field.CheckHost(host); err != nil {
		return nil, err
	}
	b.WriteString("\r\n")
	return b.Bytes(), nil
}

// offer returns what a client asks for: that it may choose its own window is always said besides.
func offer(d *Deflate) agreement {
	a := agreement{on: true, serverAlone: !d.ContextTakeover, clientAlone: !d.ContextTakeover}
	if d.WindowBits < maxWindowBits {
		a.serverBits = d.WindowBits
	}
	return a
}

// A clientHandshake is a connection on which a client asks for a WebSocket: a switchboard.Handler.
type clientHandshake struct {
	c       *Conn
	d       *Dialer
	to      location
	ctx     context.Context
	request []byte
	key     string
	offer   agreement
	stop    func() bool
}

// Opened implements switchboard.Opener.
func (k *clientHandshake) Opened(sc *switchboard.Conn) error {
	c := k.c
	c.mu.Lock() // Dial, or the goroutine of the proxy, has set conn then
	givenUp := c.sending.Load()&sendClosed != 0
	c.loop = k.d.settings.on(sc)
	c.mu.Unlock()
	if givenUp {
		return switchboard.ErrAborted
	}
	c.enter(inHandshake)
	k.stop = context.AfterFunc(k.ctx, sc.Abort)
	_, err := sc.Write(k.request)
	k.request = nil
	return err
}

// Data implements switchboard.Handler.
func (k *clientHandshake) Data(_ *switchboard.Conn, p []byte) (int, error) {
	c := k.c
	if proto := "HTTP/1."; !bytes.HasPrefix(p, []byte(proto)[:min(len(p), len(proto))]) {
		return 0, &HandshakeError{Reason: fmt.Sprintf("the answer is not HTTP/1.1 but begins with %.40q", p)}
	}
	end := bytes.Index(p[:min(len(p), c.loop.MaxHandshake)], []byte("\r\n\r\n"))
	switch {
	case end < 0 && len(p) >= c.loop.MaxHandshake:
		return 0, &HandshakeError{Reason: fmt.Sprintf("the answer is longer than %d bytes", c.loop.MaxHandshake)}
	case end < 0:
		return 0, nil
	}
	end += 4
	r, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(p)), &http.Request{Method: http.MethodGet})
	if err != nil {
		return 0, &HandshakeError{Reason: err.Error()}
	}
	if 100 <= r.StatusCode && r.StatusCode < 200 && r.StatusCode != http.StatusSwitchingProtocols {
		return end, nil // the real one follows
	}
	agreed, err := k.check(r)
	if err != nil {
		if no, ok := err.(*HandshakeError); ok {
			no.Status, no.Header = r.StatusCode, r.Header
			no.Body, _ = io.ReadAll(io.LimitReader(r.Body, int64(c.loop.MaxHandshake)))
		}
		return 0, err
	}
	if !k.stop() {
		return 0, context.Cause(k.ctx)
	}
	c.agree(agreed)
	h := c.handler
	if _, ok := h.(Receiver); ok {
		c.flags |= streams
	}
	return end, c.open(h)
}

// check holds an answer against what was asked (RFC 6455, section 4.1).
func (k *clientHandshake) check(r *http.Response) (agreed agreement, err error) {
	wrong := func(reason string) (agreement, error) { return agreement{}, &HandshakeError{Reason: reason} }
	list := func(name string) []byte { return []byte(strings.Join(r.Header.Values(name), ",")) }
	if r.StatusCode != http.StatusSwitchingProtocols {
		return wrong(http.StatusText(r.StatusCode))
	}
	accept := r.Header.Values("Sec-Websocket-Accept")
	switch {
	case !hasToken(list("Upgrade"), "websocket") || !hasToken(list("Connection"), "upgrade"):
		return wrong("the answer does not switch to websocket")
	case len(accept) != 1 || strings.TrimSpace(accept[0]) != string(appendAccept(nil, k.key)):
		return wrong("Sec-WebSocket-Accept does not answer the key: this may be no WebSocket server")
	}
	if names := r.Header.Values("Sec-Websocket-Protocol"); len(names) > 0 {
		for i, name := range k.d.settings.Subprotocols {
			if len(names) == 1 && names[0] == name {
				k.c.subprotocol = int8(i)
			}
		}
		if k.c.subprotocol < 0 {
			return wrong(fmt.Sprintf("the server chose the subprotocol %.40q, which was not offered", names))
		}
	}
	extensions := r.Header.Values("Sec-Websocket-Extensions")
	if len(extensions) == 0 {
		return agreement{}, nil
	}
	agreed, ok := parseExtension(list("Sec-Websocket-Extensions"), true)
	switch {
	case !ok || !k.offer.on:
		return wrong(fmt.Sprintf("the server uses extensions that were not offered: %.80q", extensions))
	case k.offer.serverAlone && !agreed.serverAlone,
		k.offer.serverBits > 0 && (agreed.serverBits == 0 || agreed.serverBits > k.offer.serverBits):
		return wrong(fmt.Sprintf("the server does not keep to what was offered of permessage-deflate: %.80q", extensions))
	}
	return agreed, nil
}

// InputEnded implements switchboard.InputEnder.
func (k *clientHandshake) InputEnded(_ *switchboard.Conn, rest []byte) error {
	return &HandshakeError{Reason: fmt.Sprintf("the server closed the connection before it had answered (%.40q)", rest)}
}

// Closed implements switchboard.Handler.
func (k *clientHandshake) Closed(_ *switchboard.Conn, err error) {
	c := k.c
	if k.stop != nil {
		k.stop()
		c.leaveLists()
	}
	switch cause := context.Cause(k.ctx); {
	case c.has(lateStart):
		err = ErrHandshakeTimeout
	case cause != nil && errors.Is(err, switchboard.ErrAborted):
		err = cause
	case err == nil:
		err = switchboard.ErrAborted
	}
	c.handler.Closed(c, fmt.Errorf("websocket: dial %s: %w", k.to, err))
}
