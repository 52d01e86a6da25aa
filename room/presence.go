package room

import (
	"maps"
	"slices"
	"time"
)

// Presence lists the members that joined and left a room since the previous event. Members that did both are not in
// it.
type Presence struct {
	Came, Left []string // names, sorted; at most 100 of each
	Members    int      // names that are there, in all processes
	More       bool     // there were more than the lists hold
}

// mostNames is how many names an event lists.
const mostNames = 100

// presence counts the members of each name. Room.mu guards it.
type presence struct {
	here    map[string]int
	changed map[string]bool // whether the name was there before
	timer   bool
}

// arrive counts a member, and depart counts it out. mu is held.
func (r *Room) arrive(name string) {
	r.tellHere()
	r.tellName(nameCame, name)
	r.countIn(name)
}

func (r *Room) depart(name string) {
	r.tellHere()
	r.tellName(nameLeft, name)
	r.countOut(name)
}

// countIn counts a name, of this or another process, and countOut counts it out. mu is held.
func (r *Room) countIn(name string) {
	p := &r.presence
	if p.here == nil {
		p.here = map[string]int{}
	}
	if p.here[name]++; p.here[name] == 1 {
		r.noteChange(name, false)
	}
}

func (r *Room) countOut(name string) {
	p := &r.presence
	if p.here[name]--; p.here[name] == 0 {
		delete(p.here, name)
		r.noteChange(name, true)
	}
}

// swap is one going and another coming.
func (r *Room) swap(from, to string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if up := r.hub.up.Load(); up != nil {
		up.send(frame{Do: nameChanged, Room: r.name, Name: from, To: to})
		r.countOut(from)
		r.countIn(to)
		return
	}
	r.depart(from)
	r.arrive(to)
}

// noteChange remembers that name has come or gone, and has the members told before long.
func (r *Room) noteChange(name string, was bool) {
	p := &r.presence
	if r.options.Presence == 0 || r.hub.up.Load() != nil {
		return
	}
	if p.changed == nil {
		p.changed = map[string]bool{}
	}
	if before, ok := p.changed[name]; ok && before != was {
		delete(p.changed, name) // it is as it was
	} else if !ok {
		p.changed[name] = was
	}
	if !p.timer {
		p.timer = true
		time.AfterFunc(r.options.Presence, r.tellPresence)
	}
}

// tellPresence tells the members who has come and gone.
func (r *Room) tellPresence() {
	r.mu.Lock()
	wake := r.presenceEvent()
	r.mu.Unlock()
	for _, s := range wake {
		s.loop.Do(s.visit)
	}
}

// presenceEvent is what the members are told. mu is held; the caller wakes the loops.
func (r *Room) presenceEvent() []*shard {
	p := &r.presence
	p.timer = false
	if r.hub.up.Load() != nil {
		return nil
	}
	var came, left []string
	for name, was := range p.changed {
		if was {
			left = append(left, name)
		} else {
			came = append(came, name)
		}
	}
	clear(p.changed)
	if len(came)+len(left) == 0 || r.members == 0 {
		return nil
	}
	slices.Sort(came)
	slices.Sort(left)
	event := &Presence{Members: len(p.here) + r.elsewhere.unnamed, More: len(came) > mostNames || len(left) > mostNames,
		Came: came[:min(len(came), mostNames)], Left: left[:min(len(left), mostNames)]}
	return r.announce(&message{Message: Message{Presence: event}})
}

// Members returns the names of the members in all processes, sorted, at most 1000, and the number of names. Those of
// other processes are known if Hub.Bridge tells them.
func (r *Room) Members() (names []string, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	names = slices.Sorted(maps.Keys(r.presence.here))
	return names[:min(len(names), 1000)], len(names) + r.elsewhere.unnamed
}
