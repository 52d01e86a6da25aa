package websocket

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/internal/buffer"
)

// Blocking returns a Handler for code that waits. f reads and writes messages on its own goroutine, which only exists
// while f runs. Return nil from f when all messages are answered: f is called again for the next message. io.EOF
// closes the WebSocket in order; other errors act like those of Handler.Message. A panic is logged and resets the
// connection.
//
// f is first called with the first message. If f returns nil without reading any of the messages it was called for,
// they are dropped. One Handler serves any number of WebSockets.
func Blocking(f func(s *Stream) error) Handler { return blocking(f) }

// A blocking is the handler of a WebSocket while f does not run.
type blocking func(s *Stream) error

// Message implements Handler: the first message since f returned.
func (f blocking) Message(c *Conn, kind Kind, p []byte) error {
	s := &Stream{c: c, f: f}
	s.input, s.room = sync.NewCond(&s.mu), sync.NewCond(&s.mu)
	c.KeepReading(true) // one goroutine of f may wait in Write while another reads; streamLimit bounds what is not read
	c.handler = (*streamHandler)(s)
	return c.handler.Message(c, kind, p)
}

// Closed implements Handler: f knows of nothing.
func (f blocking) Closed(*Conn, error) {}

// A Stream is a WebSocket for the function of Blocking. One goroutine may read while others write. Its methods wait.
// They return when the WebSocket ends or a deadline passes.
type Stream struct {
	c *Conn
	f func(s *Stream) error

	mu          sync.Mutex
	input, room *sync.Cond
	first, last *received // messages that are not read
	current     *received // that the last Read has returned
	held        int       // what the unread messages hold
	running     bool      // there is a goroutine
	paused      bool      // the connection is not read, because nobody reads here
	err         error     // the connection is gone, or closed

	readUntil, writeUntil time.Time
	readTimer, writeTimer *time.Timer
}

// A received is a message in the queue of a Stream.
type received struct {
	kind Kind
	buf  *buffer.Buffer
	next *received
}

// streamLimit is how many bytes of unread messages stop the reading of a connection. Each counts messageCost more: messages may
// be empty.
const (
	streamLimit = 64 << 10
	messageCost = 64
)

// Conn returns the WebSocket.
func (s *Stream) Conn() *Conn { return s.c }

// Read waits for a message. p is valid until the next Read, or until f returns. The error is io.EOF after an orderly
// end, os.ErrDeadlineExceeded after the deadline, and otherwise what Handler.Closed would receive.
func (s *Stream) Read() (kind Kind, p []byte, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop()
	for s.first == nil {
		if s.err != nil {
			return 0, nil, s.err
		}
		if isOver(s.readUntil) {
			return 0, nil, fmt.Errorf("websocket: read: %w", os.ErrDeadlineExceeded)
		}
		s.input.Wait()
	}
	m := s.first
	if s.first = m.next; s.first == nil {
		s.last = nil
	}
	s.current = m
	s.held -= len(m.buf.B) + messageCost
	if s.paused && s.held < streamLimit {
		s.paused = false
		s.c.conn.Do(s.c.Resume)
	}
	return m.kind, m.buf.B, nil
}

// drop gives the message back that was read last. mu is held.
func (s *Stream) drop() {
	if s.current != nil {
		buffer.Put(s.current.buf)
		s.current = nil
	}
}

// Write is Conn.Write, but waits while the output queue is full. A message that can never fit fails at once.
func (s *Stream) Write(kind Kind, p []byte) error {
	for {
		err := s.c.Write(kind, p)
		if err != switchboard.ErrQueueFull {
			return err
		}
		s.mu.Lock()
		for err == switchboard.ErrQueueFull && s.c.Full() {
			if s.err != nil {
				err = errClosed
			} else if isOver(s.writeUntil) {
				err = fmt.Errorf("websocket: write: %w", os.ErrDeadlineExceeded)
			} else {
				s.room.Wait()
			}
		}
		s.mu.Unlock()
		if err != switchboard.ErrQueueFull {
			return err
		}
	}
}

// SetReadDeadline limits how long Read waits, as net.Conn's does. The zero Time means no limit.
func (s *Stream) SetReadDeadline(t time.Time) { s.setDeadline(&s.readUntil, &s.readTimer, s.input, t) }

// SetWriteDeadline limits how long Write waits. The zero Time means no limit.
func (s *Stream) SetWriteDeadline(t time.Time) {
	s.setDeadline(&s.writeUntil, &s.writeTimer, s.room, t)
}

