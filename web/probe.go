package web

import (
	"io"
	"net"
	"sync"
	"time"
)

// A probe is a connection without a client, which http.Server knows to be idle. When http.Server closes it, as
// SetKeepAlivesEnabled does with all that are idle, the parked ones are closed as well.
//
// It becomes idle by asking for "OPTIONS *", which http.Server answers without its Handler. With
// DisableGeneralOptionsHandler it asks nothing: such a connection counts as idle after five seconds.
type probe struct {
	server *Server

	mu     sync.Mutex
	wake   sync.Cond
	asked  bool
	hurry  bool // the read deadline is past
	closed bool
}

const optionsRequest = "OPTIONS * HTTP/1.1\r\nHost: probe\r\n\r\n"

// startProbe makes sure that there is a probe.
func (s *Server) startProbe(ln *listener) {
	if s.probe.Load() != nil || s.parkAfter == 0 || s.leaves.Load() {
		return
	}
	p := &probe{server: s, asked: s.HTTP.DisableGeneralOptionsHandler}
	p.wake.L = &p.mu
	if s.probe.CompareAndSwap(nil, p) {
		ln.tell(p, woken)
	}
}

// endProbe closes the probe because it is needed no more.
func (s *Server) endProbe() {
	if p := s.probe.Swap(nil); p != nil {
		p.end()
	}
}

// end has Read return, and tells whether it had not been called before.
func (p *probe) end() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	was := p.closed
	p.closed = true
	p.wake.Broadcast()
	return !was
}

// Close implements net.Conn.
func (p *probe) Close() error {
	if p.end() {
		p.server.probe.CompareAndSwap(p, nil)
		p.server.closeIdle()
	}
	return nil
}

// Read implements net.Conn: the request, and then nothing.
func (p *probe) Read(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		switch {
		case p.closed:
			return 0, io.EOF
		case p.hurry:
			return 0, errAborted
		case !p.asked && len(b) >= len(optionsRequest):
			p.asked = true
			return copy(b, optionsRequest), nil
		}
		p.wake.Wait()
	}
}

// Write implements net.Conn: nobody hears the answer.
func (p *probe) Write(b []byte) (int, error) { return len(b), nil }

// SetReadDeadline implements net.Conn. A probe waits for ever, unless it is called off.
func (p *probe) SetReadDeadline(t time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hurry = expired(t)
	p.wake.Broadcast()
	return nil
}

// SetDeadline implements net.Conn.
func (p *probe) SetDeadline(t time.Time) error { return p.SetReadDeadline(t) }

// SetWriteDeadline implements net.Conn.
func (p *probe) SetWriteDeadline(time.Time) error { return nil }

// LocalAddr implements net.Conn.
func (p *probe) LocalAddr() net.Addr { return &net.UnixAddr{Name: "probe", Net: "unix"} }

// RemoteAddr implements net.Conn.
func (p *probe) RemoteAddr() net.Addr { return p.LocalAddr() }
