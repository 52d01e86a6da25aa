package proxy

import (
	"context"
	"io"
	"slices"
	"time"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/proxyproto"
)

// probeEvery is how often a target that did not answer is looked at.
const probeEvery = time.Second

// A probe is the handler of a connection that only looks whether a target answers.
type probe struct {
	pool   *pool
	target *target
}

// look tries a target that did not answer, and again until it does.
func (p *pool) look(t *target) {
	p.mu.Lock()
	t.probe = nil
	server, needless := p.server, p.closed || !t.dead || !slices.Contains(p.all, t)
	p.mu.Unlock()
	if needless {
		return
	}
	var err error
	if t.URL != "" {
		ctx, cancel := context.WithTimeout(context.Background(), probeTimeout)
		_, err = t.Dialer.Dial(ctx, t.URL, &socketProbe{probe{p, t}, cancel})
	} else {
		_, err = t.dial(server, &probe{p, t})
	}
	if err != nil {
		p.failed(t, err)
	}
}

// Opened implements switchboard.Opener.
func (h *probe) Opened(c *switchboard.Conn) error {
	h.pool.answered(h.target)
	if h.pool.announce == 0 {
		c.Abort()
		return nil
	}
	b, err := (&proxyproto.Header{Version: h.pool.announce, Local: true}).Append(nil)
	if err == nil {
		_, err = c.Write(b) // which says that it is for nobody
	}
	if err == nil {
		err = io.EOF
	}
	return err
}

// Data implements switchboard.Handler.
func (h *probe) Data(_ *switchboard.Conn, p []byte) (int, error) { return len(p), nil }

// Close implements switchboard.Handler.
func (h *probe) Closed(_ *switchboard.Conn, err error) {
	h.pool.mu.Lock()
	dead := h.target.dead
	h.pool.mu.Unlock()
	if dead {
		h.pool.failed(h.target, err)
	}
}
