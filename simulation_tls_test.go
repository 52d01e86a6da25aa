//go:build linux

package switchboard

import (
	"context"
	"crypto/tls"
	"errors"
	"math"
	"time"

	"github.com/switchboard-go/switchboard/internal/engine/simkernel"
)

// secure has the server speak TLS. A step of a handshake runs on a goroutine of its own, in no time of the simulation's: it is
// over when the seed says.
func (w *world) secure(s *Server) {
	config := &tls.Config{Certificates: []tls.Certificate{simkernel.Certificate()}, Time: w.time}
	if w.tls {
		s.TLSConfig = config
	}
	s.Handshakes = []int{0, 1, 3}[w.rng.IntN(3)]
	s.HandshakeTimeout = w.among(0, -1, 50*time.Millisecond, 2*time.Second, math.MaxInt64)
	s.elsewhere = w.elsewhere
}

// time is what certificates are looked at with.
func (w *world) time() time.Time { return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(w.k.Now()) }

// elsewhere is Server.elsewhere.
func (w *world) elsewhere(done func()) func() {
	w.steps++
	over := make(chan struct{})
	w.k.After(time.Duration(w.rng.IntN(3)*w.rng.IntN(4000))*time.Microsecond, func() {
		<-over
		w.steps++
		w.log("a step of a handshake is done")
		done()
	})
	return func() { close(over) }
}

// speak has p speak TLS if the connection does. f has dialled it, or is nil.
func (w *world) speak(p *simkernel.Peer, f *life) {
	if f != nil && f.c != nil && f.c.flags&dialled == 0 { // for its Pipe
		f = f.piped
	}
	version := []uint16{0, tls.VersionTLS12, tls.VersionTLS13}[w.rng.IntN(3)]
	switch {
	case p.At == "" && w.tls && !w.chance(10): // the others say something else
		p.Speaks = simkernel.Client(version)
	case f != nil && f.secure:
		p.Speaks = simkernel.Server(version)
	default:
		if p.At == "" {
			w.upgrade(p, version)
		}
		return
	}
	p.Speaks.Updates = w.chance(4)
	if p.StopAt >= 0 && p.ResumeAt == 0 && !w.proxy && w.chance(2) {
		p.StopAt, p.Speaks.Updates, p.Speaks.Floods = 0, true, true
	}
	p.Cuts = w.chance(4)
	if w.chance(8) {
		p.Garbles = 1 + int64(w.rng.IntN(10_000))
	}
	if p.At == "" {
		w.upgrade(p, version)
	}
}

// dial is Dial or DialTLS, on the loop of another connection if there is one.
func (f *life) dial(ctx context.Context, from *Conn, address string, h Handler) (*Conn, error) {
	config := &tls.Config{InsecureSkipVerify: true, Time: f.w.time}
	switch {
	case f.secure && from != nil:
		return from.DialTLS(ctx, address, config, h)
	case f.secure:
		return f.w.s.DialTLS(ctx, address, config, h)
	case from != nil:
		return from.Dial(ctx, address, h)
	}
	return f.w.s.Dial(ctx, address, h)
}

// checkRefused looks at an end before Accept: a handshake timeout must not count the time in which the peer had answered and it
// was the server's turn.
func (w *world) checkRefused(c *Conn, err error) {
	if !errors.Is(err, ErrHandshakeTimeout) {
		return
	}
	passed := c.loop.clock() - c.born
	if t := c.encryption(); t != nil && t.hand != nil && !t.hand.running {
		if passed -= t.hand.ours; t.hand.line != &c.loop.handshakes.silent {
			passed -= c.loop.clock() - t.hand.turned
		}
	}
	if d := time.Duration(passed) * time.Millisecond; d < w.s.limits.HandshakeTimeout-slack {
		w.fault("a handshake timed out after its peer was awaited for %v", d)
	}
}
