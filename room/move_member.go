package room

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/switchboard-go/switchboard"
)

// A memberState is a Member as JSON.
type memberState struct {
	Name   string
	Tokens float64
	At     time.Time
	In     []subscriptionState
}

// A subscriptionState is a Subscription. Queue and Pending name messages by their place in roomState.Messages.
type subscriptionState struct {
	Room     string
	Start    Position
	Replayed int    `json:",omitempty"`
	Gap      bool   `json:",omitempty"`
	Queue    []int  `json:",omitempty"`
	Pending  []int  `json:",omitempty"` // behind it, and not looked at by the loop
	Allowed  int    `json:",omitempty"`
	Slow     bool   `json:",omitempty"`
	Paused   bool   `json:",omitempty"`
	Untold   uint64 `json:",omitempty"`
	Counts   Counts
}

// Move returns what Hub.MovedMember needs in another process, for Move of a handler. The Hub must be Server.Shared, or what that uses. The
// state has no Kind: the handler adds what it needs itself.
func (m *Member) Move() (switchboard.HandlerState, error) {
	g := m.hub.giving
	if g == nil {
		return switchboard.HandlerState{}, errors.New("room: the Hub is not part of the handover: Server.Shared is another one")
	}
	s := memberState{Name: m.name, Tokens: m.tokens, At: m.at}
	for _, in := range m.in {
		if in.dead {
			return switchboard.HandlerState{}, errors.New("room: the member is being expelled")
		}
		s.In = append(s.In, in.state(g.index))
	}
	data, err := json.Marshal(s)
	return switchboard.HandlerState{Version: movedVersion, Data: data, Rearms: true}, err
}

// state describes s with what is pending for it. Room.mu is held.
func (s *Subscription) state(index map[*message]int) subscriptionState {
	st := subscriptionState{Room: s.room.name, Start: s.start, Replayed: s.replayed, Gap: s.gap, Allowed: s.allowed, Slow: s.slow, Paused: s.paused || s.resumes,
		Untold: s.untold, Counts: s.counts}
	s.queue.each(func(_ *chunk, m *message) bool {
		st.Queue = append(st.Queue, index[m])
		return true
	})
	s.shard.pending.each(func(_ *chunk, m *message) bool {
		if m.except == s {
			st.Counts.Skipped++
		} else {
			st.Pending = append(st.Pending, index[m])
		}
		return true
	})
	return st
}

// MovedMember returns the member of a connection that has come over, in Moved of its handler. from is what Member.Move returned in the
// other process; the handler checks its Kind and Version if it has set them.
func (h *Hub) MovedMember(link Link, form *Form, from []byte) (*Member, error) {
	t := h.taking
	if t == nil {
		return nil, errors.New("room: the rooms have not come over: Server.Shared is another one")
	}
	var s memberState
	if err := json.Unmarshal(from, &s); err != nil {
		return nil, fmt.Errorf("%w: %w", errState, err)
	}
	m := h.Member(link, form, s.Name)
	m.tokens, m.at = s.Tokens, s.At
	for i := range s.In {
		if err := m.restore(t.rooms[s.In[i].Room], &s.In[i]); err != nil {
			m.Ended(switchboard.ErrNotMoved)
			return nil, err
		}
	}
	return m, nil
}

// restore makes m a member of r again.
func (m *Member) restore(r *Room, st *subscriptionState) error {
	if r == nil {
		return fmt.Errorf("room: there is no %q here", st.Room)
	}
	s := &Subscription{room: r, member: m, start: st.Start, replayed: st.Replayed, gap: st.Gap, allowed: st.Allowed, slow: st.Slow,
		untold: st.Untold, counts: st.Counts}
	r.mu.Lock()
	queue, ok := r.find(st.Queue)
	pending, sure := r.find(st.Pending)
	if !ok || !sure || r.away[m.name] < 1 || m.In(r.name) != nil {
		r.mu.Unlock()
		return errState
	}
	s.queue = queue.spans
	queue.spans.each(func(_ *chunk, msg *message) bool {
		s.bytes += msg.size
		if msg.isEvent() {
			s.events += msg.size
		}
		return true
	})
	limit := s.add(pending)
	if o := &r.options; s.bytes > limit && o.Policy != Disconnect && s.events <= o.Queue { // whoever is expelled is so later
		s.shorten(limit)
	}
	if r.away[m.name]--; r.away[m.name] == 0 {
		delete(r.away, m.name)
	}
	before := s.enter(m.link.Loop())
	r.mu.Unlock()
	m.in = append(m.in, s)
	s.settle(before)
	if st.Paused {
		m.link.Resume() // nothing waits here
	}
	return nil
}

// find returns messages by their place in roomState.Messages. mu is held.
func (r *Room) find(places []int) (b batch, ok bool) {
	for i, at := range places {
		if at < 0 || at >= len(r.moved) || i > 0 && at <= places[i-1] {
			return batch{}, false
		}
		c, m := r.moved[at].chunk, r.moved[at].first()
		b.spans.add(c, m)
		b.bytes += m.size
	}
	return b, true
}

// wentBack counts a member that is away again, as its connection has not moved. It tells whether the other process is still there. mu is
// held.
func (r *Room) wentBack(name string) bool {
	if p := r.hub.down.Load(); r.hub.taking == nil && (p == nil || p.isGone()) {
		r.countOut(name)
		return false
	}
	if r.away == nil {
		r.away = map[string]int{}
	}
	r.away[name]++
	return true
}
