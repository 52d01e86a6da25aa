package room

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/websocket"
)

// What a Hub and a Member say of themselves to another process.
const (
	movedKind    = "switchboard/room"
	movedVersion = 1
)

// handed is what a Hub has of a handover.
type handed struct {
	present atomic.Int64         // subscriptions of members in this process
	up      atomic.Pointer[peer] // the process that has the rooms by now; nil: this one has them
	down    atomic.Pointer[peer] // the process before this one, in which members of the rooms have stayed
	giving  *giving              // between Hand and Handed
	taking  *taking              // between Take and Taken
	settle  atomic.Pointer[func()]
}

// A giving is rooms whose mutexes are held, as is Hub.mu.
type giving struct {
	rooms []*Room
	index map[*message]int // in roomState.Messages
	peer  *peer
}

// A taking is rooms that are not this process's yet.
type taking struct {
	rooms map[string]*Room
	peer  *peer
}

// A hubState is a Hub as JSON.
type hubState struct {
	Rooms []roomState
}

// A roomState is a Room. Messages are those of the history and of queues, in order; the last History of those that have a number
// are its history.
type roomState struct {
	Name, Epoch string
	Seq         uint64
	History     int
	Here        map[string]int
	Changed     map[string]bool `json:",omitempty"`
	Messages    []messageState  `json:",omitempty"`
	Channel     []byte          `json:",omitempty"` // what MovingChannel.Pause says
}

// A messageState is a message.
type messageState struct {
	record
	Remote   bool      `json:",omitempty"`
	Missed   uint64    `json:",omitempty"`
	Presence *Presence `json:",omitempty"`
}

func stateOf(m *message) messageState {
	s := messageState{recordOf(&m.Message), m.Remote, m.Missed, m.Presence}
	s.Room = ""
	return s
}

func (s *messageState) message(room string) *message {
	m := &message{Message: Message{Room: room, Seq: s.Seq, Time: s.Time, From: s.From, Key: s.Key, Kind: websocket.Kind(s.Kind), Data: s.Data,
		Presence: s.Presence, Missed: s.Missed, Remote: s.Remote}}
	if m.Data == nil && s.Text != "" {
		m.Data = []byte(s.Text)
	}
	m.size = len(m.Data) + overhead
	return m
}

// Hand implements switchboard.Shared: a Hub moves to another process with the connections of its members. Publishing waits
// meanwhile. The rooms keep their numbers and their history.
//
// Members whose connections stay are still in their rooms: what they publish is numbered in the other process, and what is
// published there reaches them, in the same order as everybody. They cannot join any more: the error is ErrHandedOver, as it is of
// Publish if the other process ends. Publish returns 0 for the number. The processes are connected until the last of those members
// has left.
//
// The Store must be a *FileStore or nil, and the Log nil. A Hub cannot be handed on while members of its rooms are in the process before it.
func (h *Hub) Hand(s *switchboard.Server) (st switchboard.HandlerState, file *os.File, err error) {
	if h.Log != nil {
		return st, nil, errors.New("room: rooms with a Log do not move: their members can join again in the other process")
	}
	near, file, err := socketPair()
	if err != nil {
		return st, nil, err
	}
	data, err := h.hand(near, func(at Loop) bool {
		l, ok := at.(loop)
		return ok && l.server == s
	})
	if err == nil {
		err = passStore(near, h.Store)
		if err != nil {
			h.Handed(false)
		}
	}
	if err != nil {
		near.Close()
		file.Close()
		return st, nil, err
	}
	return switchboard.HandlerState{Kind: movedKind, Version: movedVersion, Data: data}, file, nil
}

// hand locks all rooms and describes them. still tells whether a loop stands still.
func (h *Hub) hand(conn net.Conn, still func(Loop) bool) ([]byte, error) {
	h.settled() // and no more after this
	rooms, err := h.lockRooms()
	if err != nil {
		return nil, err
	}
	h.giving = &giving{rooms: rooms, index: map[*message]int{}, peer: newPeer(conn)}
	var state hubState
	for _, r := range rooms {
		state.Rooms = append(state.Rooms, r.state(h.giving.index, still))
	}
	data, err := json.Marshal(state)
	if err != nil {
		h.Handed(false)
	}
	return data, err
}

