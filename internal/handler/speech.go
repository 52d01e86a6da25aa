package handler

import (
	"cmp"
	"io"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/internal/buffer"
)

const (
	pieceSize = 16 << 10 // bytes of a speech that are said at once
	turnSize  = 64 << 10 // bytes after which everybody else has a turn, however fast the client takes them
)

// A speech is the handler of a connection that is told something unasked. Each piece is made only when there is room for
// it, so an endless speech costs nothing while the client does not read. What the client says is thrown away.
type speech struct {
	words   io.Reader
	pending bool // next is on its way
	over    bool
}

// Data implements switchboard.Handler.
func (h *speech) Data(_ *switchboard.Conn, p []byte) (int, error) { return len(p), nil }

// InputEnded implements switchboard.InputEnder: who has nothing to say can still listen.
func (h *speech) InputEnded(*switchboard.Conn, []byte) error { return nil }

// Drained implements switchboard.Drainer.
func (h *speech) Drained(c *switchboard.Conn) { h.speak(c) }

// Leave implements switchboard.Leaver: what was begun is not finished.
func (h *speech) Leaving(c *switchboard.Conn) { h.end(c) }

// Close implements switchboard.Handler.
func (h *speech) Closed(*switchboard.Conn, error) { h.over = true }

// speak says as much as the client takes, for one turn.
func (h *speech) speak(c *switchboard.Conn) {
	if h.over || h.pending {
		return
	}
	b := buffer.Get(pieceSize)
	defer buffer.Put(b)
	piece := b.B[:longestPiece(c.Server())]
	for said := 0; said < turnSize; {
		if c.Full() {
			return // until Drained
		}
		n, err := h.words.Read(piece)
		if _, refused := c.Write(piece[:n]); refused != nil {
			h.over = true // the client is gone, or goes
			return
		}
		if said += n; err != nil {
			h.end(c)
			return
		}
	}
	h.pending = c.Do(func() {
		h.pending = false
		h.speak(c)
	}) == nil
}

// longestPiece fits into a queue that is not Full.
func longestPiece(s *switchboard.Server) int {
	if s.QueueLimit == 0 {
		return pieceSize // the default has room for more
	}
	return min(pieceSize, max(s.QueueLimit-cmp.Or(s.HighWater, 64<<10), 1))
}

func (h *speech) end(c *switchboard.Conn) {
	h.over = true
	c.Close()
}
