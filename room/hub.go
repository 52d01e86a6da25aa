package room

import (
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// A Hub is a set of rooms. Its zero value is ready to use. Its fields must not change once it is used, and it must not be
// copied.
type Hub struct {
	// Options are those of rooms for which Configure says nothing else.
	Options Options

	// Configure returns the options of a room that is about to be made, or an error if there is to be no such room. It must
	// not wait, nor call the Hub. Nil means that every name is a room with Options.
	Configure func(name string) (Options, error)

	// MaxRooms limits the rooms. When it is reached, rooms without members are forgotten with their history, those first in
	// which nothing has happened for the longest time. Zero means 10,000.
	MaxRooms int

	// RoomsPerMember limits the rooms that one member is in. Zero means 16.
	RoomsPerMember int

	// Rate limits the messages that one member publishes in a second, on average, and Burst how many it may publish at once
	// after a silence. Zero Rate means any number; zero Burst means twice Rate, and at least 1.
	Rate  float64
	Burst int

	// Bridge joins the rooms with those of the same names in other processes. Nil means that there are none.
	Bridge Bridge

	// Store keeps what rooms remember when the process ends. Nil means that nobody does.
	Store Store

	// Logger is told what a person should look at. Nil means slog.Default.
	Logger *slog.Logger

	mu    sync.Mutex
	rooms map[string]*Room
}

// Room returns a room by its name, and makes it if there is none. It is not a member's, so it may be forgotten when it has no
// members and too many rooms are wanted.
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
	if h.Store != nil {
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

// A Summary tells of one room.
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
