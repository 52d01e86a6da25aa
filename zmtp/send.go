package zmtp

import (
	"context"
	"fmt"

	"github.com/switchboard-go/switchboard/internal/buffer"
)

// Send sends a message of these parts. It does not keep the parts. It waits while the peers that may get the message
// have full queues, or there is no such peer, at most until the send deadline. PUB, XPUB, RADIO, ROUTER, REP and
// SERVER do not wait: they drop the message for peers that are full or gone, and count it.
//
// The first part of a ROUTER's message is the identity of the peer. An XSUB subscribes with a message of a byte 1 and
// a topic, and cancels with a byte 0.
func (s *Socket) Send(parts ...[]byte) error {
	m := messages.Get().(*Message)
	m.Parts = append(m.Parts[:0], parts...)
	err := s.SendMessage(context.Background(), m)
	clear(m.Parts)
	messages.Put(m)
	return err
}

// SendMessage is Send for a Message, which may have a Group or RoutingID. It waits at most until ctx ends. It neither
// changes nor keeps m.
func (s *Socket) SendMessage(ctx context.Context, m *Message) error {
	err := s.transfer(ctx, m, true)
	if err != nil {
		return s.sendError(err)
	}
	return nil
}

// TrySend is SendMessage that returns ErrWouldBlock instead of waiting.
func (s *Socket) TrySend(m *Message) error {
	err := s.transfer(context.Background(), m, false)
	if err != nil && err != ErrWouldBlock {
		return s.sendError(err)
	}
	return err
}

func (s *Socket) sendError(err error) error { return s.error("send", err) }

// transfer queues m, and waits for that if wait says so.
func (s *Socket) transfer(ctx context.Context, m *Message, wait bool) error {
	size, err := s.check(m)
	if err != nil {
		return err
	}
	s.mu.Lock()
	var p *peer
	for {
		if s.closing {
			err = ErrClosed
			break
		}
		if size >= alone && traits[s.typ].balance && s.typ != REQ && s.writeThrough(m.Parts, size) {
			break
		}
		if wait && s.sendDeadline.over() {
			// A deadline that is past holds even for what would not wait, as net's.
			err = s.wait(ctx, &s.senders, &s.sendDeadline)
			break
		}
		if p, err = s.route(m, size); err != ErrWouldBlock || !wait {
			break
		}
		if err = s.wait(ctx, &s.senders, &s.sendDeadline); err != nil {
			break
		}
	}
	s.mu.Unlock()
	if p != nil {
		p.write()
	}
	return err
}

// longestMessage is the most that a message may have on the wire: with what HighWaterBytes allows to be queued before it, that
// fits 31 bits.
const longestMessage = 1 << 30

// check tells what is wrong with a message to be sent, and returns its size on the wire.
func (s *Socket) check(m *Message) (size int, err error) {
	tr := &traits[s.typ]
	switch {
	case !tr.sends:
		return 0, ErrNotSupported
	case len(m.Parts) == 0:
		return 0, fmt.Errorf("a message must have a part, which may be empty")
	case len(m.Parts) > 1 && (tr.single || s.opt.Conflate):
		return 0, fmt.Errorf("a message of %d parts: %w", len(m.Parts), ErrNotSupported)
	case len(m.Group) > 255:
		return 0, fmt.Errorf("a group of %d bytes: %w", len(m.Group), ErrTooLarge)
	}
	if size = partsSize(m.Parts); size > longestMessage {
		return 0, fmt.Errorf("a message of %d bytes, where %d are allowed: %w", size, longestMessage, ErrTooLarge)
	}
	return size, nil
}

// route queues m for the peers that it is for. It returns the peer that the caller is to write, if any. s.mu is held.
func (s *Socket) route(m *Message, size int) (*peer, error) {
	switch s.typ {
	case PUB, XPUB:
		return nil, s.publish(m.Parts, size)
	case XSUB:
		return nil, s.upstream(m.Parts, size)
	case ROUTER:
		return s.routeTo(m.Parts)
	case REP:
		return s.reply(m.Parts, size)
	case REQ:
		return s.request(m.Parts, size)
	case SERVER:
		p := s.served[m.RoutingID]
		if p == nil {
			return nil, ErrUnreachable
		}
		return s.give(p, m.Parts, size)
	case RADIO:
		return nil, s.radio(m)
	}
	return s.balance(m.Parts, size)
}

// put queues a message for p, which has room.
func (s *Socket) put(p *peer, parts [][]byte, size int) {
	if s.opt.Conflate {
		s.stats.Dropped += int64(p.out.clear())
	}
	p.out.add(parts, size, s.spending())
	if !p.roomy(0) {
		if traits[s.typ].balance {
			s.noRoom(p)
		} else {
			p.full = true
		}
	}
}

// give queues a message for p and no other, or drops and counts it.
func (s *Socket) give(p *peer, parts [][]byte, size int) (*peer, error) {
	if !p.roomy(size) {
		p.full = true
		s.stats.Dropped++
		return nil, nil
	}
	s.put(p, parts, size)
	return s.queued(p), nil
}

// spread queues a message, which was encoded, for p, or drops and counts it. large is the message as a chunk of its own,
// or nil.
func (s *Socket) spread(p *peer, encoded []byte, large *chunk) {
	if s.opt.Conflate {
		s.stats.Dropped += int64(p.out.clear())
	}
	if !p.roomy(len(encoded)) {
		p.full = true
		s.stats.Dropped++
		return
	}
	if large != nil {
		p.out.push(large.split())
	} else {
		p.out.addRaw(encoded, 1, s.spending())
	}
	s.schedule(p)
}

// encode returns a message on the wire for spread: as bytes, or as a chunk that the caller is to free.
func (s *Socket) encode(parts [][]byte, size int) (encoded []byte, large *chunk) {
	if size < alone {
		s.code = appendParts(s.code[:0], parts)
		return s.code, nil
	}
	large = chunks.Get().(*chunk)
	large.b, large.n = buffer.Get(size), 1
	large.b.B = appendParts(large.b.B, parts)
	large.counted(s.spending())
	return nil, large
}
