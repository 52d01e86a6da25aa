package switchboard

import (
	"bufio"
	"errors"
	"io"
)

// Frames returns a Handler that calls f for each message which split finds in the input, as a bufio.Scanner would: any
// bufio.SplitFunc serves, and package frame has those of the usual protocols. The message is valid until f returns. An
// error of f or of split ends the connection as one of Handler.Data does. One Handler serves any number of connections.
//
// A message may be as long as Server.InputLimit; a longer one ends the connection with ErrTooLong, unless split says so
// first. While the connection is paused, or its output queue is full, f is not called. At the end of input split is
// asked for what is left, and then the connection is closed in order.
func Frames(split bufio.SplitFunc, f func(c *Conn, message []byte) error) *FrameHandler {
	return &FrameHandler{split, f}
}

// A FrameHandler is what Frames returns. To be told of more than messages, embed it in a Handler with the other methods.
type FrameHandler struct {
	split bufio.SplitFunc
	f     func(c *Conn, message []byte) error
}

// Data implements Handler.
func (h *FrameHandler) Data(c *Conn, p []byte) (int, error) {
	c.loop.count.Messages-- // each counts messages, not calls
	n, err := h.each(c, p, false)
	if err == nil && len(p)-n >= c.loop.limits.InputLimit && !c.stopped() {
		err = ErrTooLong
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

// Close implements Handler.
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
