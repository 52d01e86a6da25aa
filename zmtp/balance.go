package zmtp

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

// waitingBytes is how many bytes may wait for each peer of a socket whose Send waits, and from each peer whose Send waits, unless
// Options.HighWaterBytes says something else: with larger messages a longer queue makes nothing faster, but takes every message out of
// the processor's cache and in again.
const waitingBytes = 1 << 20

// roomy tells whether p's queue takes another message, of size bytes. s.mu is held.
func (p *peer) roomy(size int) bool {
	s := p.s
	if int(p.out.n) >= s.opt.SendHighWater || int(p.out.size) >= s.sendBytes {
		return false
	}
	return s.opt.SendLimit == 0 || !p.crowdedOut(size)
}

// relieved tells whether p's queue has drained so far that a sender may be woken. s.mu is held.
func (p *peer) relieved() bool {
	s := p.s
	return int(p.out.n) <= s.opt.SendHighWater/2 && int(p.out.size) <= s.sendBytes/2
}

// unload gives p what no peer has had. s.mu is held.
func (s *Socket) unload(p *peer) {
	for s.backlog.n > 0 && p.roomy(0) {
		p.out.push(s.backlog.shift())
		if s.typ == REQ {
			s.asked.peer = p
		}
	}
	if !p.roomy(0) {
		s.noRoom(p)
	}
	s.senders.wake(len(s.senders.list))
}

// reclaim takes back what was queued for p and has not left: a socket that sends to any of its peers gives it to another,
// others count it as lost. s.mu is held.
func (s *Socket) reclaim(p *peer) {
	p.dropSealed()
	if !traits[s.typ].balance {
		s.stats.Lost += int64(p.out.clear())
		if p.cur != nil {
			s.stats.Lost += int64(p.cur.n)
			p.cur.free()
			p.cur = nil
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
		p.cur.given = 0 // a message of which a part was sent counts for nothing
		kept.push(p.cur)
		p.cur = nil
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

// balance queues a message for the peer whose turn it is.
func (s *Socket) balance(parts [][]byte, size int) (*peer, error) {
	if s.crowded() {
		return nil, ErrWouldBlock
	}
	p := s.pick()
	if p == nil {
		if s.opt.Immediate || len(s.peers) > 0 || len(s.dialers) == 0 {
			return nil, ErrWouldBlock
		}
		if s.opt.Conflate {
			s.stats.Dropped += int64(s.backlog.clear())
		}
		if int(s.backlog.n) >= s.opt.SendHighWater || int(s.backlog.size) >= s.opt.HighWaterBytes {
			return nil, ErrWouldBlock
		}
		s.backlog.add(parts, size, s.spending())
		return nil, nil
	}
	s.put(p, parts, size)
	return s.queued(p), nil
}
