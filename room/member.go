package room

import (
	"errors"
	"time"

	"github.com/switchboard-go/switchboard"
)

// A Member is a connection at a Hub. Only the loop of its link may call its methods.
type Member struct {
	hub  *Hub
	link Link
	form *Form
	name string
	most int // bytes that the link is given at once
	in   []*Subscription

	joining int    // rooms that are being opened for it
	leaves  uint64 // calls of Leave

	tokens float64 // messages that it may publish at once
	at     time.Time
}

// Member returns a member for a connection. Other members see name. Several members may have the same name.
func (h *Hub) Member(link Link, form *Form, name string) *Member {
	most := mostJoined
	if l, ok := link.(bounded); ok {
		most = min(most, l.most())
	}
	return &Member{hub: h, link: link, form: form, name: name, most: most, tokens: -1}
}

// Name returns the member's name.
func (m *Member) Name() string { return m.name }

// Rename changes the member's name. The members of its rooms see the old name leave and the new one come.
func (m *Member) Rename(name string) {
	for _, s := range m.in {
		s.room.swap(m.name, name)
	}
	m.name = name
}

// Joined returns the subscriptions of the member.
func (m *Member) Joined() []*Subscription { return append([]*Subscription(nil), m.in...) }

// In returns the subscription to a room, nil if the member is not in it.
func (m *Member) In(room string) *Subscription {
	for _, s := range m.in {
		if s.room.name == room {
			return s
		}
	}
	return nil
}

// Leave ends all subscriptions of the member. Call it when the connection has ended.
func (m *Member) Leave() {
	m.leaves++
	for len(m.in) > 0 {
		m.in[len(m.in)-1].Leave()
	}
}

// Ended is Leave, in Closed of a handler whose connections can move to another process. err is what Closed was told: if it says that
// the connection has moved, or has not moved here, the member's rooms see nothing of it.
func (m *Member) Ended(err error) {
	var moves error
	switch {
	case errors.Is(err, switchboard.ErrMoved):
		moves = switchboard.ErrMoved
	case errors.Is(err, switchboard.ErrNotMoved):
		moves = switchboard.ErrNotMoved
	}
	for len(m.in) > 0 {
		m.in[len(m.in)-1].leave(moves)
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

// A Position is a place in the messages of a room. A client may keep it and use it later: in another connection, and
// if the Hub has a Store, with another process.
type Position struct {
	Epoch string // tells this room from another one of its name, before or after. "" is nowhere
	Seq   uint64 // of the message before it
}

// A Return selects the earlier messages that a member gets when it joins.
type Return struct {
	// After is the position of the last message that the member got. It gets the messages since then.
	After Position

	// Last is the number of messages that the member gets if After is the zero Position, or the room does not
	// remember all messages since then.
	Last int
}

// A Subscription is the membership of a Member in a Room. Only the loop of the member may call its methods.
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
	resumes bool // under Room.mu: it is about to be resumed

	counts Counts
	untold uint64 // messages dropped, which the member was not told
}

// Counts say what happened to the messages of a room for one member. Events are not counted.
type Counts struct {
	Delivered uint64 // given to its connection
	Dropped   uint64 // by the policy
	Skipped   uint64 // its own, by PublishToOthers, and those that its Form does not encode
	Lost      uint64 // its connection ended, or it left, before they were sent
}

// Join adds the member to a room, which is made if there is none. back selects earlier messages to send; nil means
// none. Nothing is sent until the current call on the loop returns, so that the caller can send a greeting first. If
// the room must be opened first, Join waits for Hub.Store, Hub.Bridge and Hub.Log; JoinThen does not wait.
func (m *Member) Join(name string, back *Return) (*Subscription, error) {
	if m.In(name) != nil {
		return nil, ErrJoined
	}
	if len(m.in) >= m.hub.mostJoined() {
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
	if r.hub.up.Load() != nil {
		r.mu.Unlock()
		return nil, ErrHandedOver
	}
	if r.closed {
		r.mu.Unlock()
		return nil, ErrLeft
	}
	if r.options.MaxMembers > 0 && r.members >= r.options.MaxMembers {
		r.mu.Unlock()
		return nil, ErrFull
	}
	s := &Subscription{room: r, member: m, start: Position{r.epoch, r.seq}}
	before := s.enter(at)
	r.members++
	r.touched = time.Now()
	if back != nil {
		s.replay(back)
	}
	r.arrive(m.name)
	r.mu.Unlock()
	s.settle(before)
	return s, nil
}

// enter puts s on the list of a loop. before is for those who were there before. Room.mu is held.
func (s *Subscription) enter(at Loop) (before batch) {
	r := s.room
	sh := r.shards[at]
	if sh == nil {
		sh = &shard{room: r, loop: at}
		r.shards[at] = sh
	}
	s.shard = sh
	before = sh.take()
	if sh.count++; sh.count == 1 {
		r.active = append(r.active, sh)
	}
	r.forms[s.member.form]++
	r.hub.present.Add(1)
	return before
}

// settle is what follows enter on the loop, without Room.mu.
func (s *Subscription) settle(before batch) {
	sh := s.shard
	sh.deliver(before)
	sh.members = append(sh.members, s)
	s.index = len(sh.members) - 1
	if len(s.queue) > 0 {
		s.arm()
	}
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

// Leave ends the subscription. Earlier messages are sent if the connection takes them at once. The others are counted
// as Lost.
func (s *Subscription) Leave() { s.leave(nil) }

// leave is Leave. moves is nil, or says that the member is in another process: its rooms see nothing.
func (s *Subscription) leave(moves error) {
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
	if moves != switchboard.ErrNotMoved || !r.wentBack(s.member.name) {
		r.members--
	}
	if r.forms[s.member.form]--; r.forms[s.member.form] == 0 {
		delete(r.forms, s.member.form)
	}
	r.touched = time.Now()
	if moves == nil {
		r.depart(s.member.name)
	}
	empty := r.members == 0
	r.mu.Unlock()
	sh.deliver(before)
	if moves == nil {
		s.flow()
	}
	s.left = true
	s.queue.each(func(_ *chunk, m *message) bool {
		if !m.isEvent() && moves == nil {
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
	r.hub.gone()
}

// Room returns the room.
func (s *Subscription) Room() *Room { return s.room }

// Start returns the position of the room when the member joined.
func (s *Subscription) Start() Position { return s.start }

// Replayed returns the number of messages from before Join that are sent.
func (s *Subscription) Replayed() int { return s.replayed }

// Gap reports whether the room did not remember all messages that the member missed.
func (s *Subscription) Gap() bool { return s.gap }

// Counts returns what happened to the room's messages for this member.
func (s *Subscription) Counts() Counts { return s.counts }

// Queued returns the number of messages in the member's queue.
func (s *Subscription) Queued() int { return s.queue.count() }

// Publish is Room.Publish by this member, limited by Hub.Rate. While the backlog is long, the member's connection is
// not read.
func (s *Subscription) Publish(m Message) (uint64, error) { return s.publish(fresh(m, nil)) }

// PublishToOthers is Publish to all members but this one.
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
	return len(r.unacked) > 0
}

// behind tells whether too much waits for a loop. mu is held.
func (r *Room) behind() bool {
	if r.unsaid > r.options.Backlog/4 {
		return true
	}
	for _, s := range r.active {
		if s.bytes > r.options.Backlog/4 {
			return true
		}
	}
	return false
}
