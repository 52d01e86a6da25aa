// Package proxy is a TCP proxy on the event loops: each client is joined with one of several targets, by turns or by which
// has the fewest connections; a target that does not answer is skipped, and looked at until it answers again.
package proxy

import (
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/proxyproto"
)

// A Proxy hands out handlers for a switchboard.Server: its Accept is the server's.
type Proxy struct {
	// Places is how many clients there may be at once, the server's MaxConns. When all places are taken, lines whose targets
	// have said nothing for Patience are reset to make room: clients that only sit there, and the lines of a proxy whose
	// target leads back to it, which would otherwise hold each other for ever. 0: no limit.
	Places int

	// CloseAfter is for targets that speak WebSocket, which has no half-close. When a client has ended its output, and its target
	// has answered and has said nothing more for this time, the target is closed. 0: never, the target decides.
	CloseAfter time.Duration

	log      *slog.Logger
	targets  *pool
	unserved unserved
	lines    lines
	moves    moves
}

var errNoTarget = errors.New("proxy: no target: give at least one address to connect to")

// New makes a proxy to the targets. How long one may take to answer is the server's DialTimeout, and to shake hands its
// HandshakeTimeout.
func New(targets []Target, balance Balance, log *slog.Logger) (*Proxy, error) {
	if len(targets) == 0 {
		return nil, errNoTarget
	}
	p := &Proxy{log: log, targets: &pool{log: log}}
	p.targets.set(targets, balance)
	return p, nil
}

// Announce has targets be told for whom each connection is, by the header of the PROXY protocol in version 1 or 2. It is called
// before the proxy serves.
func (p *Proxy) Announce(version int) { p.targets.announce = version }

// Received is for proxyproto.Receiver: what a proxy in front of this one says of a client is passed on to the target.
func (p *Proxy) Received(c *switchboard.Conn, h *proxyproto.Header) error {
	if p.targets.announce > 0 {
		c.SetValue(h)
	}
	return nil
}

// Set replaces the targets, for clients that come from then on. A target that is not among them any more, or has the weight 0,
// keeps the clients that it has. Any goroutine may call it.
func (p *Proxy) Set(targets []Target, balance Balance) error {
	if len(targets) == 0 {
		return errNoTarget
	}
	p.targets.set(targets, balance)
	return nil
}

// Close stops looking at targets that do not answer. Any goroutine may call it.
func (p *Proxy) Close() { p.targets.close() }

// Accept is for switchboard.Server: it begins to connect to a target.
func (p *Proxy) Accept(c *switchboard.Conn) (switchboard.Handler, error) {
	ln := p.newLine(c)
	if state := c.TLS(); state == nil && p.targets.routes() {
		return (*asking)(ln), nil
	}
	c.Pause() // also while there is no target to be connected to
	ln.connect()
	return ln, nil
}

// newLine makes the line of a client.
func (p *Proxy) newLine(c *switchboard.Conn) *line {
	ln := &line{proxy: p, client: c, received: switchboard.Value[*proxyproto.Header](c)}
	if state := c.TLS(); state != nil {
		ln.name = strings.ToLower(state.ServerName)
	}
	p.enter(ln)
	return ln
}

// enter takes note of a line whose client is there.
func (p *Proxy) enter(ln *line) {
	p.targets.serve(ln.client.Server())
	ln.client.SetValue(ln)
	if n := p.lines.add(ln); p.Places > 0 && n >= p.Places {
		p.lines.press(p)
	}
}

// Target returns the name of the target that a client of the proxy is joined with, "" as long as there is none. ok tells whether c
// is a client at all, and not a connection of the proxy's own. It belongs to c's loop.
func (p *Proxy) Target(c *switchboard.Conn) (name string, ok bool) {
	ln, ok := c.Value().(*line)
	if ok && ln.joined {
		name = ln.target.String()
	}
	return name, ok
}
