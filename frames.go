package switchboard

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"github.com/switchboard-go/switchboard/frame"
)

// Messages returns a Handler that calls f for each message of a format of package frame, and nothing else. Conn.WriteMessage
// writes messages of the same format.
//
// A message is valid until f returns. f runs on the connection's loop and must not wait. An error of f, or of the format,
// ends the connection as an error of Handler.Data does. While the connection is paused, or its output queue is full, f is
// not called. When f has called Conn.StartTLS, what follows its message is the handshake; after Conn.SetHandler or Pipe it
// is the input of the other handler. When the peer ends its output between two messages, the connection is closed in order.
// One Handler serves any number of connections.
//
// The largest message of the format, with its framing, must not be longer than Server.InputLimit. A server whose Handler
// asks for more does not start, and Dial refuses it; if Accept returns it, the connection is refused and the log says why.
func Messages(format frame.Format, f func(c *Conn, message []byte) error) *FrameHandler {
	return &FrameHandler{split: format.Split, f: f, format: &format}
}

// Frames is Messages for any bufio.SplitFunc, which is called as a bufio.Scanner calls it. A message that is not complete
// within Server.InputLimit bytes ends the connection with ErrTooLong.
func Frames(split bufio.SplitFunc, f func(c *Conn, message []byte) error) *FrameHandler {
	return &FrameHandler{split: split, f: f}
}

// A FrameHandler is what Messages and Frames return. A Handler that embeds it can have the other methods as well.
type FrameHandler struct {
	split  bufio.SplitFunc
	f      func(c *Conn, message []byte) error
	format *frame.Format // nil: of Frames
}

// A limited handler can serve only with certain limits.
type limited interface{ fits(lim *limits) error }

func (h *FrameHandler) fits(lim *limits) error {
	if h.format == nil {
		return nil
	}
	if err := h.format.Err(); err != nil {
		return fmt.Errorf("switchboard: Messages: %w", err)
	}
	if n := h.format.BufferSize(); n > lim.InputLimit {
		return fmt.Errorf("switchboard: a message of this format can take %d bytes, and Server.InputLimit is %d: raise the limit, or make the format's maximum smaller",
			n, lim.InputLimit)
	}
	return nil
}

// check returns why h cannot serve with these limits, nil if it can.
func (lim *limits) check(h Handler) error {
	if h, ok := h.(limited); ok {
		return h.fits(lim)
	}
	return nil
}

// Data implements Handler.
func (h *FrameHandler) Data(c *Conn, p []byte) (int, error) {
	c.loop.count.Messages-- // each counts messages, not calls
	n, err := h.each(c, p, false)
	if left, limit := len(p)-n, c.loop.limits.InputLimit; err == nil && left >= limit && !c.stopped() {
		err = fmt.Errorf("%w: %d bytes have come without its end, Server.InputLimit is %d", ErrTooLong, left, limit)
	}
	return n, err
}

// InputEnded implements InputEnder.
func (h *FrameHandler) InputEnded(c *Conn, rest []byte) error {
	if _, err := h.each(c, rest, true); err != nil {
		return err
	}
	return io.EOF
}

// Closed implements Handler.
func (h *FrameHandler) Closed(*Conn, error) {}

// each calls f for every message in p, and returns how many bytes they took.
func (h *FrameHandler) each(c *Conn, p []byte, atEnd bool) (n int, err error) {
	empty := 0
	for (n < len(p) || atEnd) && (atEnd || !c.stopped()) {
		advance, message, err := h.split(p[n:], atEnd)
		if err != nil && err != bufio.ErrFinalToken {
			return n, err
		}
		if advance < 0 || advance > len(p)-n {
			return n, ErrBadCount
		}
		n += advance
		if message != nil {
			c.loop.count.Messages++
			if err := h.f(c, message[:len(message):len(message)]); err != nil {
				return n, err
			}
		}
		if err == bufio.ErrFinalToken {
			return n, io.EOF
		}
		if !atEnd && (c.state != stateOpen || c.todo&todoOffer != 0) {
			break // after StartTLS, SetHandler or Pipe the rest is not for f; if it is, it is offered again
		}
		if advance > 0 {
			empty = 0
		} else if message == nil || atEnd {
			break
		} else if empty++; empty > 100 {
			return n, errors.New("switchboard: the split function finds messages without end in no bytes")
		}
	}
	return n, nil
}
