package zmtp

import (
	"slices"
)

// subscription takes a subscription or a cancellation of a peer. For libzmq a peer has subscribed to a topic or not, for
// RFC 37 so many times; so one that subscribes again may cancel once more.
func (s *Socket) subscription(p *peer, on bool, topic []byte) error {
	limit := longestTopic
	if s.typ == RADIO {
		limit = 255
	}
	if len(topic) > limit {
		return overLimit("a subscription of %d bytes, where %d are allowed", len(topic), limit)
	}
	s.mu.Lock()
	if p.state.get() != stateReady {
		s.mu.Unlock()
		return nil
	}
	news, err := s.subscriptionLocked(p, on, topic)
	s.mu.Unlock()
	if news && s.typ == XPUB {
		p.toProgram(notice(on, topic))
	}
	return err
}

// notice is what an XPUB receives of a subscription, on the wire.
func notice(on bool, topic []byte) []byte {
	first := byte(0)
	if on {
		first = 1
	}
	return append(append(appendHeader(nil, 0, 1+len(topic)), first), topic...)
}

// subscriptionLocked tells whether an XPUB is to hear of it.
func (s *Socket) subscriptionLocked(p *peer, on bool, topic []byte) (news bool, err error) {
	o := &s.opt
	if !on {
		n := s.trie.find(string(topic))
		if n != nil && n.remove(p) {
			p.subBytes -= int32(len(topic) + subscriptionCost)
			p.forget(n)
			last := len(n.subs) == 0
			s.trie.prune(n)
			return last || o.XPubVerboser, nil
		}
		if p.again == 0 {
			return false, protocolErrorf("the peer cancels the subscription %s, which it does not have", excerpt(topic))
		}
		p.again--
		return o.XPubVerboser, nil
	}
	n := s.trie.node(topic)
	if len(n.subs) < 16 && slices.Contains(n.subs, p) || len(n.subs) >= 16 && p.has(n) {
		p.again++
		return o.XPubVerbose || o.XPubVerboser, nil
	}
	if int(p.subBytes)+len(topic)+subscriptionCost > o.SubscriptionLimit {
		s.trie.prune(n)
		return false, overLimit("the peer's subscriptions take more than the %d bytes of Options.SubscriptionLimit", o.SubscriptionLimit)
	}
	p.subBytes += int32(len(topic) + subscriptionCost)
	first := len(n.subs) == 0
	if first {
		n.only[0] = p
		n.subs = n.only[:]
	} else {
		n.subs = append(n.subs, p)
	}
	p.remember(n)
	return first || o.XPubVerbose || o.XPubVerboser, nil
}

// fewSubs is up to how many subscriptions a peer's are kept in a list. Most peers have one.
const fewSubs = 64

// remember notes that p has subscribed to n, forget that it has not.
func (p *peer) remember(n *node) {
	if p.sub == nil {
		p.sub = n
		return
	}
	x := p.extra()
	if x.manySubs == nil && len(x.subs) < fewSubs {
		x.subs = append(x.subs, n)
		return
	}
	if x.manySubs == nil {
		x.manySubs = map[*node]struct{}{}
	}
	x.manySubs[n] = struct{}{}
}

func (p *peer) forget(n *node) {
	if p.sub == n {
		p.sub = nil
		return
	}
	if at := slices.Index(p.more.Load().subs, n); at >= 0 {
		p.more.Load().subs = slices.Delete(p.more.Load().subs, at, at+1)
		return
	}
	delete(p.more.Load().manySubs, n)
}

func (p *peer) has(n *node) bool {
	if p.sub == n || p.more.Load() == nil {
		return p.sub == n
	}
	_, yes := p.more.Load().manySubs[n]
	return yes || slices.Contains(p.more.Load().subs, n)
}

// unsubscribeAll takes the subscriptions of a peer that is gone away, which an XPUB hears of: by Recv, or its handler by what
// is returned. s.mu is held.
func (s *Socket) unsubscribeAll(p *peer) (notices []byte) {
	if s.typ != PUB && s.typ != XPUB && s.typ != RADIO {
		return nil
	}
	var nodes []*node
	if p.sub != nil {
		nodes = append(nodes, p.sub)
	}
	if x := p.more.Load(); x != nil {
		nodes = append(nodes, x.subs...)
		for n := range x.manySubs {
			nodes = append(nodes, n)
		}
		x.subs, x.manySubs = nil, nil
	}
	p.sub = nil
	for _, n := range nodes {
		if !n.remove(p) {
			continue
		}
		if s.typ == XPUB && (len(n.subs) == 0 || s.opt.XPubVerboser) {
			told := notice(false, n.topic())
			if s.opt.Handler != nil {
				notices = append(notices, told...)
			} else {
				p.in.addRaw(told, 1, nil)
				s.arrived(p, 1, len(told))
			}
		}
		s.trie.prune(n)
	}
	return notices
}
