//go:build linux

package switchboard

import (
	"crypto/tls"
	"io"
	"time"

	"github.com/switchboard-go/switchboard/internal/engine"
	"github.com/switchboard-go/switchboard/internal/engine/simkernel"
)

// An admitter wants the next bytes of a connection before it admits it.
type admitter struct {
	w      *world
	number int
	wants  int
}

// An admission is what the admitters know of one connection.
type admission struct {
	peer  *simkernel.Peer
	taken int64 // bytes that they consumed
	seen  int   // that they were offered and have not consumed
	done  int   // of the admitters, those who have admitted it
	ended int   // and were told of its end
	err   error // why it was refused
}

// admit gives s some admitters.
func (w *world) admit(s *Server) {
	w.admissions = make(map[*Conn]*admission)
	for i := range 1 + w.rng.IntN(3) {
		a := &admitter{w: w, number: i, wants: []int{0, 1, 16, 80}[w.rng.IntN(4)]}
		w.header += int64(a.wants)
		s.Admission = append(s.Admission, a)
	}
	s.HandshakeTimeout = w.among(0, -1, 50*time.Millisecond, 2*time.Second)
}

// Admit implements Admitter.
func (a *admitter) Admit(c *Conn, p []byte) (int, error) {
	w := a.w
	ad := w.admissions[c]
	if ad == nil {
		ad = &admission{peer: w.k.PeerOf(int(c.line.FD))}
		w.admissions[c] = ad
	}
	w.log("Admit %d: %d bytes at %d", a.number, len(p), ad.taken)
	switch {
	case ad.done != a.number || ad.err != nil || ad.ended > 0:
		w.fault("admitter %d is asked, and %d have admitted, %d heard of the end, refused %v", a.number, ad.done, ad.ended, ad.err)
	case len(p) < ad.seen || len(p) == ad.seen && len(p) > 0 && a.wants > len(p) && ad.seen > 0:
		w.fault("admitter %d is asked with %d bytes, after %d", a.number, len(p), ad.seen)
	}
	if ad.peer != nil {
		if i := ad.peer.Out.Check(p[:min(len(p), a.wants)], ad.taken); i >= 0 {
			w.fault("byte %d that admitter %d is offered is not what the peer sent there", ad.taken+int64(i), a.number)
		}
	}
	ad.err = ErrAborted // if it breaks
	w.mayBreak(nil)
	switch {
	case w.chance(40):
		ad.err = errSim
		return 0, errSim
	case w.chance(200):
		ad.err = ErrBadCount
		return len(p) + 1, nil
	case w.chance(200):
		c.Close()
		ad.done++ // and is told of the end
		return 0, nil
	}
	ad.err = nil
	if len(p) < a.wants {
		ad.seen = len(p)
		return 0, io.ErrUnexpectedEOF
	}
	ad.done++
	ad.taken += int64(a.wants)
	ad.seen = 0
	return a.wants, nil
}

// Ended implements Admitter.
func (a *admitter) Ended(c *Conn) {
	w := a.w
	ad := w.admissions[c]
	if f := w.lifeOf(c); f != nil && f.closed > 0 {
		w.fault("%v: its admitters hear of its end after its handler", f)
	}
	if ad == nil || ad.done-ad.ended-1 != a.number {
		w.fault("admitter %d hears of an end: %+v", a.number, ad)
		return
	}
	ad.ended++
	w.mayBreak(nil)
}

// checkAdmitted looks at a connection for which Accept is called.
func (f *life) checkAdmitted() {
	ad := f.w.admissions[f.c]
	if len(f.w.s.Admission) == 0 {
		return
	}
	if ad == nil || ad.done != len(f.w.s.Admission) || ad.ended > 0 || ad.err != nil {
		f.w.fault("%v: it is accepted, and was not admitted: %+v", f, ad)
		return
	}
	f.consumed, f.header = ad.taken, ad.taken
}

// checkAdmissions looks at all that were ever asked about, when they are gone.
func (w *world) checkAdmissions() {
	for _, ad := range w.admissions {
		if ad.ended != ad.done {
			w.fault("%d have admitted a connection, and %d heard of its end", ad.done, ad.ended)
		}
		if ad.err != nil && ad.peer != nil && ad.peer.Heard() == simkernel.Ended && !ad.peer.Unix() {
			w.fault("%v: it was not admitted (%v), and heard an end in order", ad.peer, ad.err)
		}
	}
}

