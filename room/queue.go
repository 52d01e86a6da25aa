package room

import "fmt"

// push puts a batch behind what waits for the member, applies the policy and sends what can be sent.
func (m *Subscription) push(b batch) {
	if m.left {
		return
	}
	if limit := m.add(b); m.bytes > limit {
		m.shorten(limit)
	}
	if !m.armed {
		m.flow()
	}
}

// add puts a batch behind what waits for the member, and returns the limit of that.
func (m *Subscription) add(b batch) (limit int) {
	o := &m.room.options
	if !m.slow {
		m.allowed = min(m.allowed+b.bytes, o.Backlog+o.History.Bytes)
	}
	limit = o.Queue + m.allowed
	b.spans.each(func(c *chunk, msg *message) bool {
		switch {
		case msg.except == m:
			m.counts.Skipped++
		case m.dead:
			if !msg.isEvent() {
				m.counts.Lost++
			}
		case o.Policy == DropNewest && !msg.isEvent() && m.bytes+msg.size > limit:
			m.drop()
		default:
			m.queue.add(c, msg)
			m.bytes += msg.size
			if msg.isEvent() {
				m.events += msg.size
			}
		}
		return true
	})
	if m.slow && o.Policy == KeepLatest {
		m.keepLatest()
	}
	return limit
}

// shorten brings the queue down to its limit, as far as there is something that may be dropped.
func (m *Subscription) shorten(limit int) {
	o := &m.room.options
	switch {
	case m.dead:
		return
	case o.Policy == Disconnect || m.events > o.Queue:
		m.dead = true
		m.member.link.Expel(fmt.Sprintf("reads too slowly: more than %d bytes wait", limit))
		for len(m.queue) > 0 {
			if !m.pop().isEvent() {
				m.counts.Lost++
			}
		}
		return
	case o.Policy == DropNewest: // only events go beyond the limit
		return
	}
	var events spans // which stay
	m.queue.each(func(c *chunk, msg *message) bool {
		if m.bytes <= limit {
			return false
		}
		if msg.isEvent() {
			events.add(c, msg)
		} else {
			m.bytes -= msg.size
			m.drop()
		}
		m.queue.cut()
		return true
	})
	if events != nil {
		m.queue = merge(events, m.queue)
	}
}

// merge returns b behind a; the last span of a may be of the same chunk as the first of b.
func merge(a, b spans) spans {
	if len(b) > 0 && a[len(a)-1].chunk == b[0].chunk {
		a[len(a)-1].mask |= b[0].mask
		b = b[1:]
	}
	return append(a, b...)
}

// keepLatest drops the messages of whose key there is a later one.
func (m *Subscription) keepLatest() {
	kept := m.queue[:0:0]
	for _, s := range m.queue {
		gone := s.mask & s.chunk.replaced.Load()
		spans{{s.chunk, gone}}.each(func(_ *chunk, msg *message) bool {
			m.bytes -= msg.size
			m.drop()
			return true
		})
		if s.mask &^= gone; s.mask != 0 {
			kept = append(kept, s)
		}
	}
	m.queue = kept
}

func (m *Subscription) drop() {
	m.counts.Dropped++
	m.room.hub.dropped.Add(1)
	m.untold++
}

// pop takes the first message out of the queue.
func (m *Subscription) pop() *message {
	msg := m.queue[0].first()
	m.queue.cut()
	m.bytes -= msg.size
	if msg.isEvent() {
		m.events -= msg.size
	}
	return msg
}

// flow sends what waits, as far as the connection takes it.
func (m *Subscription) flow() {
	for turn := 0; len(m.queue) > 0 && !m.left && !m.dead; turn++ {
		if turn == 4 { // the others have their turn
			m.slow = true
			m.arm()
			return
		}
		list, size, n, skipped := m.shard.sending[:0], 0, 0, uint64(0)
		messages := uint64(0)
		if m.untold > 0 {
			if p := m.member.form.told(m.untold); p != nil {
				list, size = append(list, p), len(p.Bytes)+frameHeader
			}
		}
		m.queue.each(func(_ *chunk, msg *message) bool {
			p := msg.payload(m.member.form)
			if p != nil && (len(list) == cap(list) || size > 0 && size+len(p.Bytes)+frameHeader > m.member.most) {
				return false
			}
			n++
			if p != nil {
				list = append(list, p)
				size += len(p.Bytes) + frameHeader
			} else if !msg.isEvent() {
				skipped++
			}
			if !msg.isEvent() {
				messages++
			}
			return true
		})
		taken, err := true, error(nil)
		if len(list) > 0 {
			taken, err = m.member.link.Send(list)
		}
		if err != nil {
			m.lose(err)
			for len(m.queue) > 0 {
				if !m.pop().isEvent() {
					m.counts.Lost++
				}
			}
			return
		}
		if !taken {
			m.slow = true
			m.arm()
			return
		}
		m.untold = 0
		m.counts.Delivered += messages - skipped
		m.counts.Skipped += skipped
		for range n {
			m.pop()
		}
	}
	if len(m.queue) == 0 {
		m.allowed, m.slow = 0, false
	}
}

// told returns how a member is told that it has missed messages.
func (f *Form) told(n uint64) *Payload {
	if f.Dropped == nil {
		return nil
	}
	p := &Payload{Kind: (&Message{}).kind(), Bytes: f.Dropped([]byte{}, n)}
	return p.unlessNil()
}

// arm has flow called when the connection takes something again.
func (m *Subscription) arm() {
	if m.armed {
		return
	}
	m.armed = true
	m.member.link.WhenSent(func() {
		m.armed = false
		m.flow()
	})
}
