package zmtp

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// A Socket is one end of a message pattern, with any number of peers. Any goroutine may call its methods.
type Socket struct {
	typ  Type
	opt  Options
	ctx  *Context
	born time.Time

	sendDeadline, recvDeadline deadline

	mu          sync.Mutex
	stats       Stats
	warnings    warnings
	logins      workQueue // calls of Options.Authenticate
	closing     bool      // Close was called
	ended       bool      // and does not wait for messages to be sent any more
	peers       []*peer
	dialers     map[string][]*dialer
	bound       map[string]*listener
	names       map[string]struct{} // inproc names that it has bound
	accepted    int
	open        int     // peers and connections that are not gone
	handshaking []*peer // those of them that are not ready
	senders     waiters
	receivers   waiters
	closers     waiters // Close, which waits for queues and peers

	sendBytes int // that may wait for each peer: Options.HighWaterBytes in words
	recvBytes int // and from each
	budget    budget

	// Sending to one peer in turn.
	ready   []*peer // the first room of them have room
	room    int
	next    int
	picked  *peer // whose turn it was last
	backlog queue // messages that no peer has: there is none yet, or it went before it had them
	turned  bool  // a message was received since the last was sent

	// Receiving from all in turn.
	inbox   ring
	waiting int         // messages
	size    int         // of them, in bytes
	full    atomic.Bool // size has reached RecvLimit, and is not down to half of it; changed under mu
	held    []*peer     // paused for that alone

	topics int  // bytes of commands that a subscriber's own subscriptions take
	trie   trie // subscriptions of the peers of PUB, XPUB and RADIO; a SUB's, XSUB's or DISH's own
	epoch  uint32
	code   []byte // a message for many, encoded

	routes map[string]*peer // of a ROUTER
	served map[uint32]*peer // of a SERVER
	number uint32           // the last identity or routing id made up
	asked  request          // of a REQ
	asking *request         // of a REP: what Recv returned last
}

// NewSocket makes a socket of type t. o may be nil. The socket has no peers before Bind or Connect.
func (c *Context) NewSocket(t Type, o *Options) (*Socket, error) {
	if t >= types {
		return nil, fmt.Errorf("zmtp: there is no socket of %v", t)
	}
	if o == nil {
		o = &Options{}
	}
	opt, err := o.resolve(t)
	if err != nil {
		return nil, &Error{Op: "new", Type: t, Err: err}
	}
	s := &Socket{typ: t, opt: opt, ctx: c, born: time.Now(), dialers: map[string][]*dialer{}, bound: map[string]*listener{},
		names: map[string]struct{}{}, sendBytes: opt.HighWaterBytes, recvBytes: opt.HighWaterBytes}
	if traits[t].balance && o.HighWaterBytes == 0 {
		s.sendBytes = waitingBytes
	}
	if (t == PULL || t == PAIR) && o.HighWaterBytes == 0 {
		s.recvBytes = waitingBytes
	}
	switch t {
	case ROUTER:
		s.routes = map[string]*peer{}
	case SERVER:
		s.served = map[uint32]*peer{}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, &Error{Op: "new", Type: t, Err: ErrClosed}
	}
	if c.sockets == nil {
		c.sockets = map[*Socket]struct{}{}
	}
	c.sockets[s] = struct{}{}
	return s, nil
}

// Type returns the socket's type.
func (s *Socket) Type() Type { return s.typ }

// error wraps err with the call's name.
func (s *Socket) error(op string, err error) error { return &Error{Op: op, Type: s.typ, Err: err} }

// admit counts an accepted connection, if there is room for it.
func (s *Socket) admit(p *peer) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closing:
		return ErrClosed
	case s.opt.MaxPeers > 0 && s.accepted >= s.opt.MaxPeers && !s.displace():
		return fmt.Errorf("zmtp: Options.MaxPeers, %d, is reached", s.opt.MaxPeers)
	}
	s.accepted++
	s.begin(p)
	return nil
}

