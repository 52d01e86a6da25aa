package zmtp

import (
	"fmt"
	"strings"
	"time"

	"github.com/switchboard-go/switchboard"
)

// A Login is a peer that Options.Authenticate decides about.
type Login struct {
	Mechanism  string // "NULL", "PLAIN" or "CURVE"
	Endpoint   string // that the peer connected to
	RemoteAddr string
	Identity   string // of the peer, if it is known by now

	Username, Password string // of PLAIN
	Key                Key    // the client's public key, of CURVE
}

// mostLogins is how many calls of Options.Authenticate a socket makes at the same time. Others wait: a flood of handshakes would
// otherwise take a goroutine each.
const mostLogins = 64

// longestCommand is the size of the longest command that is taken in a handshake.
const longestCommand = 64 << 10

// A handshake is a connection's from its greeting to its first message.
type handshake struct {
	p        *peer
	accepted bool
	mech     mechanism
	timer    *time.Timer // of Options.HandshakeTimeout
	minor    byte        // of the version that both speak

	login  *Login // to be authenticated
	asked  bool   // somebody outside the loop is to say how it goes on
	copied int    // bytes of the command that a costly mechanism takes meanwhile
	done   bool

	typ      string // as the peer sent it
	identity string
	metadata map[string]string
	user     string  // what Authenticate returned
	cipher   *cipher // of CURVE
}

// properties returns what is told to the peer.
func (h *handshake) properties() []byte {
	s := h.p.s
	b := appendProperty(nil, "Socket-Type", []byte(s.typ.String()))
	if traits[s.typ].names {
		identity := s.opt.Identity
		b = appendProperty(b, "Identity", []byte(identity))
	}
	for name, value := range s.opt.Metadata {
		b = appendProperty(b, name, []byte(value))
	}
	return b
}

// learn takes what the peer tells of itself, and refuses a peer that has no part in this socket's pattern.
func (h *handshake) learn(metadata []byte) error {
	all, err := parseProperties(metadata)
	if err != nil {
		return err
	}
	for _, property := range all {
		switch strings.ToLower(property.name) {
		case "socket-type":
			h.typ = string(property.value)
		case "identity":
			if len(property.value) > 255 || len(property.value) > 0 && property.value[0] == 0 {
				return protocolErrorf("the peer's identity is %s: at most 255 bytes, the first not zero", excerpt(property.value))
			}
			h.identity = string(property.value)
		default:
			if strings.HasPrefix(strings.ToLower(property.name), "x-") {
				if h.metadata == nil {
					h.metadata = map[string]string{}
				}
				h.metadata[property.name] = string(property.value)
			}
		}
	}
	if h.typ == "" {
		return protocolErrorf("the peer does not tell its socket type")
	}
	if t := h.p.s.typ; !t.accepts(h.typ) {
		return protocolErrorf("a %s cannot talk to a %v", h.typ, t)
	}
	return nil
}

// refuse returns the ERROR command for a reason.
func refuse(reason string) []byte {
	reason = reason[:min(len(reason), 255)]
	return appendCommand(nil, "ERROR", []byte{byte(len(reason))}, []byte(reason))
}

// refused reads an ERROR command.
func refused(data []byte) error {
	if len(data) == 0 || int(data[0]) > len(data)-1 {
		return protocolErrorf("an ERROR command that is cut off")
	}
	return &RefusedError{Reason: strings.ToValidUTF8(string(data[1:1+int(data[0])]), "?")}
}

// begin sends the greeting.
func (p *peer) begin(c *switchboard.Conn) {
	o := &p.s.opt
	c.KeepReading(true) // receiving has a high-water mark of its own
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

// negotiate takes the part of b that belongs to the greeting and the handshake, and returns the rest.
func (p *peer) negotiate(b []byte) (rest []byte, err error) {
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
		p.state.set(stateHandshake)
		reply, err := h.mech.open()
		if err := p.step(reply, err); err != nil {
			return nil, err
		}
	}
	for p.state.get() == stateHandshake && len(b) > 0 && !h.asked {
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
		if m, ok := h.mech.(costly); ok {
			if err := p.agree(m, name, data); err != nil {
				return nil, err
			}
			continue
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
			p.s.logins.add(func() {
				if p.state.get() != stateHandshake {
					return
				}
				user, err := authenticate(ask, login)
				c.Do(func() { p.answered(user, err) })
			}, mostLogins)
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
	if p.state.get() != stateHandshake {
		return
	}
	batch := p.batch()
	batch.enter()
	defer batch.leave()
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
	p.startHeartbeat()
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
