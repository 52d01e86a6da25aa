package zmtp

import (
	"time"

	"github.com/switchboard-go/switchboard/internal/buffer"
)

// sparse is after how long without a message the next one is written at once, by the goroutine that sends it. What follows
// sooner gathers until the loop comes to it, and leaves in one write.
const sparse = 50 * time.Microsecond

// piece is how much of a long message is given to the connection at once.
const piece = 128 << 10

// turn is how much is written for one peer before others have their turn.
const turn = 512 << 10

// checkSentAfter is how soon the socket looks whether a connection has sent what it was given.
const checkSentAfter = 50 * time.Millisecond

// schedule has p's queue be written soon, by its loop. s.mu is held.
func (s *Socket) schedule(p *peer) {
	switch {
	case p.scheduled || p.state.get() != stateReady:
	case p.writing:
		p.rewrite = true
	case p.c == nil:
		p.scheduled = true
		go p.write()
	default:
		p.scheduled = true
		p.batch().add(p)
	}
}

// queued is called when a message was queued for p. It returns p if the caller is to write it, once it has let go of s.mu;
// otherwise it will be written soon.
func (s *Socket) queued(p *peer) *peer {
	if p.scheduled || p.state.get() != stateReady {
		return nil
	}
	if p.c == nil || s.turned || s.now()-p.lastWrite > int64(sparse) {
		s.turned = false
		if p.writing {
			p.rewrite = true
			return nil
		}
		return p
	}
	s.schedule(p)
	return nil
}

// write gives the connection what is queued, until it has enough. Any goroutine may call it, without s.mu.
func (p *peer) write() {
	s := p.s
	s.mu.Lock()
	defer s.mu.Unlock()
	p.scheduled = false
	if p.state.get() != stateReady {
		return
	}
	if p.writing {
		p.rewrite = true
		return
	}
	p.writing = true
	budget := turn
	for again := true; again; again = p.rewrite && p.state.get() == stateReady && budget > 0 {
		p.rewrite = false
		if p.c == nil {
			p.handOver(&budget)
		} else {
			p.writeConn(&budget)
		}
	}
	p.writing = false
	p.lastWrite = s.now()
	if budget <= 0 {
		s.schedule(p)
	}
	if p.state.get() == stateGone {
		s.reclaim(p)
		return
	}
	if p.full && p.relieved() {
		p.full = false
		if traits[s.typ].balance {
			s.hasRoom(p)
			s.unload(p)
			if p.out.n > 0 {
				s.schedule(p)
			}
		}
		s.senders.wake(len(s.senders.list))
	}
	s.enough()
	if p.out.n == 0 && p.cur == nil {
		if p.ending && p.c != nil {
			p.c.Close()
		} else if p.ending {
			go p.endInproc(nil)
		}
		s.closers.wake(len(s.closers.list))
	}
}

// writeConn writes to a connection. s.mu is held, but not while it writes.
func (p *peer) writeConn(budget *int) {
	for p.state.get() == stateReady && *budget > 0 {
		x := p.more.Load()
		if p.cur == nil && x != nil && len(x.commands) > 0 {
			if p.c.Full() {
				return
			}
			b := x.commands
			x.commands = nil
			if x.cipher != nil {
				b = x.cipher.seal(nil, b)
			}
			*budget -= len(b)
			p.give(b)
			continue
		}
		if p.cur == nil {
			if p.out.n == 0 {
				return
			}
			if p.c.Full() { // Drained comes when it is not
				return
			}
			p.cur = p.out.shift()
			if x != nil && x.cipher != nil {
				plain := p.cur.bytes()
				x.sealed = buffer.Get(p.wireSize(plain))
				x.sealed.B = x.cipher.seal(x.sealed.B, plain)
				if budget := p.s.spending(); budget != nil {
					budget.Add(int64(cap(x.sealed.B)))
				}
			}
		}
		if p.c.Full() {
			return
		}
		left := p.cur.bytes()
		if x != nil && x.sealed != nil {
			left = x.sealed.B
		}
		left = left[p.cur.given:]
		part := left[:min(len(left), piece)]
		if !p.give(part) {
			return
		}
		*budget -= len(part)
		if p.cur.given += int32(len(part)); len(part) == len(left) {
			p.wrote()
		}
	}
}

