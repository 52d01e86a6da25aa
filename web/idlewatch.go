package web

import (
	"io"
	"net"
	"sync"
	"time"
)

// An idleWatch is a connection without a client, which http.Server knows to be idle. When http.Server closes it, as
// SetKeepAlivesEnabled does with all that are idle, the parked ones are closed as well.
//
// It becomes idle by asking for "OPTIONS *", which http.Server answers without its Handler. With
// DisableGeneralOptionsHandler it asks nothing: such a connection counts as idle after five seconds.
type idleWatch struct {
	server *Server

	mu           sync.Mutex
	wake         sync.Cond
	asked        bool
	pastDeadline bool // of Read
	closed       bool
}

const optionsRequest = "OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n"

// startIdleWatch makes sure that there is an idleWatch.
func (s *Server) startIdleWatch(ln *listener) {
	if s.idleWatch.Load() != nil || s.parkAfter == 0 || s.leaves.Load() {
		return
	}
	w := &idleWatch{server: s, asked: s.HTTP.DisableGeneralOptionsHandler}
	w.wake.L = &w.mu
	if s.idleWatch.CompareAndSwap(nil, w) {
		ln.tell(w, woken)
	}
}

// endIdleWatch closes the idleWatch, which is not needed any more.
func (s *Server) endIdleWatch() {
	if w := s.idleWatch.Swap(nil); w != nil {
		w.end()
	}
}

// end has Read return, and tells whether it had not been called before.
func (w *idleWatch) end() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	was := w.closed
	w.closed = true
	w.wake.Broadcast()
	return !was
}

// Close implements net.Conn.
func (w *idleWatch) Close() error {
	if w.end() {
		w.server.idleWatch.CompareAndSwap(w, nil)
		w.server.closeIdle()
	}
	return nil
}

// Read implements net.Conn: the request, and then nothing.
func (w *idleWatch) Read(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		switch {
		case w.closed:
			return 0, io.EOF
		case w.pastDeadline:
			return 0, errAborted
		case !w.asked && len(b) >= len(optionsRequest):
			w.asked = true
			return copy(b, optionsRequest), nil
		}
		w.wake.Wait()
	}
}

// Write implements net.Conn: nobody hears the answer.
func (w *idleWatch) Write(b []byte) (int, error) { return len(b), nil }

// SetReadDeadline implements net.Conn. An idleWatch waits for ever, unless the deadline is past.
func (w *idleWatch) SetReadDeadline(t time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pastDeadline = expired(t)
	w.wake.Broadcast()
	return nil
}

// SetDeadline implements net.Conn.
func (w *idleWatch) SetDeadline(t time.Time) error { return w.SetReadDeadline(t) }

// SetWriteDeadline implements net.Conn.
func (w *idleWatch) SetWriteDeadline(time.Time) error { return nil }

// LocalAddr implements net.Conn.
func (w *idleWatch) LocalAddr() net.Addr { return &net.UnixAddr{Name: "idle watch", Net: "unix"} }

// RemoteAddr implements net.Conn.
func (w *idleWatch) RemoteAddr() net.Addr { return w.LocalAddr() }
