package room

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// A PresenceChannel is a Channel that also tells the other processes who is in the room here.
type PresenceChannel interface {
	Channel

	// Here tells who is in the room in this process: n members' names, of which names has at most 1000, sorted. It
	// replaces what was told before. It must not wait, and must not keep names.
	Here(names []string, n int)
}

const (
	// mostTold is how many names of members a process tells the others.
	mostTold = 1000

	// mostElsewhere is how many names of members in other processes a room knows. It counts those above it.
	mostElsewhere = 10_000
)

// elsewhere is who is in a room in other processes. Room.mu guards it.
type elsewhere struct {
	processes map[string]attendance
	names     map[string]int // the processes of each name
	listed    int            // names of all processes
	unnamed   int            // members whose names are not known

	told  []string // of this process, to the others
	timer bool     // a timer runs that tells them
}

// An attendance is who is in a room in one other process.
type attendance struct {
	names   []string
	unnamed int
}

// tellHere has the other processes told who is here, before long.
func (r *Room) tellHere() {
	channel, ok := r.channel.(PresenceChannel)
	if !ok || r.elsewhere.timer {
		return
	}
	r.elsewhere.timer = true
	time.AfterFunc(cmp.Or(r.options.Presence, 300*time.Millisecond), func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.elsewhere.timer = false
		if !r.closed {
			channel.Here(r.here())
		}
	})
}

// here returns the names of members in this process, and how many there are. It lists the same ones as long as they are
// here. mu is held.
func (r *Room) here() (names []string, n int) {
	e := &r.elsewhere
	is := func(name string) bool { return r.presence.here[name] > e.names[name] }
	listed := map[string]bool{}
	for _, name := range e.told {
		if is(name) {
			listed[name] = true
		}
	}
	for name := range r.presence.here {
		if is(name) {
			n++
			if len(listed) < mostTold {
				listed[name] = true
			}
		}
	}
	e.told = slices.Sorted(maps.Keys(listed))
	return e.told, n
}

// local returns the names of members in this process, and how many members have each. mu is held.
func (r *Room) local() map[string]int {
	here := maps.Clone(r.presence.here)
	for name, n := range r.elsewhere.names {
		if here[name] -= n; here[name] == 0 {
			delete(here, name)
		}
	}
	return here
}

// Elsewhere implements Inlet.
func (i inlet) Elsewhere(process string, names []string, n int) {
	r := i.r
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	e := &r.elsewhere
	if e.processes == nil {
		e.processes, e.names = map[string]attendance{}, map[string]int{}
	}
	was := e.processes[process]
	names = slices.Clone(names[:min(len(names), mostElsewhere-(e.listed-len(was.names)))])
	for _, name := range names { // those who stay are never gone
		e.names[name]++
		r.countIn(name)
	}
	for _, name := range was.names {
		if e.names[name]--; e.names[name] == 0 {
			delete(e.names, name)
		}
		r.countOut(name)
	}
	now := attendance{names, max(0, n-len(names))}
	e.listed += len(now.names) - len(was.names)
	e.unnamed += now.unnamed - was.unnamed
	if n == 0 {
		delete(e.processes, process)
	} else {
		e.processes[process] = now
	}
}