// upgrade has p begin TLS when it has sent and heard something in the clear, or a header for the admitters.
func (w *world) upgrade(p *simkernel.Peer, version uint16) {
	switch {
	case w.header > 0 && p.Speaks != nil:
		p.Later, p.Speaks = p.Speaks, nil
		p.LaterAt = w.header
	case w.upgrades && w.header == 0 && !w.chance(4):
		p.Later = simkernel.Client(version)
		p.LaterAt = int64(1 + w.rng.IntN(2000))
		if w.chance(2) {
			p.LaterGot = int64(1 + w.rng.IntN(200))
		}
	default:
		return
	}
	p.Send += 2 * int(p.LaterAt)
}

// startTLS begins TLS, if it has consumed all that is to come in the clear.
func (f *life) startTLS() {
	w, c := f.w, f.c
	if f.upgradeAt == 0 || f.consumed < f.upgradeAt {
		return
	}
	f.upgradeAt = 0
	if n := f.goAhead; n > 0 {
		p := make([]byte, n)
		f.stream.Fill(p, f.wrote)
		if got, err := c.Write(p); err != nil || int64(got) != n {
			if c.endedFor() == nil && f.closed == 0 && !f.outEnded {
				w.fault("%v: %d bytes are not taken: %v", f, n, err)
			}
			f.aborted = true
			c.Abort()
			return
		}
		f.wrote += n
	}
	err := c.StartTLS(&tls.Config{Certificates: []tls.Certificate{simkernel.Certificate()}, Time: w.time})
	if err != nil && !c.marked(stopMark) && c.flags&inputEnded == 0 {
		w.fault("%v: StartTLS: %v", f, err)
	}
	if again := c.StartTLS(nil); again == nil {
		w.fault("%v: StartTLS twice", f)
	}
}

// progresses says that the time for a message begins.
func (f *life) progresses() {
	if !f.c.marked(stopMark) {
		f.progressed = f.w.k.Now()
	}
}

// checkMessage looks at a message timeout that is over.
func (f *life) checkMessage() {
	if f.messageOver {
		return
	}
	f.messageOver = true
	if f.plain || f.piped != nil || f.c.flags&secured != 0 { // it is not told when its queue has drained, or sees no records
		return
	}
	if d := f.w.k.Now() - f.progressed; d < f.w.s.limits.MessageTimeout-slack {
		f.w.fault("%v: its message takes too long, and it consumed something %v ago", f, d)
	}
}

// checkTimeouts looks for connections that wait for ever, when nothing will happen any more, though a timeout should end them.
func (w *world) checkTimeouts(c *Conn) {
	lim := &w.s.limits
	f := w.lifeOf(c)
	waits := func(d time.Duration, what string) {
		if d > 0 && d < never {
			w.fault("%v, of %v in state %d, waits for ever, and %s is %v", f, c.RemoteAddr(), c.state, what, d)
		}
	}
	fd := int(c.line.FD)
	switch c.state {
	case stateConnecting:
		waits(lim.DialTimeout, "DialTimeout")
	case stateAdmitting:
		waits(lim.HandshakeTimeout, "HandshakeTimeout")
	case stateHandshaking:
		waits(lim.HandshakeTimeout, "HandshakeTimeout")
		if p := w.k.PeerOf(fd); p != nil && p.Speaks != nil && !p.Up() && !p.HasEnded() && p.Reads() && !c.marked(stopMark) && c.Queued() == 0 {
			w.fault("%v and the server wait for each other in a handshake", p)
		}
	case stateLingering:
		waits(lim.LingerTimeout, "LingerTimeout")
	case stateResetting:
		w.fault("%v has failed, and is never reset", f)
	case stateOpen:
		if c.out&blocked != 0 {
			waits(lim.WriteTimeout, "WriteTimeout")
		}
		if c.in != nil && !c.stopped() && c.flags&inputEnded == 0 {
			waits(lim.MessageTimeout, "MessageTimeout")
		}
		if c.held() && !c.blocksForInput() {
			return
		}
		waits(lim.IdleTimeout, "IdleTimeout")
		if c.flags&inputEnded != 0 {
			waits(lim.HalfCloseTimeout, "HalfCloseTimeout")
		}
	}
	if c.state < stateOpen && c.state != stateConnecting && c.flags&(inputFull|inputEnded) == 0 && w.k.Ready(fd, engine.Read) != 0 {
		w.fault("%v: what %v says is not read, in state %d", f, c.RemoteAddr(), c.state)
	}
}
