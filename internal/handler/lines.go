package handler

import (
	"bytes"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/frame"
	"github.com/switchboard-go/switchboard/internal/buffer"
)

// Lines returns a handler that answers each line with the same line in upper case. Lines may end with LF or CRLF, and
// the last one need not end at all; answers end with LF. A line of more than max bytes is answered with a line that says
// so, which is the last.
func Lines(max int) switchboard.Handler {
	return &lines{switchboard.Frames(frame.Lines(max).Unterminated().Split, shout), max}
}

type lines struct {
	*switchboard.FrameHandler
	max int
}

// Data implements switchboard.Handler.
func (h *lines) Data(c *switchboard.Conn, p []byte) (int, error) {
	n, err := h.FrameHandler.Data(c, p)
	h.complain(c, err)
	return n, err
}

// InputEnded implements switchboard.InputEnder.
func (h *lines) InputEnded(c *switchboard.Conn, rest []byte) error {
	err := h.FrameHandler.InputEnded(c, rest)
	h.complain(c, err)
	return err
}

// complain tells the client why it is hung up on.
func (h *lines) complain(c *switchboard.Conn, err error) {
	if errors.Is(err, frame.ErrTooLong) || errors.Is(err, switchboard.ErrTooLong) {
		fmt.Fprintf(c, "error: a line of more than %d bytes\n", h.max)
	}
}

// shout answers one line.
func shout(c *switchboard.Conn, line []byte) error {
	b := buffer.Get(len(line) + 1)
	defer buffer.Put(b)
	b.B = append(appendUpper(b.B, line), '\n')
	_, err := c.Write(b.B)
	return err
}

// appendUpper allocates nothing for ASCII, if dst has room.
func appendUpper(dst, line []byte) []byte {
	start := len(dst)
	for _, b := range line {
		if b >= utf8.RuneSelf {
			return append(dst[:start], bytes.ToUpper(line)...)
		}
		if 'a' <= b && b <= 'z' {
			b -= 'a' - 'A'
		}
		dst = append(dst, b)
	}
	return dst
}