// displace ends an accepted connection whose handshake has not ended, and tells whether it has found one. s.mu is held.
//
// It takes one by chance, rather one that has not even greeted. Were it the oldest, a flood that is fast enough would let nobody come
// to the end of a handshake.
func (s *Socket) displace() bool {
	const looks = 8
	var found *peer
	for range min(looks, len(s.handshaking)) {
		p := s.handshaking[rand.IntN(len(s.handshaking))]
		if !p.accepted || p.displaced {
			continue
		}
		if found = p; p.state.get() <= stateGreeting {
			break
		}
	}
	if found == nil {
		return false
	}
	found.displaced = true
	s.accepted--
	found.evict(ErrDisplaced)
	return true
}

// begin counts a connection that is not ready yet. s.mu is held.
func (s *Socket) begin(p *peer) {
	s.open++
	p.index = int32(len(s.handshaking))
	s.handshaking = append(s.handshaking, p)
}

// handshakeOver takes back what begin noted, and gives the memory of many handshakes at once back when none is left.
func (s *Socket) handshakeOver(p *peer) {
	last := len(s.handshaking) - 1
	s.handshaking[p.index] = s.handshaking[last]
	s.handshaking[p.index].index = p.index
	s.handshaking[last] = nil
	if s.handshaking = s.handshaking[:last]; last == 0 {
		s.handshaking = nil
	}
}

// join makes p, which is of the type named, one of the peers, or tells why it cannot be.
func (s *Socket) join(p *peer, typ string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.ended:
		return ErrClosed
	case p.displaced:
		return ErrDisplaced
	}
	if s.typ == PAIR && len(s.peers) > 0 {
		return protocolErrorf("a PAIR has one peer, and this one has it already")
	}
	if s.typ == ROUTER {
		if err := s.name(p); err != nil {
			return err
		}
	}
	if s.typ == SERVER {
		s.number++
		for s.number == 0 || s.served[s.number] != nil {
			s.number++
		}
		p.routing = s.number
		s.served[p.routing] = p
	}
	p.state.set(stateReady)
	s.handshakeOver(p)
	p.index = int32(len(s.peers))
	s.peers = append(s.peers, p)
	if traits[s.typ].balance {
		p.turn = int32(len(s.ready))
		s.ready = append(s.ready, p)
		s.hasRoom(p)
		s.unload(p)
	}
	switch s.typ {
	case SUB, XSUB, DISH:
		s.trie.each(func(topic []byte) { p.subscribe(true, topic) })
	case DEALER, REQ, ROUTER:
		if s.opt.ProbeRouter && (typ == "ROUTER" || s.typ == ROUTER) {
			p.out.add([][]byte{nil}, 2, s.spending())
		}
	}
	s.senders.wake(len(s.senders.list))
	return nil
}

// leave takes p, which is gone, away. It returns what the handler of an XPUB is to be told, on the wire.
func (s *Socket) leave(p *peer) (notices []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	was := p.state.get()
	p.state.set(stateGone)
	if was == stateGone {
		return nil
	}
	s.open--
	if was < stateReady {
		s.handshakeOver(p)
	}
	if p.accepted && !p.displaced {
		s.accepted--
	}
	defer s.closers.wake(len(s.closers.list))
	if was < stateReady {
		return nil
	}
	last := s.peers[len(s.peers)-1]
	s.peers[p.index] = last
	last.index = p.index
	s.peers[len(s.peers)-1] = nil
	s.peers = s.peers[:len(s.peers)-1]
	if traits[s.typ].balance {
		s.noRoom(p)
		end := s.ready[len(s.ready)-1]
		s.ready[p.turn], end.turn = end, p.turn
		s.ready[len(s.ready)-1] = nil
		s.ready = s.ready[:len(s.ready)-1]
	}
	if s.routes != nil && s.routes[p.identity] == p {
		delete(s.routes, p.identity)
	}
	if s.served != nil {
		delete(s.served, p.routing)
	}
	notices = s.unsubscribeAll(p)
	if !p.writing {
		s.reclaim(p)
	}
	s.lost(p)
	s.enough()
	s.senders.wake(len(s.senders.list)) // whoever waits for p to have room
	return notices
}
