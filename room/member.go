package room

import (
	"time"
)

// A Member is one connection at a Hub. It belongs to the loop of its link.
type Member struct {
	hub  *Hub
	link Link
	form *Form
	name string
	most int // bytes that the link is given at once
	in   []*Subscription

	tokens float64 // messages that it may publish at once
	at     time.Time
}

// Member returns a member for a connection. name is what other members know it by; several may have the same.
func (h *Hub) Member(link Link, form *Form, name string) *Member {
	most := mostJoined
	if l, ok := link.(bounded); ok {
		most = min(most, l.most())
	}
	return &Member{hub: h, link: link, form: form, name: name, most: most, tokens: -1}
}

// Name returns the member's name.
func (m *Member) Name() string { return m.name }

// Rename gives the member another name. The members of its rooms are told that one has left and the other has come.
func (m *Member) Rename(name string) {
	for _, s := range m.in {
		s.room.swap(m.name, name)
	}
	m.name = name
}

// Joined returns the rooms that it is in.
func (m *Member) Joined() []*Subscription { return append([]*Subscription(nil), m.in...) }

// In returns its subscription to a room, nil if there is none.
func (m *Member) In(room string) *Subscription {
	for _, s := range m.in {
		if s.room.name == room {
			return s
		}
	}
	return nil
}

// Leave has the member leave all rooms. It must be called when its connection has ended.
func (m *Member) Leave() {
	for len(m.in) > 0 {
		m.in[len(m.in)-1].Leave()
	}
}

// spend tells whether the member may publish a message at this time.
func (m *Member) spend(now time.Time) bool {
	rate := m.hub.Rate
	if rate == 0 {
		return true
	}
	burst := float64(m.hub.Burst)
	if burst == 0 {
		burst = max(2*rate, 1)
	}
	if m.tokens < 0 {
		m.tokens = burst
	} else {
		m.tokens = min(burst, m.tokens+max(0, now.Sub(m.at).Seconds())*rate)
	}
	m.at = now
	if m.tokens < 1 {
		return false
	}
	m.tokens--
	return true
}

// A Position is a place in what a room has published. It may be kept and come back with later: in another connection, and
// with a Store in another process.
type Position struct {
	Epoch string // tells this room from another one of its name, before or after. "" is nowhere
	Seq   uint64 // of the message before it
}

// A Return says what a member wants to be sent of what was published before it came.
type Return struct {
	// After is where it was when it left. The messages since are sent.
	After Position

	// Last is how many messages it wants if After is nowhere, or the room does not remember as much.
	Last int
}

// A Subscription is a member in a room. It belongs to the member's loop.
type Subscription struct {
	room   *Room
	member *Member
	shard  *shard
	index  int // in shard.members

	start    Position
	replayed int
	gap      bool

	queue   spans
	bytes   int  // of queue
	events  int  // of these, those of events
	allowed int  // beyond Options.Queue, until the queue is empty
	slow    bool // the link has refused something that is in the queue
	armed   bool // flow is called when the link takes something again
	left    bool
	dead    bool // its link is ending
	skip    uint64
	paused  bool // under Room.mu: its link is, because of the backlog

	counts Counts
	untold uint64 // messages dropped, which the member was not told
}

// Counts are what became of the messages of a room for one member. Events are not among them.
type Counts struct {
	Delivered uint64 // given to its connection
	Dropped   uint64 // by the policy
	Skipped   uint64 // its own, by PublishToOthers, and those that its Form does not encode
	Lost      uint64 // its connection ended, or it left, before they were sent
}

// Join makes the member one of a room's, which is made if there is none. With a Return it is sent what was published before.
// Nothing is sent before the caller's turn on the loop is over, so it can greet first.
func (m *Member) Join(name string, back *Return) (*Subscription, error) {
	if m.In(name) != nil {
		return nil, ErrJoined
	}
	most := m.hub.RoomsPerMember
	if most == 0 {
		most = 16
	}
	if len(m.in) >= most {
		return nil, ErrTooManyJoined
	}
	for {
		r, err := m.hub.Room(name)
		if err != nil {
			return nil, err
		}
		s, err := r.join(m, back)
		if err == ErrLeft { // it was forgotten meanwhile
			continue
		}
		if err == nil {
			m.in = append(m.in, s)
		}
		return s, err
	}
}

// join puts m into the room, between two messages.
func (r *Room) join(m *Member, back *Return) (*Subscription, error) {
	at := m.link.Loop()
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return nil, ErrLeft
	}
	if r.options.MaxMembers > 0 && r.members >= r.options.MaxMembers {
		r.mu.Unlock()
		return nil, ErrFull
	}
	s := &Subscription{room: r, member: m, start: Position{r.epoch, r.seq}}
	sh := r.shards[at]
	if sh == nil {
		sh = &shard{room: r, loop: at}
		r.shards[at] = sh
	}
	s.shard = sh
	before := sh.take() // is for those who were here before
	if sh.count++; sh.count == 1 {
		r.active = append(r.active, sh)
	}
	r.members++
	r.forms[m.form]++
	r.touched = time.Now()
	if back != nil {
		s.replay(back)
	}
	r.arrive(m.name)
	r.mu.Unlock()
	sh.deliver(before)
	sh.members = append(sh.members, s)
	s.index = len(sh.members) - 1
	if len(s.queue) > 0 {
		s.arm()
	}
	return s, nil
}

