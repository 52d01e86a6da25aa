package zmtp

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
)

// A request is one that a REQ waits for the reply to, or that a REP has received and not replied to.
type request struct {
	open     bool // a REQ's: the reply has not come
	id       uint32
	peer     *peer  // that has it; nil: none has it yet
	envelope []byte // a REP's: what goes before the reply, on the wire
}

// request queues a REQ's request. s.mu is held.
func (s *Socket) request(parts [][]byte, size int) (*peer, error) {
	if s.asked.open && !s.opt.ReqRelaxed {
		return nil, fmt.Errorf("the reply to the last request was not received: %w (Options.ReqRelaxed allows it)", ErrState)
	}
	id := s.asked.id
	envelope := make([][]byte, 0, 2+len(parts))
	if s.opt.ReqCorrelate {
		if id == 0 {
			id = rand.Uint32()
		}
		id++
		envelope = append(envelope, binary.BigEndian.AppendUint32(nil, id))
	}
	envelope = append(append(envelope, nil), parts...)
	s.backlogOfRequest()
	before := s.backlog.n
	p, err := s.balance(envelope, partsSize(envelope))
	if err != nil {
		return nil, err
	}
	s.asked = request{open: true, id: id}
	if s.backlog.n == before {
		s.asked.peer = s.picked
	}
	return p, nil
}

// backlogOfRequest drops a request that no peer has had and that another one takes the place of.
func (s *Socket) backlogOfRequest() {
	if s.asked.open && s.asked.peer == nil {
		s.stats.Lost += int64(s.backlog.clear())
	}
}

// takeReply takes a message that came for a REQ, and tells whether it is the reply.
func (s *Socket) takeReply(p *peer, m *Message) bool {
	if !s.asked.open || s.asked.peer != p {
		return false
	}
	parts := m.Parts
	if s.opt.ReqCorrelate {
		if len(parts[0]) != 4 || binary.BigEndian.Uint32(parts[0]) != s.asked.id {
			return false
		}
		parts = parts[1:]
	}
	if len(parts) < 2 || len(parts[0]) > 0 {
		return false
	}
	m.Parts = append(m.Parts[:0], parts[1:]...)
	s.asked.open = false
	return true
}

// takeRequest takes a message that came for a REP: what stands before the empty part is kept for the reply.
func (s *Socket) takeRequest(p *peer, m *Message) bool {
	m.envelope = m.envelope[:0]
	for i, part := range m.Parts[:len(m.Parts)-1] {
		m.envelope = appendFrame(m.envelope, flagMore, part)
		if len(part) == 0 {
			m.Parts = append(m.Parts[:0], m.Parts[i+1:]...)
			if s.opt.Handler == nil {
				s.asking = &request{peer: p, envelope: append(m.envelope[:0:0], m.envelope...)}
			}
			return true
		}
	}
	return false
}

// reply queues a REP's reply. s.mu is held.
func (s *Socket) reply(parts [][]byte, size int) (*peer, error) {
	a := s.asking
	if a == nil {
		return nil, fmt.Errorf("there is no request to reply to: %w", ErrState)
	}
	s.asking = nil
	p := a.peer
	if p.state.get() != stateReady || !p.roomy(size) {
		s.stats.Dropped++
		return nil, nil
	}
	p.out.addRaw(appendParts(a.envelope, parts), 1, s.spending())
	return s.queued(p), nil
}

// mayReceive tells whether it is the socket's turn to receive. s.mu is held.
func (s *Socket) mayReceive() error {
	switch {
	case s.typ == REQ && s.asked.open && s.asked.peer != nil && s.asked.peer.state.get() == stateGone && s.asked.peer.in.n == 0:
		s.asked = request{id: s.asked.id}
		return ErrPeerLost
	case s.typ == REQ && !s.asked.open:
		return fmt.Errorf("no request was sent: %w", ErrState)
	case s.typ == REP && s.asking != nil:
		return fmt.Errorf("the last request was not replied to: %w", ErrState)
	}
	return nil
}

// lost is called when p has gone. s.mu is held.
func (s *Socket) lost(p *peer) {
	if s.typ == REQ && s.asked.open && s.asked.peer == p { // mayReceive tells
		s.receivers.wake(len(s.receivers.list))
	}
}

// name gives a ROUTER's new peer its identity, or tells why it cannot have the one that it told. s.mu is held.
func (s *Socket) name(p *peer) error {
	if p.identity == "" {
		for {
			s.number++
			id := string(binary.BigEndian.AppendUint32([]byte{0}, s.number))
			if s.routes[id] == nil {
				p.identity = id
				break
			}
		}
	} else if other := s.routes[p.identity]; other != nil {
		if !s.opt.RouterHandover {
			return protocolErrorf("the identity %q belongs to another peer, %s (Options.RouterHandover lets the new one have it)",
				p.identity, other.address())
		}
		other.evict(protocolErrorf("a new peer, %s, has taken over the identity %q", p.address(), p.identity))
	}
	s.routes[p.identity] = p
	return nil
}

// routeTo queues a ROUTER's message for the peer that its first part names. s.mu is held.
func (s *Socket) routeTo(parts [][]byte) (*peer, error) {
	p := s.routes[string(parts[0])]
	parts = parts[1:]
	if len(parts) == 0 {
		return nil, fmt.Errorf("a ROUTER's message must have a part behind the identity")
	}
	if p == nil || p.state.get() != stateReady {
		if s.opt.RouterMandatory {
			return nil, ErrUnreachable
		}
		s.stats.Dropped++
		return nil, nil
	}
	if s.opt.RouterMandatory && !p.roomy(partsSize(parts)) {
		p.full = true
		return nil, ErrWouldBlock
	}
	return s.give(p, parts, partsSize(parts))
}
