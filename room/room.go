package room

import (
	"crypto/rand"
	"fmt"
	"sync"
	"time"
)

// A Room sends messages to all its members. Any goroutine may call its methods.
type Room struct {
	hub     *Hub
	name    string
	options Options
	ready   chan struct{} // closed when it is open, or failed
	failed  error
	epoch   string
	channel Channel   // nil without a Bridge
	log     LogWriter // nil without a Log

	mu        sync.Mutex
	closed    bool
	members   int
	touched   time.Time
	seq       uint64
	last      *chunk
	forms     map[*Form]int // members of each
	shards    map[Loop]*shard
	active    []*shard // those with members
	history   spans
	kept      int // bytes of history
	keptNum   int
	latest    map[string]place // of each key, for KeepLatest
	presence  presence
	elsewhere elsewhere
	waiting   []*Subscription // paused until the backlog is shorter
	moved     spans           // of one message each, as roomState has them, until the members have come over
	away      map[string]int  // members of each name that are in the process before this one; counted in members
	unacked   []*message      // published, and not numbered by the process that has the room
	unsaid    int             // bytes of these
}

// A place is where a message lies.
type place struct {
	chunk *chunk
	bit   uint
}

func newRoom(h *Hub, name string, o Options) *Room {
	return &Room{hub: h, name: name, options: o, ready: make(chan struct{}), touched: time.Now(), epoch: rand.Text()[:16],
		forms: map[*Form]int{}, shards: map[Loop]*shard{}}
}

// open finds what was kept of r, and the bridge. Who wants r meanwhile waits.
func (r *Room) open() {
	defer close(r.ready)
	h := r.hub
	r.failed = r.options.check()
	if r.failed == nil && h.Store != nil {
		r.failed = r.load(h.Store)
	}
	if r.failed == nil && h.Log != nil {
		r.failed = r.openLog()
	}
	if r.failed == nil && h.Bridge != nil {
		channel, err := h.Bridge.Open(r.name, inlet{r})
		if err != nil {
			r.failed = fmt.Errorf("room: joining %q with other machines: %w", r.name, err)
		} else {
			r.mu.Lock()
			r.channel = channel
			r.mu.Unlock()
		}
	}
	if r.failed != nil {
		if r.log != nil {
			go r.log.Close()
		}
		h.mu.Lock()
		delete(h.rooms, r.name)
		h.mu.Unlock()
	}
}

