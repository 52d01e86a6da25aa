package room

import (
	"errors"
	"fmt"
	"time"
)

// A Log numbers and keeps the messages of rooms, outside the process. The rooms of all processes with the same Log have the
// same messages in the same order with the same numbers. Package natsroom has one.
//
// A message that a member publishes goes to the Log, and comes to all members, its publisher among them, when the Log
// has it. If a message is missing, because the Log forgot it before this process read it, the members get an event (Message.Missed).
type Log interface {
	// Open returns the position of a room, and its last messages in order, within the limits of most. The messages
	// have Data, From, Key, Kind, Seq and Time; the last one has the number of the position. The messages after them go
	// to in. Open waits for the Log.
	Open(room string, most History, in LogReader) (Position, []*Message, LogWriter, error)
}

// A LogWriter sends the messages that this process publishes in one room to a Log. Any goroutine may call its methods.
type LogWriter interface {
	// Publish gives a message to the Log. It must not wait. The Log gets the messages of a process in the order of the
	// calls, and each message once, also if it cannot be reached for a while. Of messages with the same ID, of all processes, it
	// keeps one. An error means that it does not get this message.
	Publish(m *Message) error

	// Close stops reading and writing. Messages that the Log does not have yet may be lost.
	Close()
}

// A LogReader receives what a Log has for one room. One goroutine at a time may call its methods.
type LogReader interface {
	// Deliver sends a message to the members. m has the fields that Log.Open tells. If it is the copy of a message that this
	// process gave to LogWriter.Publish, m must be that Message, with Seq and Time set. ErrBacklog means that the event
	// loops are behind, and that the message must come again.
	Deliver(m Message) error

	// Moved tells that the next message comes after p. Messages between the last one and p are lost. If the Epoch is another
	// one, the Log has forgotten the room and has begun anew.
	Moved(p Position)
}

