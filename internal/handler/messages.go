package handler

import (
	"unicode/utf8"

	"github.com/switchboard-go/switchboard/internal/buffer"
	"github.com/switchboard-go/switchboard/internal/service"
	"github.com/switchboard-go/switchboard/websocket"
)

// Messages returns the handler of WebSockets for a service: what it answers to a message is a message of the same kind,
// and what it says unasked comes in messages that are text if they can be.
func Messages(s service.Service) websocket.Handler {
	switch {
	case s.Speech != nil:
		return talk{s}
	case s.Answer != nil:
		return &messages{func(c *websocket.Conn, kind websocket.Kind, p []byte) error {
			return c.Write(kind, s.Answer(p))
		}, s.Name}
	}
	return &messages{func(*websocket.Conn, websocket.Kind, []byte) error { return nil }, s.Name}
}

// messages is the handler of WebSockets of a service that only answers.
type messages struct {
	websocket.MessageFunc
	kind string
}

// Shout answers each message with the same in upper case.
var Shout websocket.Handler = &messages{func(c *websocket.Conn, kind websocket.Kind, p []byte) error {
	b := buffer.Get(len(p))
	defer buffer.Put(b)
	b.B = appendUpper(b.B, p)
	return c.Write(kind, b.B)
}, linesKind}

// A talk is the handler of WebSockets that are told something unasked, each by a speech of its own.
type talk struct{ service service.Service }

// Opened implements websocket.Opener.
func (t talk) Opened(c *websocket.Conn) error {
	h := &speech{words: t.service.Speech()}
	c.Conn().SetValue(h)
	t.speak(c, h)
	return nil
}

// Message implements websocket.Handler.
func (t talk) Message(*websocket.Conn, websocket.Kind, []byte) error { return nil }

// Drained implements websocket.Drainer.
func (t talk) Drained(c *websocket.Conn) { t.speak(c, c.Conn().Value().(*speech)) }

// Closed implements websocket.Handler.
func (t talk) Closed(c *websocket.Conn, _ error) {
	if h, ok := c.Conn().Value().(*speech); ok {
		h.over = true
	}
}

// speak says as much as the client takes, for one turn.
func (t talk) speak(c *websocket.Conn, h *speech) {
	if h.over || h.pending {
		return
	}
	b := buffer.Get(pieceSize)
	defer buffer.Put(b)
	piece := b.B[:longestPiece(c.Conn().Server())]
	for said := 0; said < turnSize; {
		if c.Full() {
			return // until Drained
		}
		n, err := h.words.Read(piece)
		kind := websocket.Text
		if !utf8.Valid(piece[:n]) {
			kind = websocket.Binary
		}
		if n > 0 && c.Write(kind, piece[:n]) != nil {
			h.over = true // the client is gone, or goes
			return
		}
		if said += n; err != nil {
			h.over = true
			c.Close(websocket.CodeNormal, "")
			return
		}
	}
	h.pending = c.Conn().Do(func() {
		h.pending = false
		t.speak(c, h)
	}) == nil
}
