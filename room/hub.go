package room

import (
	"cmp"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// A Hub is a set of rooms. The zero value is ready to use. Do not change the fields after the first use, and do not
// copy a Hub. Any goroutine may call its methods.
type Hub struct {
	// Options are the options of rooms, unless Configure returns others.
	Options Options

	// Configure returns the options of a new room, or an error if there must be no room of this name. It must not
	// wait or call the Hub. Nil means that every name is allowed, with Options.
	Configure func(name string) (Options, error)

	// MaxRooms limits the number of rooms. At the limit, rooms without members are forgotten together with their
	// history; the room with the oldest activity first. Zero means 10,000.
	MaxRooms int

	// RoomsPerMember limits the number of rooms that a member is in. Zero means 16.
	RoomsPerMember int

	// Rate limits the messages per second that a member publishes, on average. Burst is the number of messages that
	// it may publish at once after silence. Zero Rate means no limit. Zero Burst means twice Rate, and at least 1.
	Rate  float64
	Burst int

	// Bridge joins the rooms with those of other processes. Nil means none.
	Bridge Bridge

	// Store keeps the history of rooms when the process ends. Nil means that it is lost.
	Store Store

	// Log numbers and keeps the messages of rooms for several processes. With a Log, messages do not go through the
	// Bridge. Nil means none.
	Log Log

	// Logger receives warnings and errors. Nil means slog.Default.
	Logger *slog.Logger

	mu     sync.Mutex
	rooms  map[string]*Room
	handed // of a handover

	dropped atomic.Uint64 // messages, by policies
}

// Room returns the room of a name, and makes it if there is none. A room without members may be forgotten when
// Hub.MaxRooms is reached.
func (h *Hub) Room(name string) (*Room, error) {
	r, made, err := h.room(name)
	if err != nil {
		return nil, err
	}
	if made {
		r.open()
	}
	<-r.ready
	if r.failed != nil {
		return nil, r.failed
	}
	return r, nil
}

func (h *Hub) room(name string) (r *Room, made bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if r = h.rooms[name]; r != nil {
		return r, false, nil
	}
	if h.up.Load() != nil {
		return nil, false, ErrHandedOver
	}
	o := h.Options
	if h.Configure != nil {
		if o, err = h.Configure(name); err != nil {
			return nil, false, err
		}
	}
	most := h.MaxRooms
	if most == 0 {
		most = 10_000
	}
	if len(h.rooms) >= most && !h.forgetOldest() {
		return nil, false, ErrTooManyRooms
	}
	if h.rooms == nil {
		h.rooms = map[string]*Room{}
	}
	r = newRoom(h, name, o.withDefaults())
	h.rooms[name] = r
	return r, true, nil
}

// forgetOldest makes room for a room. mu is held.
func (h *Hub) forgetOldest() bool {
	var oldest *Room
	var since time.Time
	for _, r := range h.rooms {
		r.mu.Lock()
		at, empty := r.touched, r.members == 0
		r.mu.Unlock()
		if empty && (oldest == nil || at.Before(since)) {
			oldest, since = r, at
		}
	}
	return oldest != nil && h.forget(oldest)
}

// forget takes an empty room out. mu is held.
func (h *Hub) forget(r *Room) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.members > 0 || r.closed {
		return false
	}
	r.closed = true
	delete(h.rooms, r.name)
	if r.channel != nil {
		go r.channel.Close()
		r.channel = nil
	}
	if r.log != nil {
		go r.log.Close()
	}
	if h.Store != nil && h.up.Load() == nil { // else it is the other process's
		h.Store.Forget(r.name)
	}
	return true
}

// dismiss forgets a room that has nobody and remembers nothing.
func (h *Hub) dismiss(r *Room) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r.mu.Lock()
	r.trim(time.Now())
	keep := r.members > 0 || len(r.history) > 0 || h.Store != nil && r.seq > 0
	r.mu.Unlock()
	if !keep && h.rooms[r.name] == r {
		h.forget(r)
	}
}

// A Summary describes a room.
type Summary struct {
	Name    string
	Members int
	Seq     uint64 // of its last message
}

// Rooms returns the rooms that have members, in no order.
func (h *Hub) Rooms() (all []Summary) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, r := range h.rooms {
		r.mu.Lock()
		if r.members > 0 {
			all = append(all, Summary{r.name, r.members, r.seq})
		}
		r.mu.Unlock()
	}
	return all
}

// Count returns how many rooms have members, and how many members they have in all, as metrics.Rooms needs it.
func (h *Hub) Count() (rooms, members int) {
	for _, r := range h.Rooms() {
		rooms++
		members += r.Members
	}
	return rooms, members
}

// Dropped returns how many messages the policies of rooms have dropped for slow members, one for each member that missed one.
func (h *Hub) Dropped() uint64 { return h.dropped.Load() }

// mostJoined is how many rooms a member may be in.
func (h *Hub) mostJoined() int { return cmp.Or(h.RoomsPerMember, 16) }

func (h *Hub) logger() *slog.Logger {
	if h.Logger != nil {
		return h.Logger
	}
	return slog.Default()
}

// check tells what no room can have.
func (o Options) check() error {
	if o.Queue < 1 || o.Backlog < o.Queue || o.History.Messages < 0 || o.History.Bytes < 0 || o.MaxMembers < 0 {
		return fmt.Errorf("room: a negative limit, or a Backlog less than Queue: %+v", o)
	}
	return nil
}