// openLog finds where a Log stands.
func (r *Room) openLog() error {
	if r.hub.Store != nil {
		return errors.New("room: a Hub has a Store or a Log, not both")
	}
	at, messages, w, err := r.hub.Log.Open(r.name, r.options.History, logReader{r})
	if err != nil {
		return fmt.Errorf("room: opening %q: %w", r.name, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.log, r.epoch, r.seq = w, at.Epoch, at.Seq
	for i, kept := range messages {
		if next := i + 1; next < len(messages) && messages[next].Seq != kept.Seq+1 {
			r.forgetHistory() // a member is replayed all, or told of a gap
			continue
		}
		m := &message{Message: *kept, size: len(kept.Data) + overhead}
		m.Room = r.name
		r.remember(r.store(m), m)
	}
	if n := len(messages); n > 0 && messages[n-1].Seq != at.Seq {
		r.forgetHistory()
	}
	return nil
}

// offer gives a message to the Log.
func (r *Room) offer(m *message) error {
	m.Room, m.size = r.name, len(m.Data)+overhead
	if len(m.Data) > r.options.Queue {
		return ErrTooLong
	}
	r.mu.Lock()
	full := r.overfull(m.size)
	r.touched = time.Now()
	r.mu.Unlock()
	if full {
		return ErrBacklog
	}
	return r.log.Publish(&m.Message)
}

// overfull tells whether a message is too much for the backlog of a loop. mu is held.
func (r *Room) overfull(size int) bool {
	for _, s := range r.active {
		if s.bytes > 0 && s.bytes+size > r.options.Backlog {
			return true
		}
	}
	return false
}

// forgetHistory has the history begin anew. mu is held.
func (r *Room) forgetHistory() { r.history, r.kept, r.keptNum = nil, 0, 0 }

// logReader is what a Log is given of a Room.
type logReader struct{ r *Room }

// Deliver implements LogReader.
func (l logReader) Deliver(from Message) error {
	r := l.r
	<-r.ready
	m := &message{Message: from, size: len(from.Data) + overhead}
	m.Room = r.name
	var wake []*shard
	r.mu.Lock()
	defer func() {
		r.mu.Unlock()
		visit(wake)
	}()
	switch {
	case r.closed || r.failed != nil:
		return ErrLeft
	case m.Seq <= r.seq: // it came before
		return nil
	case r.overfull(m.size):
		return ErrBacklog
	case len(m.Data) > r.options.Queue:
		r.hub.logger().Warn("a message of another process is not passed on", "room", r.name, "error", ErrTooLong)
		wake = r.missing(m.Seq)
		return nil
	}
	for f := range r.forms {
		m.payload(f) // which may panic
	}
	if m.Seq > r.seq+1 {
		wake = r.missing(m.Seq - 1)
	}
	r.seq = m.Seq
	c := r.store(m)
	r.replace(c, m)
	r.remember(c, m)
	wake = append(wake, r.pass(c, m)...)
	return nil
}

// missing tells the members that the messages up to this number do not come. mu is held; the caller wakes the loops.
func (r *Room) missing(to uint64) []*shard {
	n := to - r.seq
	r.seq = to
	r.forgetHistory()
	return r.announce(&message{Message: Message{Missed: n}})
}

// Moved implements LogReader.
func (l logReader) Moved(p Position) {
	r := l.r
	<-r.ready
	var wake []*shard
	r.mu.Lock()
	switch {
	case r.closed || r.failed != nil:
	case p.Epoch != r.epoch:
		r.epoch, r.seq = p.Epoch, p.Seq
		r.forgetHistory()
		wake = r.announce(&message{Message: Message{Anew: &p}})
	case p.Seq > r.seq:
		wake = r.missing(p.Seq)
	}
	r.mu.Unlock()
	visit(wake)
}

// visit has the loops look at what was published. An error says that a loop is gone, and its members with it.
func visit(wake []*shard) {
	for _, s := range wake {
		s.loop.Do(s.visit)
	}
}

const (
	// catchUp is how long a member that is ahead of this process waits until the process has read as far.
	catchUp = 5 * time.Second

	// catchUpStep is after what time that is looked at again, twice that the next time, and so on.
	catchUpStep = 10 * time.Millisecond
)

// JoinThen is Join for any Hub, also one whose Log is in the network: it does not wait. f gets what Join returns, on the
// loop of the member. It is called before JoinThen returns, or later if the room must be opened first, or if the member was in
// another process that had read more of the Log. If the member leaves meanwhile (Leave), f gets ErrLeft.
func (m *Member) JoinThen(name string, back *Return, f func(*Subscription, error)) {
	h := m.hub
	if h.Log == nil || h.stands(name, back) {
		f(m.Join(name, back))
		return
	}
	most := h.mostJoined()
	if len(m.in)+m.joining >= most {
		f(nil, ErrTooManyJoined)
		return
	}
	m.joining++
	leaves, loop := m.leaves, m.link.Loop()
	go func() {
		_, err := h.Room(name)
		for step, limit := catchUpStep, time.Now().Add(catchUp); err == nil && !h.stands(name, back) && time.Now().Before(limit); step *= 2 {
			time.Sleep(step)
		}
		loop.Do(func() { // an error says that the loop is gone, and the member with it
			m.joining--
			switch {
			case m.leaves != leaves:
				f(nil, ErrLeft)
			case err != nil:
				f(nil, err)
			default:
				f(m.Join(name, back))
			}
		})
	}()
}

// stands tells whether a room is open and has all messages that somebody who comes back has got.
func (h *Hub) stands(name string, back *Return) bool {
	h.mu.Lock()
	r := h.rooms[name]
	h.mu.Unlock()
	if r == nil {
		return false
	}
	select {
	case <-r.ready:
	default:
		return false
	}
	if back == nil {
		return true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return back.After.Epoch != r.epoch || back.After.Seq <= r.seq
}
