package zmtp

import (
	"errors"
	"fmt"
)

// ErrNotSubscribed is the error of Unsubscribe and Leave for a topic or group without a subscription. Use errors.Is.
var ErrNotSubscribed = errors.New("not subscribed")

// subscriptionCost is what a subscription counts for beside its length: about what it takes in memory.
const subscriptionCost = 128

// longestTopic is the size of the longest topic: that which fits a command.
const longestTopic = longestCommand - 16

// publish queues a message for every peer that subscribes to the beginning of its first part. s.mu is held.
func (s *Socket) publish(parts [][]byte, size int) error {
	s.epoch++
	if s.opt.NoDrop {
		full := false
		s.trie.match(parts[0], func(n *node) {
			for _, p := range n.subs {
				if !p.roomy(size) {
					p.full, full = true, true
				}
			}
		})
		if full {
			return ErrWouldBlock
		}
	}
	wanted := false
	var encoded []byte
	var large *chunk
	s.trie.match(parts[0], func(n *node) {
		if !wanted {
			wanted = true
			encoded, large = s.encode(parts, size)
		}
		for _, p := range n.subs {
			if p.epoch != s.epoch {
				p.epoch = s.epoch
				s.spread(p, encoded, large)
			}
		}
	})
	if large != nil {
		large.free()
	}
	if !wanted {
		s.stats.Unwanted++
	}
	return nil
}

// radio queues a message for every peer that has joined its group. s.mu is held.
func (s *Socket) radio(m *Message) error {
	n := s.trie.find(m.Group)
	if n == nil {
		s.stats.Unwanted++
		return nil
	}
	parts := [][]byte{[]byte(m.Group), m.Parts[0]}
	encoded, large := s.encode(parts, partsSize(parts))
	for _, p := range n.subs {
		s.spread(p, encoded, large)
	}
	if large != nil {
		large.free()
	}
	return nil
}

// upstream sends an XSUB's message: a subscription, a cancellation, or anything else to all peers. s.mu is held.
func (s *Socket) upstream(parts [][]byte, size int) error {
	if topic := parts[0]; len(parts) == 1 && len(topic) > 0 && topic[0] <= 1 {
		if len(topic)-1 > longestTopic {
			return fmt.Errorf("a topic of %d bytes: %w", len(topic)-1, ErrTooLarge)
		}
		s.subscribe(topic[0] == 1, topic[1:])
		return nil
	}
	encoded, large := s.encode(parts, size)
	for _, p := range s.peers {
		s.spread(p, encoded, large)
	}
	if large != nil {
		large.free()
	}
	return nil
}

// Subscribe makes a SUB or XSUB receive messages whose first part begins with topic; "" means all messages. It
// applies to present and future peers. Each Subscribe needs its own Unsubscribe.
func (s *Socket) Subscribe(topic string) error { return s.change("subscribe", topic, true) }

// Unsubscribe undoes one Subscribe.
func (s *Socket) Unsubscribe(topic string) error { return s.change("unsubscribe", topic, false) }

// Join makes a DISH receive the messages of a group, whose name has at most 255 bytes.
func (s *Socket) Join(group string) error { return s.change("join", group, true) }

// Leave undoes one Join.
func (s *Socket) Leave(group string) error { return s.change("leave", group, false) }

func (s *Socket) change(op, topic string, on bool) error {
	group := op == "join" || op == "leave"
	switch {
	case group && s.typ != DISH || !group && !s.typ.subscribes():
		return s.error(op, ErrNotSupported)
	case group && len(topic) > 255 || len(topic) > longestTopic:
		return s.error(op, fmt.Errorf("%d bytes: %w", len(topic), ErrTooLarge))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return s.error(op, ErrClosed)
	}
	if !s.subscribe(on, []byte(topic)) {
		return s.error(op, fmt.Errorf("%q: %w", topic, ErrNotSubscribed))
	}
	return nil
}

// subscribe changes the socket's own subscriptions, and tells its peers. It tells whether there was one to take back.
func (s *Socket) subscribe(on bool, topic []byte) bool {
	n := s.trie.node(topic)
	was := len(n.subs)
	if on {
		n.subs = append(n.subs, nil)
		if was == 0 {
			s.topics += len(topic) + 16
		}
	} else {
		n.remove(nil)
		s.trie.prune(n)
		if was == 0 {
			return false
		}
		if was == 1 {
			s.topics -= len(topic) + 16
		}
	}
	// An XSUB may stand between subscribers and an XPUB that wants to hear of each.
	if on && (was == 0 || s.typ == XSUB) || !on && was == 1 {
		for _, p := range s.peers {
			p.subscribe(on, topic)
			s.schedule(p)
		}
	}
	return true
}

// subscribe queues a subscription or a cancellation for p, which publishes.
func (p *peer) subscribe(on bool, topic []byte) {
	x := p.extra()
	switch {
	case p.s.typ == DISH && on:
		x.commands = appendCommand(x.commands, "JOIN", topic)
	case p.s.typ == DISH:
		x.commands = appendCommand(x.commands, "LEAVE", topic)
	case p.version30:
		first := byte(0)
		if on {
			first = 1
		}
		x.commands = append(appendHeader(x.commands, 0, 1+len(topic)), first)
		x.commands = append(x.commands, topic...)
	case on:
		x.commands = appendCommand(x.commands, "SUBSCRIBE", topic)
	default:
		x.commands = appendCommand(x.commands, "CANCEL", topic)
	}
	if len(x.commands) > max(p.s.opt.SubscriptionLimit, 2*p.s.topics) {
		p.evict(overLimit("the peer takes no subscriptions, which have reached Options.SubscriptionLimit"))
	}
}

// fromSubscriber takes messages that came for a publisher: subscriptions, or for an XPUB whatever an XSUB sends.
func (p *peer) fromSubscriber(b []byte) {
	s := p.s
	var room [4][]byte
	for len(b) > 0 && p.state.get() == stateReady {
		parts, size := cutMessage(b, room[:0])
		first := parts[0]
		switch {
		case s.typ.publishes() && len(parts) == 1 && len(first) > 0 && first[0] <= 1:
			if err := s.subscription(p, first[0] == 1, first[1:]); err != nil {
				p.end(err)
				return
			}
		case s.typ == XPUB:
			p.toProgram(b[:size])
		default:
			s.mu.Lock()
			s.stats.Filtered++
			s.mu.Unlock()
		}
		b = b[size:]
	}
}

// toProgram gives the program one message, on the wire, of an XPUB's peer.
func (p *peer) toProgram(raw []byte) {
	if p.s.opt.Handler != nil {
		p.handle(raw)
		return
	}
	p.s.mu.Lock()
	p.in.addRaw(raw, 1, nil)
	p.s.arrived(p, 1, len(raw))
	p.s.mu.Unlock()
}