// lockRooms locks h and all its rooms.
func (h *Hub) lockRooms() ([]*Room, error) {
	patience := time.After(time.Second)
	for {
		h.mu.Lock()
		if h.up.Load() != nil {
			h.mu.Unlock()
			return nil, ErrHandedOver
		}
		opening := h.opening()
		if opening == nil {
			break
		}
		h.mu.Unlock()
		select {
		case <-opening.ready:
		case <-patience:
			return nil, fmt.Errorf("room: %q is still being opened: try again", opening.name)
		}
	}
	rooms := slices.SortedFunc(maps.Values(h.rooms), func(a, b *Room) int { return strings.Compare(a.name, b.name) })
	away := 0
	for _, r := range rooms {
		r.mu.Lock()
		away += len(r.away)
	}
	if away > 0 {
		for _, r := range rooms {
			r.mu.Unlock()
		}
		h.mu.Unlock()
		return nil, errors.New("room: members in the process before this one are still in the rooms: try again when it has ended")
	}
	if down := h.down.Swap(nil); down != nil {
		down.cut() // nobody is there any more
	}
	return rooms, nil
}

// opening returns a room that is not open yet. mu is held.
func (h *Hub) opening() *Room {
	for _, r := range h.rooms {
		select {
		case <-r.ready:
		default:
			return r
		}
	}
	return nil
}

// state describes r, and notes which of its messages is where. mu is held.
func (r *Room) state(index map[*message]int, still func(Loop) bool) roomState {
	r.trim(time.Now())
	s := roomState{Name: r.name, Epoch: r.epoch, Seq: r.seq, History: r.keptNum, Here: r.local(), Changed: r.presence.changed}
	masks := map[*chunk]uint64{}
	note := func(all spans) {
		for _, s := range all {
			masks[s.chunk] |= s.mask
		}
	}
	if c, ok := r.channel.(MovingChannel); ok {
		s.Channel = c.Pause()
	}
	note(r.history)
	for _, sh := range r.shards {
		if still(sh.loop) {
			note(sh.pending)
			for _, m := range sh.members {
				note(m.queue)
			}
		}
	}
	var all spans
	for c, mask := range masks {
		all = append(all, span{c, mask})
	}
	slices.SortFunc(all, func(a, b span) int { return a.chunk.number - b.chunk.number })
	all.each(func(_ *chunk, m *message) bool {
		index[m] = len(s.Messages)
		s.Messages = append(s.Messages, stateOf(m))
		return true
	})
	return s
}

// HandedOver reports whether another process has taken over the rooms, see Hand.
func (h *Hub) HandedOver() bool { return h.up.Load() != nil }

// Divided reports whether members of the rooms may be in the process from which this one has taken them over.
func (h *Hub) Divided() bool { return h.down.Load() != nil }

// Handed implements switchboard.Shared.
func (h *Hub) Handed(moved bool) {
	g := h.giving
	if g == nil {
		return
	}
	h.giving = nil
	var closing sync.WaitGroup
	if moved {
		h.present.Add(1) // until what the channels are delivering is there
		h.up.Store(g.peer)
	}
	for _, r := range g.rooms {
		if moved {
			clear(r.presence.changed)
			if r.channel != nil {
				closing.Go(r.channel.Close)
				r.channel = nil
			}
		} else if c, ok := r.channel.(MovingChannel); ok {
			c.Resume()
		}
		r.mu.Unlock()
	}
	h.mu.Unlock()
	if !moved {
		g.peer.conn.Close()
		return
	}
	if s, ok := h.Store.(*FileStore); ok {
		go s.Close() // which waits for the disk
	}
	g.peer.start(h.fromAbove, h.aboveIsGone)
	go func() {
		closing.Wait()
		g.peer.send(frame{Do: settled})
		h.gone()
	}()
}

// Take implements switchboard.Shared: it receives what Hand returned in another process. The Hub must not have rooms. Hub.Configure is asked
// for the options of the rooms; members of those that it refuses stay in the other process.
func (h *Hub) Take(from switchboard.HandlerState, file *os.File) error {
	if file == nil {
		return errState
	}
	conn, err := connOf(file)
	if err != nil {
		return err
	}
	if from.Kind != movedKind || from.Version != movedVersion {
		err = fmt.Errorf("room: %q of version %d came over, this is %q of version %d", from.Kind, from.Version, movedKind, movedVersion)
	}
	if err == nil {
		err = takeStore(conn, h.Store)
	}
	if err == nil {
		err = h.take(conn, from.Data)
	}
	if err != nil {
		conn.Close()
	}
	return err
}

var errState = errors.New("room: what the other process says of its rooms is broken")

