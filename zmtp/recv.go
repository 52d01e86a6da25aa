package zmtp

import (
	"context"
	"sync"

	"github.com/switchboard-go/switchboard/internal/buffer"
)

var messages = sync.Pool{New: func() any { return new(Message) }}

// Recv waits for the next message, at most until the receive deadline, and returns its parts, which the caller owns.
// It takes messages of the peers in turn.
func (s *Socket) Recv() ([][]byte, error) {
	m := messages.Get().(*Message)
	defer messages.Put(m)
	if err := s.RecvMessage(context.Background(), m); err != nil {
		return nil, err
	}
	size := 0
	for _, part := range m.Parts {
		size += len(part)
	}
	memory := make([]byte, 0, size)
	parts := make([][]byte, len(m.Parts))
	for i, part := range m.Parts {
		at := len(memory)
		memory = append(memory, part...)
		parts[i] = memory[at:len(memory):len(memory)]
	}
	m.reset()
	return parts, nil
}

// RecvMessage receives the next message into m and reuses its memory. It waits until there is one, at most until ctx
// ends.
func (s *Socket) RecvMessage(ctx context.Context, m *Message) error {
	if err := s.receive(ctx, m, true); err != nil {
		return s.error("receive", err)
	}
	return nil
}

// TryRecv is RecvMessage that returns ErrWouldBlock instead of waiting.
func (s *Socket) TryRecv(m *Message) error {
	err := s.receive(context.Background(), m, false)
	if err != nil && err != ErrWouldBlock {
		return s.error("receive", err)
	}
	return err
}

func (s *Socket) receive(ctx context.Context, m *Message, wait bool) (err error) {
	if !traits[s.typ].recvs || s.opt.Handler != nil {
		return ErrNotSupported
	}
	m.reset()
	s.mu.Lock()
	var resume *peer
	for {
		if s.closing {
			err = ErrClosed
			break
		}
		if err = s.mayReceive(); err != nil {
			break
		}
		if wait && s.recvDeadline.over() {
			err = s.wait(ctx, &s.receivers, &s.recvDeadline)
			break
		}
		if resume, err = s.nextMessage(m); err != ErrWouldBlock {
			break
		}
		if turn := s.mayReceive(); turn != nil { // what a peer that is gone had sent was not the reply
			err = turn
			break
		}
		if !wait {
			break
		}
		if err = s.wait(ctx, &s.receivers, &s.recvDeadline); err != nil {
			break
		}
	}
	if err == nil {
		s.stats.Received++
		s.turned = s.waiting == 0 // nothing more to reply to: what is sent next had best leave at once
		if s.waiting > 0 {
			s.receivers.wake(1)
		}
	}
	s.mu.Unlock()
	if resume != nil {
		resume.resume()
	}
	return err
}

// nextMessage takes the next message for the program. It returns the peer that is to be read again, if any. s.mu is held.
func (s *Socket) nextMessage(m *Message) (resume *peer, err error) {
	for s.inbox.n > 0 {
		p := s.inbox.pop()
		empty := s.takeFrom(p, m)
		if p.in.n > 0 {
			s.inbox.push(p)
		} else {
			p.inbox = false
		}
		if s.relieved(p) {
			if resume != nil {
				resume.wake()
			}
			resume = p
		}
		ok := s.interpret(p, m)
		if empty != nil {
			if ok && empty.shared == nil && len(empty.b.B) >= alone {
				m.own(empty.b)
				empty.b = nil
			} else if ok {
				m.keep()
			}
			if empty.b == nil {
				*empty = chunk{}
				chunks.Put(empty)
			} else {
				empty.free()
			}
		} else if ok {
			m.keep()
		}
		if ok {
			return resume, nil
		}
		s.stats.Filtered++
		m.reset()
	}
	if resume != nil {
		resume.wake()
	}
	return nil, ErrWouldBlock
}

// takeFrom takes p's next message as it came. The parts are views of its queue, or of the chunk that it returns.
func (s *Socket) takeFrom(p *peer, m *Message) (empty *chunk) {
	c := p.in.head
	size := 0
	m.Parts, size = cutMessage(c.bytes(), m.Parts[:0])
	empty = p.in.consumed(size)
	s.took(1, size)
	return empty
}