func (r *Room) load(s Store) error {
	epoch, last, messages, err := s.Load(r.name, r.options.History)
	if err != nil {
		return fmt.Errorf("room: what was kept of %q: %w", r.name, err)
	}
	if epoch == "" {
		return s.Begin(r.name, r.epoch)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.epoch, r.seq = epoch, last
	for _, kept := range messages {
		m := &message{Message: *kept, size: len(kept.Data) + overhead}
		m.Room = r.name
		r.remember(r.store(m), m)
	}
	return nil
}

// Name returns the room's name.
func (r *Room) Name() string { return r.name }

// Position returns the position of the room's last message.
func (r *Room) Position() Position {
	r.mu.Lock()
	defer r.mu.Unlock()
	return Position{r.epoch, r.seq}
}

// Publish sends a message to all members and adds it to the history. It returns the message's number, or 0 if Hub.Log
// numbers it later. Do not modify m.Data afterwards. Any goroutine may call it.
func (r *Room) Publish(m Message) (uint64, error) { return r.publishAndSend(fresh(m, nil)) }

// fresh returns a new message with what the publisher of m has set.
func fresh(m Message, except *Subscription) *message {
	return &message{Message: Message{Data: m.Data, From: m.From, Key: m.Key, Kind: m.Kind, ID: m.ID, except: except}}
}

// publishAndSend is publish, here and elsewhere.
func (r *Room) publishAndSend(m *message) (uint64, error) {
	if r.log != nil {
		return 0, r.offer(m)
	}
	seq, err := r.publish(m)
	if err == nil && seq > 0 && r.hub.Bridge != nil {
		r.mu.Lock()
		channel := r.channel
		r.mu.Unlock()
		if channel == nil {
			return seq, nil
		}
		if err := channel.Publish(&m.Message); err != nil {
			r.hub.logger().Warn("a message does not reach other machines", "room", r.name, "error", err)
		}
	}
	return seq, err
}

// publish numbers m and has every loop that has members look at it.
func (r *Room) publish(m *message) (seq uint64, err error) {
	m.Room, m.size = r.name, len(m.Data)+overhead
	if m.size > r.options.Queue+overhead {
		return 0, ErrTooLong
	}
	var wake []*shard
	r.mu.Lock()
	defer func() {
		r.mu.Unlock()
		for _, s := range wake {
			s.loop.Do(s.visit) // an error says that its loop is gone, and its members with it
		}
	}()
	if up := r.hub.up.Load(); up != nil {
		return 0, r.publishThere(up, m)
	}
	for _, s := range r.active {
		if s.bytes > 0 && s.bytes+m.size > r.options.Backlog {
			return 0, ErrBacklog
		}
	}
	m.Time = time.Now()
	r.touched = m.Time
	m.Seq = r.seq + 1
	for f := range r.forms {
		m.payload(f) // which may panic
	}
	if s := r.hub.Store; s != nil {
		if err := s.Append(&m.Message); err != nil {
			return 0, fmt.Errorf("room: %q does not keep a message: %w", r.name, err)
		}
	}
	wake = r.accept(m)
	if down := r.hub.down.Load(); down != nil {
		down.tellMessage(m)
	}
	return m.Seq, nil
}

// accept passes a message on that has a number. mu is held; the caller wakes the loops.
func (r *Room) accept(m *message) (wake []*shard) {
	r.seq = m.Seq
	c := r.store(m)
	r.replace(c, m)
	r.remember(c, m)
	return r.pass(c, m)
}

// announce sends an event to all members. mu is held; the caller wakes the loops.
func (r *Room) announce(m *message) (wake []*shard) {
	m.Room, m.Time, m.size = r.name, time.Now(), overhead
	for f := range r.forms {
		m.payload(f)
	}
	if down := r.hub.down.Load(); down != nil {
		down.tellMessage(m)
	}
	return r.pass(r.store(m), m)
}

// tell is announce, by whoever does not hold mu.
func (r *Room) tell(event Message) {
	r.mu.Lock()
	var wake []*shard
	if up := r.hub.up.Load(); up == nil {
		wake = r.announce(&message{Message: event})
	} else if event.Missed > 0 { // before the room moved
		up.send(frame{Do: missed, Room: r.name, Seq: event.Missed})
	}
	r.mu.Unlock()
	for _, s := range wake {
		s.loop.Do(s.visit)
	}
}

// store puts m behind the messages before it.
func (r *Room) store(m *message) *chunk {
	if r.last == nil || r.last.used == uint(len(r.last.messages)) {
		next := new(chunk)
		if r.last != nil {
			next.number = r.last.number + 1
		}
		r.last = next
	}
	c := r.last
	m.bit = c.used
	c.messages[m.bit] = m
	c.used++
	return c
}

// mostKeys is of how many keys the latest message is known.
const mostKeys = 1 << 16

// replace marks the message with m's key that m replaces.
func (r *Room) replace(c *chunk, m *message) {
	if r.options.Policy != KeepLatest || m.Key == "" {
		return
	}
	if at, ok := r.latest[m.Key]; ok {
		at.chunk.replaced.Or(1 << at.bit)
	} else if len(r.latest) >= mostKeys {
		r.latest = nil // who is that far behind is sent the older ones too
	}
	if r.latest == nil {
		r.latest = map[string]place{}
	}
	r.latest[m.Key] = place{c, m.bit}
}

// pass puts m on every loop's list, and returns those that do not know of it.
func (r *Room) pass(c *chunk, m *message) (wake []*shard) {
	for _, s := range r.active {
		s.pending.add(c, m)
		s.bytes += m.size
		if !s.woken {
			s.woken = true
			wake = append(wake, s)
		}
	}
	return wake
}

// remember adds m to the history.
func (r *Room) remember(c *chunk, m *message) {
	if r.options.History.Messages == 0 {
		return
	}
	r.history.add(c, m)
	r.kept += m.size
	r.keptNum++
	r.trim(m.Time)
}

// trim forgets what is over the limits of the history. mu is held.
func (r *Room) trim(now time.Time) {
	h := r.options.History
	for r.keptNum > 0 {
		m := r.history[0].first()
		if r.keptNum <= h.Messages && r.kept <= h.Bytes && (h.Age == 0 || now.Sub(m.Time) <= h.Age) {
			return
		}
		r.history.cut()
		r.kept -= m.size
		r.keptNum--
	}
}

// inlet is what a Bridge is given of a Room.
type inlet struct{ r *Room }

func (i inlet) Deliver(m Message) error {
	in := fresh(m, nil)
	in.Remote = true
	_, err := i.r.publish(in)
	return err
}

func (i inlet) Missed(n uint64) { i.r.tell(Message{Missed: n}) }
