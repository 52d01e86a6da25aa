package zmtp

import (
	"encoding/binary"
	"time"

	"github.com/switchboard-go/switchboard"
)

// A heartbeat holds the timers of PING and of the time to live that the peer asked for. It belongs to the loop.
type heartbeat struct {
	pings    *switchboard.Timer // our PINGs
	seen     activity
	sent     time.Time // when the PING was sent that nothing has come since
	awaiting bool

	ttl     *switchboard.Timer // the peer's wish
	ttlFor  time.Duration
	ttlSeen activity
}

// mostCommands bounds what is queued for a peer that sends PINGs and takes no PONGs.
const mostCommands = 64 << 10

// startHeartbeat begins to send PINGs, if Options ask for it.
func (p *peer) startHeartbeat() {
	o := &p.s.opt
	if o.HeartbeatInterval == 0 || p.version30 || p.c == nil {
		return
	}
	x := p.extra()
	x.heartbeat = &heartbeat{}
	x.heartbeat.pings = p.c.After(o.HeartbeatInterval, p.sendPing)
}

// sendPing ends the peer if it has not answered the last PING in time, and sends the next one when it is due.
func (p *peer) sendPing() {
	if p.state.get() != stateReady {
		return
	}
	o, u := &p.s.opt, p.more.Load().heartbeat
	if p.alive(&u.seen) {
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
	u.pings.Reset(next)
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
		if x.heartbeat == nil {
			x.heartbeat = &heartbeat{}
		}
		x.heartbeat.ttlFor = time.Duration(ttl) * 100 * time.Millisecond
		p.alive(&x.heartbeat.ttlSeen)
		if x.heartbeat.ttl == nil {
			x.heartbeat.ttl = p.c.After(x.heartbeat.ttlFor, p.ttlOver)
		} else {
			x.heartbeat.ttl.Reset(x.heartbeat.ttlFor)
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
	u := p.more.Load().heartbeat
	if p.alive(&u.ttlSeen) {
		u.ttl.Reset(u.ttlFor)
		return
	}
	p.end(ErrHeartbeat)
}

// An activity is how far a peer had come at a time.
type activity struct {
	bytes  int64 // that it had sent, or sent and taken
	paused bool  // the program did not receive, so it was not read
}

// alive reports whether the peer has done something since at, and sets at to the present. Sending counts, and while much is queued
// for it, taking. A peer that is not read because the program does not receive, or was not until now, counts as alive.
func (p *peer) alive(at *activity) bool {
	now := activity{bytes: p.c.Received()}
	if p.c.Full() {
		now.bytes += p.c.Sent()
	}
	p.s.mu.Lock()
	now.paused = p.paused
	p.s.mu.Unlock()
	was := *at
	*at = now
	return now.bytes != was.bytes || now.paused || was.paused
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
