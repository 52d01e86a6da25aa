// Package proxy is a TCP proxy on the event loops: each client is joined with one of several targets, by turns or by which
// has the fewest connections; a target that does not answer is skipped, and looked at until it answers again.
package proxy

import (
	"errors"
	"log/slog"

	"github.com/switchboard-go/switchboard"
)

// A Proxy hands out handlers for a switchboard.Server: its Accept is the server's.
type Proxy struct {
	// Places is how many clients there may be at once, the server's MaxConns. When all places are taken, lines whose targets
	// have said nothing for Patience are reset to make room: clients that only sit there, and the lines of a proxy whose
	// target leads back to it, which would otherwise hold each other for ever. 0: no limit.
	Places int

	log      *slog.Logger
	targets  *pool
	unserved unserved
	lines    lines
	moves    moves
}

// New makes a proxy to the targets. How long one may take to answer is the server's DialTimeout, and to shake hands its
// HandshakeTimeout.
func New(targets []Target, balance Balance, log *slog.Logger) (*Proxy, error) {
	if len(targets) == 0 {
		return nil, errors.New("proxy: no target: give at least one address to connect to")
	}
	p := &Proxy{log: log, targets: &pool{balance: balance, log: log}}
	for _, to := range targets {
		p.targets.all = append(p.targets.all, &target{Target: to})
	}
	return p, nil
}

// Close stops looking at targets that do not answer. Any goroutine may call it.
func (p *Proxy) Close() { p.targets.close() }

// Accept is for switchboard.Server: it begins to connect to a target.
func (p *Proxy) Accept(c *switchboard.Conn) (switchboard.Handler, error) {
	ln := p.newLine(c)
	c.Pause() // also while there is no target to be connected to
	ln.connect()
	return ln, nil
}

// newLine makes the line of a client.
func (p *Proxy) newLine(c *switchboard.Conn) *line {
	ln := &line{proxy: p, client: c}
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
