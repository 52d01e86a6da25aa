package zmtp

import (
	"fmt"
	"sync"
	"time"
)

// A Socket is one end of a message pattern, with any number of peers. Its methods may be called from any goroutine.
type Socket struct {
	typ  Type
	opt  Options
	ctx  *Context
	born time.Time

	sendDeadline, recvDeadline deadline

	mu        sync.Mutex
	stats     Stats
	closing   bool // Close was called
	ended     bool // and does not wait for messages to be sent any more
	peers     []*peer
	dialers   map[string][]*dialer
	bound     map[string]*listener
	names     map[string]struct{} // inproc names that it has bound
	accepted  int
	open      int                // peers and connections that are not gone
	shaking   map[*peer]struct{} // those of them that are not ready
	senders   waiters
	receivers waiters
	closers   waiters // Close, which waits for queues and peers

	// Sending to one peer in turn.
	ready   []*peer // the first room of them have room
	room    int
	next    int
	picked  *peer // whose turn it was last
	backlog queue // messages that no peer has: there is none yet, or it went before it had them
	turned  bool  // a message was received since the last was sent

	// Receiving from all in turn.
	inbox   ring
	waiting int // messages

	trie  trie // subscriptions of the peers of PUB, XPUB and RADIO; a SUB's, XSUB's or DISH's own
	epoch uint32
	code  []byte // a message for many, encoded

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
		names: map[string]struct{}{}}
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
	case s.opt.MaxPeers > 0 && s.accepted >= s.opt.MaxPeers:
		return fmt.Errorf("zmtp: Options.MaxPeers, %d, is reached", s.opt.MaxPeers)
	}
	s.accepted++
	s.begin(p)
	return nil
}

// begin counts a connection that is not ready yet. s.mu is held.
func (s *Socket) begin(p *peer) {
	s.open++
	if s.shaking == nil {
		s.shaking = map[*peer]struct{}{}
	}
	s.shaking[p] = struct{}{}
}

// shaken takes back what begin noted, and gives the memory of a rush of connections back when it is over.
func (s *Socket) shaken(p *peer) {
	delete(s.shaking, p)
	if len(s.shaking) == 0 {
		s.shaking = nil
	}
}

// join makes p, which is of the type named, one of the peers, or tells why it cannot be.
func (s *Socket) join(p *peer, typ string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return ErrClosed
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
	s.shaken(p)
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
			p.out.add([][]byte{nil}, 2)
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
	s.shaken(p)
	if p.accepted {
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
	s.senders.wake(len(s.senders.list)) // whoever waits for p to have room
	return notices
}

// reclaim takes back what was queued for p and has not left: a socket that sends to any of its peers gives it to another,
// others count it as lost. s.mu is held.
func (s *Socket) reclaim(p *peer) {
	if !traits[s.typ].balance {
		s.stats.Lost += int64(p.out.clear())
		if p.cur != nil {
			s.stats.Lost += int64(p.cur.n)
			p.cur.free()
			p.cur, p.curAt = nil, 0
		}
		return
	}
	var kept queue
	if x := p.more.Load(); x != nil {
		sent := int64(0)
		if p.c != nil {
			sent = p.c.Sent()
		}
		for c := x.sent.shift(); c != nil; c = x.sent.shift() {
			if p.unsent(c, sent) {
				kept.push(c)
			} else {
				c.free()
			}
		}
	}
	if p.cur != nil {
		kept.push(p.cur) // a message of which a part was sent counts for nothing
		p.cur, p.curAt = nil, 0
	}
	for c := p.out.shift(); c != nil; c = p.out.shift() {
		kept.push(c)
	}
	if kept.n == 0 {
		return
	}
	if s.typ == REQ && s.asked.peer == p {
		s.asked.peer = nil // it has not had the request, so another can have it
	}
	for c := kept.shift(); c != nil; c = kept.shift() {
		s.backlog.push(c)
	}
	for s.backlog.n > 0 && s.room > 0 {
		other := s.ready[s.next%s.room]
		s.unload(other)
		s.schedule(other)
	}
}

// unsent takes the messages off c, which was written, that the connection has sent, and tells whether there are others.
func (p *peer) unsent(c *chunk, sent int64) bool {
	from := c.end - int64(p.wireSize(c.bytes()))
	for c.n > 0 {
		size := messageSize(c.bytes())
		from += int64(p.wireSize(c.bytes()[:size]))
		if from > sent {
			return true
		}
		c.at += size
		c.n--
	}
	return false
}

// wireSize returns how long whole frames are on p's connection.
func (p *peer) wireSize(frames []byte) (n int) {
	if p.more.Load().cipher == nil {
		return len(frames)
	}
	for len(frames) > 0 {
		h, _ := parseHeader(frames)
		n += frameSize(int(h.size) + sealOverhead)
		frames = frames[h.len+int(h.size):]
	}
	return n
}

// unload gives p what no peer has had. s.mu is held.
func (s *Socket) unload(p *peer) {
	for s.backlog.n > 0 && p.roomy() {
		p.out.push(s.backlog.shift())
		if s.typ == REQ {
			s.asked.peer = p
		}
	}
	if !p.roomy() {
		s.noRoom(p)
	}
	s.senders.wake(len(s.senders.list))
}

// roomy tells whether p's queue takes another message. s.mu is held.
func (p *peer) roomy() bool {
	o := &p.s.opt
	return int(p.out.n) < o.SendHighWater && int(p.out.size) < o.HighWaterBytes
}

// relieved tells whether p's queue has drained so far that a sender may be woken. s.mu is held.
func (p *peer) relieved() bool {
	o := &p.s.opt
	return int(p.out.n) <= o.SendHighWater/2 && int(p.out.size) <= o.HighWaterBytes/2
}

// hasRoom puts p among the peers that have room, and noRoom takes it from there. s.mu is held.
func (s *Socket) hasRoom(p *peer) {
	p.full = false
	if int(p.turn) >= s.room {
		s.swap(p, s.room)
		s.room++
	}
}

func (s *Socket) noRoom(p *peer) {
	if int(p.turn) < s.room {
		p.full = true
		s.room--
		s.swap(p, s.room)
	}
}

func (s *Socket) swap(p *peer, at int) {
	other := s.ready[at]
	s.ready[p.turn], s.ready[at] = other, p
	other.turn, p.turn = p.turn, int32(at)
}

// pick returns the peer whose turn it is, nil if none has room. s.mu is held.
func (s *Socket) pick() *peer {
	if s.room == 0 {
		return nil
	}
	if s.next >= s.room {
		s.next = 0
	}
	s.picked = s.ready[s.next]
	s.next++
	return s.picked
}

// A ring is a queue of peers.
type ring struct {
	items   []*peer
	head, n int
}

func (r *ring) push(p *peer) {
	if r.n == len(r.items) {
		larger := make([]*peer, max(4, 2*r.n))
		for i := range r.n {
			larger[i] = r.items[(r.head+i)&(len(r.items)-1)]
		}
		r.items, r.head = larger, 0
	}
	r.items[(r.head+r.n)&(len(r.items)-1)] = p
	r.n++
}

func (r *ring) pop() *peer {
	p := r.items[r.head]
	r.items[r.head] = nil
	r.head = (r.head + 1) & (len(r.items) - 1)
	r.n--
	return p
}