// interpret turns a message that came from p into what the program is given, and tells whether it is for the program.
func (s *Socket) interpret(p *peer, m *Message) bool {
	m.from = p
	if p.more.Load() != nil {
		m.UserID = p.more.Load().user
	}
	switch s.typ {
	case SUB:
		return s.trie.matches(m.Parts[0])
	case ROUTER:
		m.Parts = append(m.Parts, nil)
		copy(m.Parts[1:], m.Parts)
		m.Parts[0] = []byte(p.identity)
	case REQ:
		return s.takeReply(p, m)
	case REP:
		return s.takeRequest(p, m)
	case SERVER:
		m.RoutingID = p.routing
		return len(m.Parts) == 1
	case CLIENT:
		return len(m.Parts) == 1
	case DISH:
		m.Group = string(m.Parts[0])
		m.Parts = append(m.Parts[:0], m.Parts[1])
		return s.trie.find(m.Group) != nil
	}
	return true
}

// deliver takes n whole messages that came from p.
func (p *peer) deliver(b []byte, n int) {
	if n == 0 {
		return
	}
	s := p.s
	if s.opt.Handler != nil && p.c != nil {
		p.handle(b)
		return
	}
	if s.typ.publishes() || s.typ == RADIO {
		p.fromSubscriber(b)
		return
	}
	s.mu.Lock()
	if s.opt.Conflate {
		for ; n > 1; n-- {
			b = b[messageSize(b):]
			s.stats.Dropped++
		}
		s.conflate(p)
	}
	p.in.addRaw(b, int32(n), nil)
	s.arrived(p, n, len(b))
	s.mu.Unlock()
}

// deliverWhole takes one message that came from p, with its buffer.
func (p *peer) deliverWhole(b *buffer.Buffer) {
	s := p.s
	if len(b.B) < alone || s.opt.Handler != nil || s.typ.publishes() || s.typ == RADIO {
		p.deliver(b.B, 1)
		buffer.Put(b)
		return
	}
	c := chunks.Get().(*chunk)
	c.b, c.n = b, 1
	s.mu.Lock()
	if s.opt.Conflate {
		s.conflate(p)
	}
	p.in.push(c)
	s.arrived(p, 1, len(b.B))
	s.mu.Unlock()
}

// handle calls the handler for the messages in b.
func (p *peer) handle(b []byte) {
	m := messages.Get().(*Message)
	p.handleEach(b, m)
	clear(m.Parts)
	m.reset()
	m.envelope = m.envelope[:0]
	messages.Put(m)
}

// handleEach is handle with m for each message in turn.
func (p *peer) handleEach(b []byte, m *Message) {
	s := p.s
	for len(b) > 0 {
		size := 0
		m.reset()
		m.Parts, size = cutMessage(b, m.Parts)
		b = b[size:]
		s.mu.Lock()
		ok := s.interpret(p, m)
		if ok {
			s.stats.Received++
		} else {
			s.stats.Filtered++
		}
		s.mu.Unlock()
		if ok {
			s.opt.Handler(s, m)
		}
	}
}

// Reply sends parts to the peer that m came from. It does not wait: it returns ErrWouldBlock if the peer's queue is
// full, and ErrUnreachable if the peer is gone. It is for handlers, and lets a REP reply to several requests in any
// order. A program may keep m for a later Reply if it does not receive into m again; in a handler m is valid until
// the handler returns.
func (m *Message) Reply(parts ...[]byte) error {
	p := m.from
	if p == nil {
		return ErrUnreachable
	}
	s := p.s
	out := &Message{Parts: parts}
	if _, err := s.check(out); err != nil {
		return s.sendError(err)
	}
	s.mu.Lock()
	err := error(nil)
	var direct *peer
	switch {
	case s.closing:
		err = ErrClosed
	case p.state.get() != stateReady:
		err = ErrUnreachable
	case !p.roomy(partsSize(parts)):
		p.full = true
		err = ErrWouldBlock
	default:
		if len(m.envelope) > 0 {
			p.out.addRaw(appendParts(m.envelope[:len(m.envelope):len(m.envelope)], parts), 1, s.spending())
		} else {
			p.out.add(parts, partsSize(parts), s.spending())
		}
		direct = s.queued(p)
	}
	s.mu.Unlock()
	if direct != nil {
		direct.write()
	}
	if err != nil && err != ErrWouldBlock {
		return s.sendError(err)
	}
	return err
}
