package room

import (
	"encoding/json"
	"errors"
	"net"
	"slices"
	"sync"
	"time"
)

// A peer is the process that the rooms have moved to, or that they came from, while members stay there. What they say to each other is
// frames of JSON.
type peer struct {
	conn net.Conn
	wake chan struct{} // there is something to write

	mu   sync.Mutex
	out  []byte
	last bool // nothing more is said
	gone bool
}

// mostUnsent is how many bytes wait for another process before it is given up: it hangs.
const mostUnsent = 64 << 20

// A frame is what one process tells the other.
type frame struct {
	Do      string        // what happens in the room
	Room    string        `json:",omitempty"`
	Message *messageState `json:",omitempty"`
	Seq     uint64        `json:",omitempty"`
	Time    time.Time     `json:",omitzero"`
	Name    string        `json:",omitempty"`
	To      string        `json:",omitempty"`
	Why     string        `json:",omitempty"`
}

const (
	// Upwards, to the process that has the rooms, and downwards.
	nameLeft = "left"

	// Upwards.
	publishes   = "publishes"
	missed      = "missed"  // Seq messages of other machines
	settled     = "settled" // all that had come from other machines is told
	nameChanged = "changed" // its name, from Name to To

	// Downwards.
	published = "published"
	numbered  = "numbered" // the first message of the other process that had no number
	refused   = "refused"  // that message
	nameCame  = "came"
)

func newPeer(conn net.Conn) *peer { return &peer{conn: conn, wake: make(chan struct{}, 1)} }

// start begins to read and to write. took is called for every frame, and over once the other process is gone.
func (p *peer) start(took func(p *peer, f *frame), over func(p *peer)) {
	go p.write()
	go func() {
		defer over(p)
		defer p.cut()
		for in := json.NewDecoder(p.conn); ; {
			var f frame
			if in.Decode(&f) != nil {
				return
			}
			took(p, &f)
		}
	}()
}

func (p *peer) write() {
	for range p.wake {
		p.mu.Lock()
		out, last := p.out, p.last
		p.out = nil
		gone := p.gone
		p.mu.Unlock()
		if gone {
			return
		}
		if _, err := p.conn.Write(out); err != nil || last {
			p.conn.Close()
			return
		}
	}
}

// send has the other process told. Whoever holds Room.mu may call it.
func (p *peer) send(f frame) {
	b, err := json.Marshal(f)
	if err != nil {
		panic(err) // there is nothing in it that JSON does not know
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gone || p.last {
		return
	}
	if p.out = append(p.out, b...); len(p.out) > mostUnsent {
		p.end()
		return
	}
	p.signal()
}

func (p *peer) signal() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// finish ends the connection when everything is sent.
func (p *peer) finish() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = true
	p.signal()
}

func (p *peer) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.end()
}

// end ends the connection. mu is held.
func (p *peer) end() {
	p.gone, p.out = true, nil
	p.conn.Close()
	p.signal()
}

func (p *peer) isGone() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.gone || p.last
}

// tellMessage tells the process before this one of a message. Room.mu is held.
func (p *peer) tellMessage(m *message) {
	if m.from == p {
		p.send(frame{Do: numbered, Room: m.Room, Seq: m.Seq, Time: m.Time})
		return
	}
	s := stateOf(m)
	p.send(frame{Do: published, Room: m.Room, Message: &s})
}

// tellName tells the other process, if there is one, who comes or leaves here. mu is held.
func (r *Room) tellName(do, name string) {
	if up := r.hub.up.Load(); up != nil {
		up.send(frame{Do: do, Room: r.name, Name: name})
	} else if down := r.hub.down.Load(); down != nil {
		down.send(frame{Do: do, Room: r.name, Name: name})
	}
}

// publishThere has the process that has the room publish m. It is sent to the members here when its number comes back. mu is held.
func (r *Room) publishThere(up *peer, m *message) error {
	switch {
	case up.isGone():
		return ErrHandedOver
	case r.unsaid > 0 && r.unsaid+m.size > r.options.Backlog:
		return ErrBacklog
	}
	r.unacked = append(r.unacked, m)
	r.unsaid += m.size
	s := stateOf(m)
	up.send(frame{Do: publishes, Room: r.name, Message: &s})
	return nil
}

// find returns a room, nil if there is none.
func (h *Hub) find(name string) *Room {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.rooms[name]
}

// gone is called when a subscription of this process has ended.
func (h *Hub) gone() {
	if h.present.Add(-1) > 0 {
		return
	}
	if up := h.up.Load(); up != nil {
		up.finish()
	}
}

// backlogPause is after what time a message of another process is offered to the loops again, if they were too far behind.
const backlogPause = time.Millisecond

