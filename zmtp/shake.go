package zmtp

import (
	"fmt"
	"time"

	"github.com/switchboard-go/switchboard"
)

// begin sends the greeting.
func (p *peer) begin(c *switchboard.Conn) {
	o := &p.s.opt
	c.KeepReading() // receiving has a high-water mark of its own
	p.state.set(stateGreeting)
	p.hs = &handshake{p: p, accepted: p.accepted}
	if o.HandshakeTimeout > 0 {
		p.hs.timer = time.AfterFunc(o.HandshakeTimeout, func() { // one of c's own would leave memory with c
			c.Do(func() {
				if p.state.get() < stateReady {
					p.end(ErrHandshakeTimeout)
				}
			})
		})
	}
	minor := byte(1)
	if o.Version30 {
		minor = 0
	}
	p.send(appendGreeting(nil, greeting{minor, o.Security.name(), o.Security.server()}))
}

// send writes what belongs to the handshake.
func (p *peer) send(b []byte) {
	if len(b) > 0 {
		p.c.Write(b)
		p.written += int64(len(b))
	}
}

// shake takes the part of b that belongs to the greeting and the handshake, and returns the rest.
func (p *peer) shake(b []byte) (rest []byte, err error) {
	h := p.hs
	if p.state.get() == stateGreeting {
		if err := checkGreeting(b[:min(len(b), greetingSize)]); err != nil {
			return nil, err
		}
		if len(b) < greetingSize {
			return b, nil
		}
		g, err := parseGreeting(b)
		if err != nil {
			return nil, err
		}
		b = b[greetingSize:]
		if want := p.s.opt.Security.name(); g.mechanism != want {
			return nil, protocolErrorf("the peer's mechanism is %s, this socket's is %s: Options.Security must be of the same kind on both sides",
				g.mechanism, want)
		}
		h.minor = g.minor
		h.mech = p.s.opt.Security.start(h)
		p.state.set(stateShaking)
		reply, err := h.mech.open()
		if err := p.step(reply, err); err != nil {
			return nil, err
		}
	}
	for p.state.get() == stateShaking && len(b) > 0 && !h.asked {
		head, err := parseHeader(b)
		if err != nil || head.len == 0 {
			return b, err
		}
		if head.flags&flagCommand == 0 {
			return nil, protocolErrorf("a message came before the handshake was done")
		}
		if head.size > longestCommand {
			return nil, overLimit("a command of %d bytes in the handshake, where %d are allowed", head.size, longestCommand)
		}
		end := head.len + int(head.size)
		if len(b) < end {
			return b, nil
		}
		name, data, err := parseCommand(b[head.len:end])
		if err != nil {
			return nil, err
		}
		b = b[end:]
		if name == "ERROR" {
			return nil, refused(data)
		}
		reply, err := h.mech.take(name, data)
		if err := p.step(reply, err); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// step goes on after a mechanism has taken something.
func (p *peer) step(reply []byte, err error) error {
	h := p.hs
	if err != nil {
		return err
	}
	p.send(reply)
	if h.login != nil && !h.asked {
		if ask := p.s.opt.Authenticate; ask != nil && h.accepted {
			h.asked = true
			p.c.Pause()
			login := h.login
			login.Endpoint, login.RemoteAddr, login.Identity = p.endpoint(), p.address(), h.identity
			c := p.c
			go func() {
				user, err := authenticate(ask, login)
				c.Do(func() { p.answered(user, err) })
			}()
			return nil
		}
		h.login = nil
		reply, err := h.mech.allowed()
		return p.step(reply, err)
	}
	if h.done {
		return p.join()
	}
	return nil
}

// authenticate asks, and takes a panic for a refusal.
func authenticate(ask func(*Login) (string, error), login *Login) (user string, err error) {
	returned := false
	defer func() {
		if !returned {
			err = fmt.Errorf("Options.Authenticate panicked: %v", recover())
		}
	}()
	user, err = ask(login)
	returned = true
	return user, err
}

// answered takes what Options.Authenticate said.
func (p *peer) answered(user string, err error) {
	h := p.hs
	if p.state.get() != stateShaking {
		return
	}
	run := p.run()
	run.enter()
	defer run.leave()
	if err == nil {
		h.user = user
		h.login, h.asked = nil, false
		var reply []byte
		if reply, err = h.mech.allowed(); err == nil {
			err = p.step(reply, nil)
		}
	} else {
		p.send(refuse("400")) // ZAP's status for wrong credentials (RFC 27); the reason is not for the peer
		err = &ProtocolError{Reason: "Options.Authenticate refused the peer: " + err.Error(), cause: err}
		p.extra().err = err
		p.c.Close()
		return
	}
	if err != nil {
		p.fail(err)
		p.c.Close()
		return
	}
	p.c.Resume()
}

// join makes the peer one of its socket's.
func (p *peer) join() error {
	h := p.hs
	if h.cipher != nil || h.user != "" {
		x := p.extra()
		x.cipher, x.user = h.cipher, h.user
	}
	p.version30 = h.minor == 0 || p.s.opt.Version30
	p.identity = h.identity
	if err := p.s.join(p, h.typ); err != nil {
		return err
	}
	p.endHandshake()
	p.s.tell(Event{Kind: Ready, Endpoint: p.endpoint(), RemoteAddr: p.address(), Peer: h.typ, Identity: h.identity, Metadata: h.metadata})
	if p.dialer != nil {
		p.dialer.succeeded()
	}
	p.startPulse()
	p.write()
	return nil
}

// endHandshake lets go of what only the handshake needed.
func (p *peer) endHandshake() {
	if p.hs != nil && p.hs.timer != nil {
		p.hs.timer.Stop()
	}
	p.hs = nil
}
