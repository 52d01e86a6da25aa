package room

import (
	"errors"
	"net"
	"syscall"
)

// A shard is the members of a room on one loop.
type shard struct {
	room *Room
	loop Loop

	// Under Room.mu.
	count   int   // members
	pending spans // published, and not looked at by the loop
	bytes   int
	woken   bool // it will look

	// The loop's.
	members []*Subscription
	visits  uint64
	later   bool    // it has put a visit off by a turn
	joined  []joint // of the messages under way
	list    []*Payload
	sending [16]*Payload // given to Link.Send, which does not keep it
}

// A joint is what members of one form and kind of link are sent of some messages: a payload, or nil if nothing.
type joint struct {
	form    *Form
	stream  bool
	payload *Payload
	size    int    // of what is sent
	skipped uint64 // messages that the form does not encode
}

// A batch is messages that a loop takes at once.
type batch struct {
	spans   spans
	bytes   int
	waiting []*Subscription // to be read again
}

// take takes what is pending. Room.mu is held.
func (s *shard) take() (b batch) {
	b.spans, b.bytes = s.pending, s.bytes
	s.pending, s.bytes, s.woken = nil, 0, false
	if r := s.room; len(r.waiting) > 0 && !r.behind() {
		b.waiting, r.waiting = r.waiting, nil
		for _, w := range b.waiting {
			w.paused, w.resumes = false, true
		}
	}
	return b
}

// many is how many members are visited a turn later: what a publisher has sent meanwhile reaches each of them in the same
// call of the system.
const many = 32

// visit gives the members on the loop what was published since the last visit.
func (s *shard) visit() {
	if s.later = !s.later && len(s.members) >= many; s.later && s.loop.Do(s.visit) == nil {
		return
	}
	s.later = false
	s.room.mu.Lock()
	b := s.take()
	s.room.mu.Unlock()
	s.deliver(b)
}

// resume has the member read again.
func (s *Subscription) resume() {
	s.room.mu.Lock()
	s.resumes = false
	s.room.mu.Unlock()
	s.member.link.Resume()
}

// mostJoined is how many bytes are sent to a connection at once: more would wait for the slowest part of the machine anyhow.
const mostJoined = 64 << 10

func (s *shard) deliver(b batch) {
	for _, w := range b.waiting {
		w.shard.loop.Do(w.resume)
	}
	if len(b.spans) == 0 || len(s.members) == 0 {
		return
	}
	s.visits++
	published := uint64(0)
	b.spans.each(func(_ *chunk, m *message) bool {
		if m.except != nil && m.except.shard == s {
			m.except.skip = s.visits
		}
		if !m.isEvent() {
			published++
		}
		return true
	})
	clear(s.joined)
	s.joined = s.joined[:0]
	for _, member := range s.members {
		if member.skip == s.visits || member.untold > 0 || len(member.queue) > 0 || b.bytes > mostJoined {
			member.push(b)
			continue
		}
		if j := s.join(member, b.spans); j.size > member.member.most {
			member.push(b) // and it gets one after the other
		} else {
			member.send(j, published, b)
		}
	}
	clear(s.joined)
	clear(s.list)
}

// join returns what a member is sent of some messages.
func (s *shard) join(member *Subscription, all spans) *joint {
	form := member.member.form
	_, isStream := member.member.link.(stream)
	for i := range s.joined {
		if j := &s.joined[i]; j.form == form && j.stream == isStream {
			return j
		}
	}
	j := joint{form: form, stream: isStream}
	s.list = s.list[:0]
	all.each(func(_ *chunk, m *message) bool {
		if p := m.payload(form); p != nil {
			s.list = append(s.list, p)
			j.size += len(p.Bytes) + frameHeader
		} else if !m.isEvent() {
			j.skipped++
		}
		return true
	})
	switch len(s.list) {
	case 0:
	case 1:
		j.payload = s.list[0]
	default:
		j.payload = member.member.link.Join(s.list)
	}
	s.joined = append(s.joined, j)
	return &s.joined[len(s.joined)-1]
}

// lose is for a member that cannot be sent something. Mostly its connection is over, or is about to be because of that error
// of the system. If not, the member is expelled: it would wait for ever.
func (m *Subscription) lose(err error) {
	m.dead = true
	if system := syscall.Errno(0); !errors.Is(err, net.ErrClosed) && !errors.As(err, &system) {
		m.room.hub.logger().Warn("a member cannot be sent a message, and is expelled", "room", m.room.name, "member", m.member.name, "error", err)
		m.member.link.Expel("a message of the room cannot be sent here")
	}
}

// send gives the member a whole batch at once, or queues it.
func (m *Subscription) send(j *joint, published uint64, b batch) {
	if m.dead {
		m.counts.Lost += published
		return
	}
	taken, err := true, error(nil)
	if j.payload != nil {
		one := m.shard.sending[:1]
		one[0] = j.payload
		taken, err = m.member.link.Send(one)
	}
	switch {
	case err != nil:
		m.lose(err)
		m.counts.Lost += published
	case taken:
		m.counts.Delivered += published - j.skipped
		m.counts.Skipped += j.skipped
	default:
		m.push(b)
	}
}