// fromBelow takes what the process before this one says.
func (h *Hub) fromBelow(p *peer, f *frame) {
	if f.Do == settled {
		h.settled()
		return
	}
	r := h.find(f.Room)
	if r == nil {
		return // its members were not taken over
	}
	switch f.Do {
	case publishes:
		if f.Message == nil {
			return
		}
		m := f.Message.message(f.Room)
		m.from = p
		err := r.publishAgain(p, m)
		if err != nil {
			p.send(frame{Do: refused, Room: f.Room, Why: err.Error()})
		}
	case missed:
		r.tell(Message{Missed: f.Seq})
	case nameLeft:
		r.mu.Lock()
		r.leaveAway(f.Name)
		empty := r.members == 0
		r.mu.Unlock()
		if empty {
			h.dismiss(r)
		}
	case nameChanged:
		r.mu.Lock()
		if r.away[f.Name] > 0 {
			r.leaveAway(f.Name)
			r.away[f.To]++
			r.members++
			r.countIn(f.To)
		}
		r.mu.Unlock()
	}
}

// publishAgain publishes a message of another process, as soon as the loops have caught up.
func (r *Room) publishAgain(p *peer, m *message) error {
	for {
		publish := r.publishAndSend
		if m.Remote {
			publish = r.publish
		}
		if _, err := publish(m); !errors.Is(err, ErrBacklog) || p.isGone() {
			return err
		}
		time.Sleep(backlogPause)
	}
}

// leaveAway counts out a member that was away. mu is held.
func (r *Room) leaveAway(name string) {
	if r.away[name] < 1 {
		return
	}
	if r.away[name]--; r.away[name] == 0 {
		delete(r.away, name)
	}
	r.members--
	r.countOut(name)
}

// belowIsGone is called when the process before this one is gone, or no member is there any more.
func (h *Hub) belowIsGone(p *peer) {
	h.settled()
	h.down.CompareAndSwap(p, nil)
	h.mu.Lock()
	var rooms []*Room
	for _, r := range h.rooms {
		rooms = append(rooms, r)
	}
	h.mu.Unlock()
	for _, r := range rooms {
		r.mu.Lock()
		for name, n := range r.away {
			r.members -= n
			r.presence.here[name] -= n - 1
			r.countOut(name)
		}
		r.away = nil
		r.mu.Unlock()
		h.dismiss(r)
	}
}

// fromAbove takes what the process that has the rooms says.
func (h *Hub) fromAbove(p *peer, f *frame) {
	r := h.find(f.Room)
	if r == nil {
		return // nobody is in it here
	}
	switch f.Do {
	case published:
		if f.Message == nil {
			return
		}
		r.follow(p, func() *message { return f.Message.message(f.Room) })
	case numbered:
		r.follow(p, func() *message {
			m := r.nextUnacked()
			if m != nil {
				m.Seq, m.Time = f.Seq, f.Time
			}
			return m
		})
	case refused:
		r.mu.Lock()
		m := r.nextUnacked()
		wake := slices.Clone(r.active)
		r.mu.Unlock()
		for _, s := range wake { // which has members read again that were paused
			s.loop.Do(s.visit)
		}
		if m != nil {
			h.logger().Warn("the other process does not publish a message", "room", r.name, "from", m.From, "reason", f.Why)
		}
	case nameCame:
		r.mu.Lock()
		r.countIn(f.Name)
		r.mu.Unlock()
	case nameLeft:
		r.mu.Lock()
		r.countOut(f.Name)
		r.mu.Unlock()
	}
}

// nextUnacked takes out the first message that has no number. mu is held.
func (r *Room) nextUnacked() *message {
	if len(r.unacked) == 0 {
		return nil
	}
	m := r.unacked[0]
	r.unacked[0] = nil
	if r.unacked = r.unacked[1:]; len(r.unacked) == 0 {
		r.unacked = nil
	}
	r.unsaid -= m.size
	return m
}

// follow passes on what get returns, as soon as the loops have caught up. get is called with mu held.
func (r *Room) follow(p *peer, get func() *message) {
	r.mu.Lock()
	for r.full() && !p.isGone() {
		r.mu.Unlock()
		time.Sleep(backlogPause)
		r.mu.Lock()
	}
	var wake []*shard
	if m := get(); m == nil {
	} else if m.isEvent() {
		wake = r.announce(m)
	} else {
		wake = r.accept(m)
	}
	r.mu.Unlock()
	for _, s := range wake {
		s.loop.Do(s.visit)
	}
}

// full tells whether a loop is so far behind that it must catch up first. mu is held.
func (r *Room) full() bool {
	for _, s := range r.active {
		if s.bytes >= r.options.Backlog {
			return true
		}
	}
	return false
}

// aboveIsGone is called when the process that has the rooms is gone: nothing is published any more. Members that were paused are told
// so when they publish again.
func (h *Hub) aboveIsGone(*peer) {
	h.mu.Lock()
	var wake []*shard
	for _, r := range h.rooms {
		r.mu.Lock()
		r.unacked, r.unsaid = nil, 0
		wake = append(wake, r.active...)
		r.mu.Unlock()
	}
	h.mu.Unlock()
	for _, s := range wake {
		s.loop.Do(s.visit)
	}
}