// give writes b to the connection without s.mu.
func (p *peer) give(b []byte) bool {
	p.s.mu.Unlock()
	_, err := p.c.Write(b)
	p.s.mu.Lock()
	if err != nil {
		return false // the connection is about to end
	}
	p.written += int64(len(b))
	return true
}

// wrote is called when all of p.cur was given to the connection.
func (p *peer) wrote() {
	s, c := p.s, p.cur
	p.cur = nil
	s.stats.Sent += int64(c.n)
	p.dropSealed()
	if !traits[s.typ].balance {
		c.free()
		return
	}
	// A socket that can give a message to another peer keeps it until the connection has sent it.
	c.end = p.written
	sent := p.c.Sent()
	p.releaseSent(sent)
	if sent >= c.end {
		c.free()
		return
	}
	p.retain(c)
}

// dropSealed gives the memory of the encrypted p.cur back, if it was encrypted.
func (p *peer) dropSealed() {
	x := p.more.Load()
	if x == nil || x.sealed == nil {
		return
	}
	if budget := p.s.spending(); budget != nil {
		budget.Add(-int64(cap(x.sealed.B)))
	}
	buffer.Put(x.sealed)
	x.sealed = nil
}

// retain keeps a chunk until the connection has sent it.
func (p *peer) retain(c *chunk) {
	x := p.extra()
	x.sent.push(c)
	if !x.checking {
		x.checking = true
		p.c.Do(p.checkSent)
	}
}

// writeThrough writes a long message without queueing it, if nothing is queued for the peer whose turn it is. It tells whether
// it did. s.mu is held, but not while it writes.
func (s *Socket) writeThrough(parts [][]byte, size int) bool {
	if s.room == 0 || len(parts) > 8 || s.opt.Conflate || s.crowded() {
		return false
	}
	p := s.ready[s.next%s.room]
	if p.c == nil || p.writing || p.scheduled || p.out.n > 0 || p.cur != nil || size > writeAhead || p.c.Full() ||
		p.more.Load() != nil && (p.more.Load().cipher != nil || len(p.more.Load().commands) > 0) {
		return false
	}
	s.next = s.next%s.room + 1
	s.picked = p
	p.writing = true
	s.mu.Unlock()
	var headers [8 * longestHeader]byte
	var room [16][]byte
	at, bufs := headers[:0], room[:0]
	for i, part := range parts {
		flags := byte(flagMore)
		if i == len(parts)-1 {
			flags = 0
		}
		begin := len(at)
		at = appendHeader(at, flags, len(part))
		bufs = append(bufs, at[begin:], part)
	}
	_, err := p.c.Writev(bufs...)
	s.mu.Lock()
	p.lastWrite = s.now()
	c := chunks.Get().(*chunk)
	c.n = 1
	if err == nil {
		p.written += int64(size)
		s.stats.Sent++
		c.end = p.written
		p.releaseSent(p.c.Sent())
	}
	if err != nil || p.c.Sent() < c.end {
		c.b = buffer.Get(size)
		c.b.B = appendParts(c.b.B, parts)
		c.counted(s.spending())
		if err != nil { // the connection is about to end, and another may have the message
			p.out.push(c)
		} else {
			p.retain(c)
		}
	} else {
		*c = chunk{}
		chunks.Put(c)
	}
	p.writing = false
	if p.state.get() == stateGone {
		s.reclaim(p)
	} else if p.rewrite {
		s.schedule(p)
	}
	return true
}

// releaseSent lets go of what the connection has sent.
func (p *peer) releaseSent(sent int64) {
	if p.more.Load() == nil {
		return
	}
	for q := &p.more.Load().sent; q.head != nil && q.head.end <= sent; {
		q.shift().free()
	}
}

// checkSent looks again, until the connection has sent all. It runs on the loop.
func (p *peer) checkSent() {
	s := p.s
	s.mu.Lock()
	p.releaseSent(p.c.Sent())
	s.enough()
	more := p.more.Load().sent.head != nil && p.state.get() == stateReady
	p.more.Load().checking = more
	s.mu.Unlock()
	if more {
		p.c.After(checkSentAfter, p.checkSent)
	}
}
