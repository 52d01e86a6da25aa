package bench

import (
	"net/http"
	"strings"
	"time"

	"github.com/switchboard-go/switchboard/websocket"
)

// A WebSocket says how to open one for each connection. Every message of the load is a binary message then.
type WebSocket struct {
	Path    string // that is asked for
	Header  http.Header
	Options websocket.Options
}

// newDialer returns what opens the WebSockets of a run.
func (r *run) newDialer() *websocket.Dialer {
	ws := r.cfg.WebSocket
	options := ws.Options
	options.HandshakeTimeout = r.cfg.OpenWait
	options.CloseTimeout = time.Second
	options.MaxMessage = maxFlight
	return &websocket.Dialer{Options: options, Server: r.server, Header: ws.Header, TLSConfig: r.cfg.TLS}
}

// dialWebSocket opens the client's WebSocket.
func (k *client) dialWebSocket() error {
	r := k.run
	scheme := "ws://"
	if r.cfg.TLS != nil {
		scheme = "wss://"
	}
	to := scheme + strings.ReplaceAll(r.address, "%", "%25") + r.cfg.WebSocket.Path
	_, err := r.dialer.Dial(r.ctx, to, parts{(*messages)(k)})
	return err
}

// messages are a client as its WebSocket sees it.
type messages client

// Opened implements websocket.Opener.
func (m *messages) Opened(c *websocket.Conn) error {
	k := (*client)(m)
	k.mu.Lock()
	k.socket = c
	k.mu.Unlock()
	return k.Opened(c.Conn())
}

// Message implements websocket.Handler.
func (m *messages) Message(c *websocket.Conn, _ websocket.Kind, p []byte) error {
	_, err := (*client)(m).Data(c.Conn(), p)
	return err
}

// Closed implements websocket.Handler.
func (m *messages) Closed(c *websocket.Conn, err error) {
	k := (*client)(m)
	k.Closed(c.Conn(), err)
	k.mu.Lock()
	if k.socket == c {
		k.socket = nil
	}
	k.mu.Unlock()
}

// parts are messages that are taken as they come, which needs no memory for them.
type parts struct{ *messages }

// Part implements websocket.Receiver.
func (m parts) Part(c *websocket.Conn, kind websocket.Kind, p []byte, _ bool) error {
	if len(p) == 0 {
		return nil
	}
	return m.Message(c, kind, p)
}

// write sends p, the next bytes of a message of which left are still to be sent.
func (k *client) write(p []byte) error {
	if k.socket == nil {
		_, err := k.conn.Write(p)
		return err
	}
	if k.whole(p) {
		return k.socket.Write(websocket.Binary, p)
	}
	return k.socket.WritePart(websocket.Binary, p, len(p) == k.left)
}

// whole tells whether p is the message under way, and all of it.
func (k *client) whole(p []byte) bool {
	begun := k.begun
	k.begun = len(p) < k.left
	return !begun && len(p) == k.left
}
