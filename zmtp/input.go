package zmtp

import (
	"sync"

	"github.com/switchboard-go/switchboard/internal/buffer"
)

// An assembly is a message that has come in part.
type assembly struct {
	b      *buffer.Buffer // its frames so far
	frame  int            // where in b the frame begins that is not whole
	parts  int
	size   int            // of the whole parts
	delim  bool           // an empty part has come
	sealed *buffer.Buffer // an encrypted frame that is not whole
}

var assemblies = sync.Pool{New: func() any { return new(assembly) }}

// room returns how many bytes it has room for.
func (a *assembly) room() (n int) {
	for _, b := range []*buffer.Buffer{a.b, a.sealed} {
		if b != nil {
			n += cap(b.B)
		}
	}
	return n
}

func (a *assembly) free() {
	for _, b := range []*buffer.Buffer{a.b, a.sealed} {
		if b != nil {
			buffer.Put(b)
		}
	}
	*a = assembly{}
	assemblies.Put(a)
}

// A tally counts what a message has so far.
type tally struct {
	parts, size int
	delim       bool
}

// begins checks the header of a frame before anything of its body is kept.
func (p *peer) begins(h header, t *tally) error {
	o := &p.s.opt
	if h.flags&flagCommand != 0 {
		if h.size > longestCommand {
			return overLimit("a command of %d bytes, where %d are allowed", h.size, longestCommand)
		}
		return nil
	}
	if h.size > uint64(o.MaxMessageSize-t.size) {
		return overLimit("a message of %d bytes and more, where Options.MaxMessageSize allows %d", uint64(t.size)+h.size, o.MaxMessageSize)
	}
	if t.parts >= o.MaxParts {
		return overLimit("a message of more than %d parts, which Options.MaxParts allows", o.MaxParts)
	}
	return nil
}

// counts adds a whole frame to the tally, and checks the message at its end.
func (p *peer) counts(h header, t *tally) (whole bool, err error) {
	t.parts++
	t.size += int(h.size)
	if h.flags&flagMore != 0 {
		t.delim = t.delim || h.size == 0
		return false, nil
	}
	switch typ := p.s.typ; {
	case (typ == REQ || typ == REP) && !t.delim:
		return true, protocolErrorf("a message without the empty part that REQ and REP need before the body: a DEALER or ROUTER must send one")
	case typ == DISH && t.parts != 2:
		return true, protocolErrorf("a message of %d parts came for a DISH, where a group and a body are due", t.parts)
	}
	*t = tally{}
	return true, nil
}

// input takes bytes of frames.
func (p *peer) input(b []byte) (err error) {
	if p.more.Load() != nil && p.more.Load().cipher != nil {
		return p.inputSealed(b)
	}
	for len(b) > 0 && err == nil && p.state.get() == stateReady {
		if p.asm == nil {
			b, err = p.inputWhole(b)
		} else {
			b, err = p.inputRest(b)
		}
	}
	return err
}

// inputWhole takes the messages that lie whole in b, and begins an assembly with what is left. It returns what is to be
// looked at next.
func (p *peer) inputWhole(b []byte) (rest []byte, err error) {
	start, message, at, n := 0, 0, 0, 0 // where undelivered messages, the message and the frame begin
	var t tally
	for at < len(b) {
		h, e := parseHeader(b[at:])
		if e == nil && h.len > 0 {
			e = p.begins(h, &t)
		}
		if e != nil {
			err = e
			break
		}
		end := at + h.len + int(h.size)
		if h.len == 0 || end > len(b) || h.flags&flagCommand != 0 && at != message {
			break
		}
		if h.flags&flagCommand != 0 {
			p.deliver(b[start:at], n)
			if err := p.command(b[at+h.len : end]); err != nil {
				return nil, err
			}
			start, message, at, n = end, end, end, 0
			continue
		}
		whole, e := p.counts(h, &t)
		if e != nil {
			err = e
			break
		}
		if at = end; whole {
			message = end
			n++
		}
	}
	p.deliver(b[start:message], n)
	if err != nil || message == len(b) {
		return nil, err
	}
	a := assemblies.Get().(*assembly)
	a.parts, a.size, a.delim, a.frame = t.parts, t.size, t.delim, at-message
	a.b = buffer.Get(a.frame + longestHeader)
	a.b.B = append(a.b.B, b[message:at]...)
	p.asm = a
	return b[at:], nil
}