// replay queues what a member has missed. Room.mu is held.
func (s *Subscription) replay(back *Return) {
	r := s.room
	r.trim(time.Now())
	oldest := r.seq + 1
	if r.keptNum > 0 {
		oldest = r.history[0].first().Seq
	}
	after := back.After
	if after.Epoch == r.epoch && after.Seq <= r.seq && after.Seq+1 >= oldest {
		oldest = after.Seq + 1
	} else {
		s.gap = after.Epoch != ""
		oldest = max(oldest, r.seq+1-min(uint64(max(back.Last, 0)), r.seq))
	}
	r.history.each(func(c *chunk, m *message) bool {
		if m.Seq >= oldest {
			s.queue.add(c, m)
			s.bytes += m.size
			s.replayed++
		}
		return true
	})
	s.allowed = s.bytes
}

// Leave ends the subscription. What was published before is sent if the connection takes it now; the rest is lost, and
// counted so.
func (s *Subscription) Leave() {
	if s.left {
		return
	}
	r, sh := s.room, s.shard
	r.mu.Lock()
	before := sh.take()
	if sh.count--; sh.count == 0 {
		for i, other := range r.active {
			if other == sh {
				r.active = append(r.active[:i], r.active[i+1:]...)
				break
			}
		}
		delete(r.shards, sh.loop)
	}
	r.members--
	if r.forms[s.member.form]--; r.forms[s.member.form] == 0 {
		delete(r.forms, s.member.form)
	}
	r.touched = time.Now()
	r.depart(s.member.name)
	empty := r.members == 0
	r.mu.Unlock()
	sh.deliver(before)
	s.flow()
	s.left = true
	s.queue.each(func(_ *chunk, m *message) bool {
		if !m.isEvent() {
			s.counts.Lost++
		}
		return true
	})
	s.queue, s.bytes, s.events = nil, 0, 0
	last := sh.members[len(sh.members)-1]
	sh.members[s.index], last.index = last, s.index
	sh.members[len(sh.members)-1] = nil
	sh.members = sh.members[:len(sh.members)-1]
	for i, other := range s.member.in {
		if other == s {
			s.member.in = append(s.member.in[:i], s.member.in[i+1:]...)
			break
		}
	}
	if empty {
		r.hub.dismiss(r)
	}
}

// Room returns the room.
func (s *Subscription) Room() *Room { return s.room }

// Start returns where the room was when the member joined.
func (s *Subscription) Start() Position { return s.start }

// Replayed returns how many messages from before Join are sent.
func (s *Subscription) Replayed() int { return s.replayed }

// Gap tells whether the member came back, and not all that it missed is remembered.
func (s *Subscription) Gap() bool { return s.gap }

// Counts returns what became of the room's messages.
func (s *Subscription) Counts() Counts { return s.counts }

// Queued returns how many messages wait in the member's queue.
func (s *Subscription) Queued() int { return s.queue.count() }

// Publish is Room.Publish by this member, which may be limited by Hub.Rate. While too much waits for the loops, the member is
// not read.
func (s *Subscription) Publish(m Message) (uint64, error) { return s.publish(fresh(m, nil)) }

// PublishToOthers is Publish, but the member itself is not sent the message.
func (s *Subscription) PublishToOthers(m Message) (uint64, error) { return s.publish(fresh(m, s)) }

func (s *Subscription) publish(m *message) (uint64, error) {
	switch {
	case s.left:
		return 0, ErrLeft
	case !s.member.spend(time.Now()):
		return 0, ErrRate
	}
	for {
		seq, err := s.room.publishAndSend(m)
		if err == ErrBacklog { // what waits for this loop can be sent now: then at most the other loops are behind
			s.shard.visit()
			seq, err = s.room.publishAndSend(m)
		}
		if held := s.hold(err == ErrBacklog); held || err != ErrBacklog {
			return seq, err
		} // nothing waits any more, so that nobody would read the member again
	}
}

// hold stops reading the member while too much waits for the loops, and tells whether it did. Whose message was refused is
// stopped if anything waits: it was too much together with the message.
func (s *Subscription) hold(refused bool) bool {
	r := s.room
	r.mu.Lock()
	defer r.mu.Unlock()
	if !s.paused && (r.behind() || refused && r.waits()) {
		s.paused = true
		r.waiting = append(r.waiting, s)
		s.member.link.Pause()
	}
	return s.paused
}

// waits tells whether anything waits for a loop, which will come to it then. mu is held.
func (r *Room) waits() bool {
	for _, s := range r.active {
		if s.bytes > 0 {
			return true
		}
	}
	return false
}

// behind tells whether too much waits for a loop. mu is held.
func (r *Room) behind() bool {
	for _, s := range r.active {
		if s.bytes > r.options.Backlog/4 {
			return true
		}
	}
	return false
}