func (s *Stream) setDeadline(until *time.Time, timer **time.Timer, wake *sync.Cond, t time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*until = t
	if *timer != nil {
		(*timer).Stop()
		*timer = nil
	}
	if !t.IsZero() {
		*timer = time.AfterFunc(time.Until(t), func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			wake.Broadcast()
		})
	}
	wake.Broadcast()
}

func isOver(until time.Time) bool { return !until.IsZero() && !time.Now().Before(until) }

// A streamHandler is a Stream as its WebSocket sees it.
type streamHandler Stream

// Message implements Handler.
func (h *streamHandler) Message(c *Conn, kind Kind, p []byte) error {
	s := (*Stream)(h)
	m := &received{kind: kind, buf: buffer.Append(nil, p)}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last == nil {
		s.first = m
	} else {
		s.last.next = m
	}
	s.last = m
	if s.held += len(p) + messageCost; s.held >= streamLimit && !s.paused {
		s.paused = true
		c.Pause()
	}
	if s.running {
		s.input.Broadcast()
		return nil
	}
	s.running = true
	go s.run()
	return nil
}

// Drained implements Drainer.
func (h *streamHandler) Drained(*Conn) {
	s := (*Stream)(h)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.room.Broadcast()
}

// Closed implements Handler.
func (h *streamHandler) Closed(_ *Conn, err error) {
	s := (*Stream)(h)
	if err == nil {
		err = io.EOF
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
	s.stopTimers()
	s.input.Broadcast()
	s.room.Broadcast()
	if !s.running {
		s.clear()
	}
}

// clear drops every message. mu is held.
func (s *Stream) clear() {
	s.drop()
	for ; s.first != nil; s.first = s.first.next {
		buffer.Put(s.first.buf)
	}
	s.last, s.held = nil, 0
}

// run calls f for as long as there are messages.
func (s *Stream) run() {
	returned := false
	defer func() {
		if !returned {
			s.panicked(recover())
		}
	}()
	for {
		s.mu.Lock()
		before := s.first
		s.mu.Unlock()
		err := s.f(s)
		s.mu.Lock()
		s.drop()
		if err == nil && s.err == nil && s.first == before { // it was called for these, and wants none of them
			s.clear()
			s.resume()
		}
		if err == nil && s.err == nil && s.first != nil {
			s.mu.Unlock()
			continue
		}
		s.running = false
		if err != nil || s.err != nil {
			s.clear()
			s.resume() // for the peer's Close frame
		}
		s.mu.Unlock()
		returned = true
		if err != nil {
			s.close(err)
		} else {
			s.c.conn.Do(s.retire)
		}
		return
	}
}

// retire lets the Stream go until there is another message. It runs on the loop.
func (s *Stream) retire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.running && s.err == nil {
		s.stopTimers()
		s.c.handler = blocking(s.f)
	}
}

// stopTimers belongs to the end. mu is held.
func (s *Stream) stopTimers() {
	for _, timer := range []*time.Timer{s.readTimer, s.writeTimer} {
		if timer != nil {
			timer.Stop()
		}
	}
}

// resume has the connection read again if it was the Stream that stopped it. mu is held.
func (s *Stream) resume() {
	if s.paused {
		s.paused = false
		s.c.conn.Do(s.c.Resume)
	}
}

// close ends the WebSocket for what f returned.
func (s *Stream) close(err error) {
	s.mu.Lock()
	gone := s.err != nil
	s.mu.Unlock()
	if gone {
		return
	}
	var with *CloseError
	switch {
	case err == io.EOF:
		s.c.Close(CodeNormal, "")
	case errors.As(err, &with) && s.c.Close(with.Code, with.Reason) == nil:
	case errors.Is(err, net.ErrClosed):
		s.c.Abort()
	default:
		s.c.Close(CodeInternalError, "")
	}
}

// panicked is called when f has panicked, or ended its goroutine.
func (s *Stream) panicked(v any) {
	if v == nil {
		v = "runtime.Goexit in a handler"
	}
	cmp.Or(s.c.conn.Server().Logger, slog.Default()).Error("a blocking handler of a WebSocket panicked", "remote", s.c.conn.RemoteAddr(), "panic", v,
		"stack", string(debug.Stack()))
	s.mu.Lock()
	s.running = false
	s.clear()
	s.mu.Unlock()
	s.c.Abort()
}