// inputRest goes on with the assembly. It returns what b holds after the frame.
func (p *peer) inputRest(b []byte) (rest []byte, err error) {
	a := p.asm
	t := tally{a.parts, a.size, a.delim}
	h, b, err := fill(&a.b, a.frame, b, func(h header) error { return p.begins(h, &t) })
	if err != nil || h.len == 0 {
		return nil, err
	}
	if h.flags&flagCommand != 0 {
		err := p.command(a.b.B[a.frame+h.len:])
		if p.asm != a {
			return b, err
		}
		if a.b.B = a.b.B[:a.frame]; a.frame == 0 {
			p.asm = nil
			a.free()
		}
		return b, err
	}
	whole, err := p.counts(h, &t)
	if err != nil {
		return nil, err
	}
	a.parts, a.size, a.delim, a.frame = t.parts, t.size, t.delim, len(a.b.B)
	if whole {
		whole := a.b
		a.b = nil
		p.asm = nil
		a.free()
		p.deliverWhole(whole)
	}
	return b, nil
}

// fill moves bytes from b to the end of *to until the frame that begins at frame is whole: then it returns its header.
// check is asked about the header before memory is taken for the body, which then grows with what comes.
func fill(to **buffer.Buffer, frame int, b []byte, check func(header) error) (h header, rest []byte, err error) {
	for {
		have := len((*to).B) - frame
		if h, err = parseHeader((*to).B[frame:]); err != nil {
			return header{}, nil, err
		}
		need := 0
		switch {
		case h.len > 0:
			if have == h.len {
				if err := check(h); err != nil {
					return header{}, nil, err
				}
			}
			need = h.len + int(h.size) - have
			if need == 0 {
				return h, b, nil
			}
		case have == 0:
			need = 1
		case (*to).B[frame]&flagLong != 0:
			need = longestHeader - have
		default:
			need = 2 - have
		}
		if len(b) == 0 {
			return header{}, nil, nil
		}
		take := min(need, len(b))
		if grown := len((*to).B) + take; grown > cap((*to).B) {
			// At most four times what has come.
			larger := buffer.Get(max(grown, min(len((*to).B)+need, 4*grown)))
			larger.B = append(larger.B, (*to).B...)
			buffer.Put(*to)
			*to = larger
		}
		(*to).B = append((*to).B, b[:take]...)
		b = b[take:]
	}
}

// command takes a command after the handshake.
func (p *peer) command(body []byte) error {
	name, data, err := parseCommand(body)
	if err != nil {
		return err
	}
	s := p.s
	switch name {
	case "PING":
		return p.pinged(data)
	case "PONG":
		return nil // that something came is noted
	case "SUBSCRIBE", "CANCEL":
		if !s.typ.publishes() {
			return protocolErrorf("a %s came for a %v, which does not publish", name, s.typ)
		}
		return s.subscription(p, name == "SUBSCRIBE", data)
	case "JOIN", "LEAVE":
		if s.typ != RADIO {
			return protocolErrorf("a %s came for a %v, which has no groups", name, s.typ)
		}
		return s.subscription(p, name == "JOIN", data)
	case "ERROR":
		return refused(data)
	case "READY", "HELLO", "WELCOME", "INITIATE":
		return protocolErrorf("the command %q came after the handshake", name)
	}
	return nil // RFC 37 lets later versions have commands of their own
}
