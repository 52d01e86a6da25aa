package zmtp

func (s *Socket) conflate(p *peer) { s.stats.Dropped += int64(s.discard(p)) }

// discard drops what has come from p, and returns how many messages that was. s.mu is held.
func (s *Socket) discard(p *peer) (n int) {
	size := int(p.in.size)
	n = p.in.clear()
	s.took(n, size)
	return n
}

// arrived tells of n new messages in p's queue, of size bytes. s.mu is held.
func (s *Socket) arrived(p *peer, n, size int) {
	s.waiting += n
	s.size += size
	if s.size >= s.opt.RecvLimit {
		s.full.Store(true)
	}
	if !p.inbox {
		p.inbox = true
		s.inbox.push(p)
	}
	if !p.paused && (int(p.in.n) >= s.opt.RecvHighWater || int(p.in.size) >= s.recvBytes || s.full.Load()) {
		p.pause()
	}
	s.receivers.wake(n)
}

// took tells that n messages of size bytes wait no more. s.mu is held.
func (s *Socket) took(n, size int) {
	s.waiting -= n
	s.size -= size
	if s.full.Load() && s.size <= s.opt.RecvLimit/2 {
		s.full.Store(false)
		for _, p := range s.held {
			p.held, p.paused = false, false
			p.wake()
		}
		s.held = nil
	}
}

// relieved tells whether p, which may be paused, is to be read again: of its messages half were received, and of all. If
// only of its own, p is read again when it is so. s.mu is held.
func (s *Socket) relieved(p *peer) bool {
	switch {
	case !p.paused || p.held || int(p.in.n) > s.opt.RecvHighWater/2 || int(p.in.size) > s.recvBytes/2:
		return false
	case s.full.Load():
		p.held = true
		s.held = append(s.held, p)
		return false
	}
	p.paused = false
	return true
}

// hold pauses p, which has sent more, if too much waits from all. Any goroutine may call it.
func (s *Socket) hold(p *peer) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.full.Load() {
		return false
	}
	p.pause()
	s.relieved(p)
	return true
}