func (h *Hub) take(conn net.Conn, data []byte) error {
	var state hubState
	if err := json.Unmarshal(data, &state); err != nil {
		return fmt.Errorf("%w: %w", errState, err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.rooms) > 0 || h.up.Load() != nil || h.Log != nil {
		return errors.New("room: a Hub that has rooms, or a Log, cannot take over others")
	}
	h.taking = &taking{rooms: map[string]*Room{}, peer: newPeer(conn)}
	for i := range state.Rooms {
		s := &state.Rooms[i]
		o, err := h.Options, error(nil)
		if h.Configure != nil {
			o, err = h.Configure(s.Name)
		}
		o = o.withDefaults()
		if err == nil {
			err = o.check()
		}
		if err != nil {
			h.logger().Warn("a room is not taken over", "room", s.Name, "error", err)
			continue
		}
		r := newRoom(h, s.Name, o)
		if err := r.restore(s); err != nil {
			return err
		}
		close(r.ready)
		h.taking.rooms[s.Name] = r
	}
	h.openMoved(state.Rooms)
	return nil
}

// openMoved joins rooms with those of other processes where they were joined before, so that little is missed meanwhile.
func (h *Hub) openMoved(states []roomState) {
	b, ok := h.Bridge.(MovingBridge)
	if !ok {
		return
	}
	for i := range states {
		r := h.taking.rooms[states[i].Name]
		if r == nil || states[i].Channel == nil {
			continue
		}
		if c, err := b.OpenMoved(r.name, inlet{r}, states[i].Channel); err == nil {
			r.channel = c
		} else { // it is opened as if it were new
			h.logger().Error("it is not known what a room that was taken over has missed of other machines", "room", r.name, "error", err)
		}
	}
}

// mostOfName is how many members of one name come over.
const mostOfName = 1 << 20

// restore makes of r what state has said. Everybody is away until their connections come.
func (r *Room) restore(s *roomState) error {
	r.epoch, r.seq = s.Epoch, s.Seq
	r.presence.here, r.presence.changed = s.Here, s.Changed
	r.away = maps.Clone(s.Here)
	for _, n := range s.Here {
		if n < 1 || n > mostOfName {
			return errState
		}
		r.members += n
	}
	for i := range s.Messages {
		m := s.Messages[i].message(r.name)
		if m.Seq > r.seq {
			return errState
		}
		c := r.store(m)
		r.moved = append(r.moved, span{c, 1 << m.bit})
		if m.isEvent() {
			for f := range r.forms {
				m.payload(f)
			}
			continue
		}
		r.replace(c, m)
		if m.Seq+uint64(max(s.History, 0)) > r.seq {
			r.remember(c, m)
		}
	}
	return nil
}

// Taken implements switchboard.Shared.
func (h *Hub) Taken(moved bool) {
	t := h.taking
	if t == nil {
		return
	}
	h.taking = nil
	if !moved {
		t.peer.conn.Close()
		for _, r := range t.rooms {
			if r.channel != nil {
				r.channel.Close()
			}
		}
		return
	}
	settle := sync.OnceFunc(func() {
		for _, r := range t.rooms {
			r.mu.Lock()
			c, ok := r.channel.(MovingChannel)
			r.mu.Unlock()
			if ok {
				c.Resume()
			}
		}
	})
	h.settle.Store(&settle)
	time.AfterFunc(settlePatience, settle)
	h.mu.Lock()
	h.rooms = t.rooms
	h.down.Store(t.peer)
	h.mu.Unlock()
	for _, r := range t.rooms {
		r.mu.Lock()
		r.moved = nil
		if p := &r.presence; r.options.Presence == 0 {
			p.changed = nil
		} else if len(p.changed) > 0 {
			p.timer = true
			time.AfterFunc(r.options.Presence, r.tellPresence)
		}
		r.mu.Unlock()
		if s, ok := h.Store.(*FileStore); ok {
			s.Load(r.name, History{}) // what the file had of it is older
		}
		h.openChannel(r)
		h.dismiss(r)
	}
	t.peer.start(h.fromBelow, h.belowIsGone)
}

// openChannel joins a room that was taken over with those of other processes.
func (h *Hub) openChannel(r *Room) {
	if h.Bridge == nil {
		return
	}
	channel := r.channel
	if channel == nil {
		var err error
		if channel, err = h.Bridge.Open(r.name, inlet{r}); err != nil {
			h.logger().Error("a room that was taken over is not joined with other machines", "room", r.name, "error", err)
			return
		}
	}
	r.mu.Lock()
	r.channel = channel
	if p, ok := channel.(PresenceChannel); ok {
		p.Here(r.here())
	}
	r.mu.Unlock()
}

// settlePatience is how long a process waits for what its predecessor is delivering, before it delivers itself what has come since then.
const settlePatience = 5 * time.Second

// settled has the rooms deliver what other machines have published since they have moved here.
func (h *Hub) settled() {
	if settle := h.settle.Load(); settle != nil {
		(*settle)()
	}
}
