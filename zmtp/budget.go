package zmtp

import (
	"cmp"
	"errors"
	"slices"
	"sync/atomic"
	"time"
)

// ErrMemory ends a peer that took nothing while the messages for all peers of its socket had reached Options.SendLimit. Use
// errors.Is.
var ErrMemory = errors.New("the peer took nothing while unsent messages had reached Options.SendLimit")

// A budget bounds the memory of the messages that wait to be sent to all peers of a socket: Options.SendLimit.
//
//	held                    what happens
//	the limit               sockets that wait do so; others drop messages for peers that have some already
//	twice the limit         others drop messages for all peers, but for small ones: of a peer's share of the limit
//	the limit for 2 s       of the peers that have taken nothing in this time those that hold the most are ended, until 3/4
//	                        are held
type budget struct {
	held  atomic.Int64    // bytes
	short bool            // somebody waits for memory; under the socket's mu, as what follows
	timer *time.Timer     // calls relieve; nil: memory was never short
	sent  map[*peer]int64 // what each peer with unsent messages had taken when the timer was started; nil: it does not run
}

// shortFor is how long memory is short, and a peer takes nothing, before the peer is ended.
const shortFor = 2 * time.Second

// crowded tells whether the limit is reached. s.mu is held.
func (s *Socket) crowded() bool {
	if s.opt.SendLimit == 0 || s.budget.held.Load() < int64(s.opt.SendLimit) {
		return false
	}
	s.budget.short = true
	s.time()
	return true
}

// crowdedOut tells whether a message of size bytes may not wait for p. s.mu is held.
func (p *peer) crowdedOut(size int) bool {
	s := p.s
	if !s.crowded() {
		return false
	}
	idle := p.out.n == 0 && p.cur == nil
	return !idle || s.budget.held.Load() >= 2*int64(s.opt.SendLimit) && size > s.opt.SendLimit/len(s.peers)
}

// time has relieve be called. s.mu is held.
func (s *Socket) time() {
	b := &s.budget
	if b.sent != nil {
		return
	}
	b.sent = map[*peer]int64{}
	for _, p := range s.peers {
		if p.c != nil && p.unsentBytes() > 0 { // an inproc peer has a program of its own to blame
			b.sent[p] = p.c.Sent()
		}
	}
	if b.timer == nil {
		b.timer = time.AfterFunc(shortFor, s.relieve)
	} else {
		b.timer.Reset(shortFor)
	}
}

// relieve ends peers, if memory is still short. What was queued for them goes to others or is lost, as the pattern has it.
func (s *Socket) relieve() {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := &s.budget
	stuck := make([]*peer, 0, len(b.sent))
	for p, sent := range b.sent {
		if p.state.get() == stateReady && p.c.Sent() == sent {
			stuck = append(stuck, p)
		}
	}
	b.sent = nil
	held, most := b.held.Load(), int64(s.opt.SendLimit)/4*3
	if s.ended || held <= most {
		s.enough()
		return
	}
	slices.SortFunc(stuck, func(p, q *peer) int { return cmp.Compare(q.unsentBytes(), p.unsentBytes()) })
	for _, p := range stuck {
		if held <= most {
			break
		}
		held -= p.unsentBytes()
		s.stats.Evicted++
		p.evict(ErrMemory)
	}
	s.time()
}

// unsentBytes returns how many bytes wait for p. s.mu is held.
func (p *peer) unsentBytes() int64 {
	n := int64(p.out.size)
	if p.cur != nil {
		n += int64(len(p.cur.bytes()))
	}
	if x := p.more.Load(); x != nil {
		n += int64(x.sent.size)
	}
	return n
}

// enough wakes those that wait for memory, if there is some. s.mu is held.
func (s *Socket) enough() {
	b := &s.budget
	if b.short && b.held.Load() < int64(s.opt.SendLimit) {
		b.short = false
		s.senders.wake(len(s.senders.list))
	}
}

// spending is what messages to be sent count for, nil without a limit.
func (s *Socket) spending() *atomic.Int64 {
	if s.opt.SendLimit == 0 {
		return nil
	}
	return &s.budget.held
}

// least is how much a peer must hold for it to be counted for its connection, which costs memory too.
const least = 4 << 10

// count tells p's connection what p holds beside messages: for Context.MemoryLimit. It belongs to the loop.
func (p *peer) count() {
	if p.s.ctx.MemoryLimit == 0 || p.c == nil {
		return
	}
	p.s.mu.Lock()
	n := int(p.subBytes)
	x := p.more.Load()
	if x != nil {
		n += cap(x.commands)
	}
	p.s.mu.Unlock()
	if a := p.asm; a != nil {
		n += a.room()
	}
	if p.hs != nil {
		n += p.hs.copied
	}
	if n < least {
		n = 0
	}
	if x == nil && n == 0 {
		return
	}
	x = p.extra()
	p.c.CountMemory(n - x.counted)
	x.counted = n
}
