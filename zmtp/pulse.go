package zmtp

import (
	"encoding/binary"
	"time"

	"github.com/switchboard-go/switchboard"
)

// A pulse is the heartbeat of a connection. It belongs to the loop.
type pulse struct {
	beat     *switchboard.Timer // our PINGs
	heard    sign
	sent     time.Time // when the PING was sent that nothing has come since
	awaiting bool

	ttl      *switchboard.Timer // the peer's wish
	ttlFor   time.Duration
	ttlHeard sign
}

// mostCommands bounds what is queued for a peer that sends PINGs and takes no PONGs.
const mostCommands = 64 << 10

// startPulse begins to send PINGs, if Options ask for it.
func (p *peer) startPulse() {
	o := &p.s.opt
	if o.HeartbeatInterval == 0 || p.version30 || p.c == nil {
		return
	}
	x := p.extra()
	x.pulse = &pulse{}
	x.pulse.beat = p.c.After(o.HeartbeatInterval, p.beat)
}

// beat looks whether the peer lives and sends it the next PING.
func (p *peer) beat() {
	if p.state.get() != stateReady {
		return
	}
	o, u := &p.s.opt, p.more.Load().pulse
	if p.lives(&u.heard) {
		u.awaiting = false
	}
	next := o.HeartbeatInterval
	if u.awaiting {
		left := o.HeartbeatTimeout - time.Since(u.sent)
		if left <= 0 {
			p.end(ErrHeartbeat)
			return
		}
		next = min(next, left)
	} else {
		u.awaiting, u.sent = true, time.Now()
		ttl := binary.BigEndian.AppendUint16(nil, uint16(o.HeartbeatTTL/(100*time.Millisecond)))
		p.say("PING", ttl)
		next = min(next, o.HeartbeatTimeout)
	}
	u.beat.Reset(next)
}

// pinged replies to a PING.
func (p *peer) pinged(data []byte) error {
	if len(data) < 2 {
		return protocolErrorf("a PING of %d bytes, which lacks its time to live", len(data))
	}
	ttl, context := binary.BigEndian.Uint16(data), data[2:]
	if len(context) > 16 {
		return protocolErrorf("a PING with a context of %d bytes: at most 16", len(context))
	}
	if ttl > 0 && p.c != nil {
		x := p.extra()
		if x.pulse == nil {
			x.pulse = &pulse{}
		}
		x.pulse.ttlFor = time.Duration(ttl) * 100 * time.Millisecond
		p.lives(&x.pulse.ttlHeard)
		if x.pulse.ttl == nil {
			x.pulse.ttl = p.c.After(x.pulse.ttlFor, p.ttlOver)
		} else {
			x.pulse.ttl.Reset(x.pulse.ttlFor)
		}
	}
	if p.say("PONG", context) > mostCommands {
		return overLimit("the peer sends PINGs and takes no PONGs")
	}
	return nil
}

// ttlOver ends the connection if nothing came within the time that the peer asked for.
func (p *peer) ttlOver() {
	if p.state.get() != stateReady {
		return
	}
	u := p.more.Load().pulse
	if p.lives(&u.ttlHeard) {
		u.ttl.Reset(u.ttlFor)
		return
	}
	p.end(ErrHeartbeat)
}

// A sign is what was known of a peer's life at a time.
type sign struct {
	moved  int64 // bytes that it had sent, or sent and taken
	paused bool  // the program did not receive, so it was not read
}

// lives tells whether the peer has shown itself since at: it has sent something; or taken something, for while much is
// queued for it it is not read; or it could not, as it was not read because the program did not receive, and that may have
// changed just now. at is then what is known by this call.
func (p *peer) lives(at *sign) bool {
	now := sign{moved: p.c.Received()}
	if p.c.Full() {
		now.moved += p.c.Sent()
	}
	p.s.mu.Lock()
	now.paused = p.paused
	p.s.mu.Unlock()
	was := *at
	*at = now
	return now.moved != was.moved || now.paused || was.paused
}

// say queues a command, and returns how many bytes of commands are queued.
func (p *peer) say(name string, data []byte) int {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	x := p.extra()
	x.commands = appendCommand(x.commands, name, data)
	p.s.schedule(p)
	return len(x.commands)
}
