package natsroom

import (
	"encoding/binary"
	"time"
)

const (
	// mostProcesses is how many other processes are known.
	mostProcesses = 10_000

	// mostRepeats is how many times longer than Options.Repeat the pause between two repetitions becomes.
	mostRepeats = 8

	// silent is how many times Options.Repeat a process may be silent before it is taken to be gone.
	silent = 32

	// mostNamed is how many bytes of names a process tells the others.
	mostNamed = 32 << 10
)

// A peer is what is known of another process in a room.
type peer struct {
	number  uint64 // of its last message
	at      time.Time
	present bool // it has told that members are there
}

// Here implements room.PresenceChannel.
func (c *channel) Here(names []string, n int) {
	b := encodeAttendance(names, n)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return
	}
	c.here = b
	c.pause = c.bridge.options.Repeat
	c.repeatIn(0)
}

// encodeAttendance encodes who is in a room: their number, and the names of some.
func encodeAttendance(names []string, n int) []byte {
	b := binary.AppendUvarint(nil, uint64(n))
	for _, name := range names {
		if len(b)+len(name) > mostNamed {
			break
		}
		b = append(binary.AppendUvarint(b, uint64(len(name))), name...)
	}
	return b
}

// attendants decodes what encodeAttendance returns. Without data, the process does not tell.
func attendants(b []byte) (names []string, n int, err error) {
	number, size := binary.Uvarint(b)
	if size <= 0 || number > 1<<31-1 {
		return nil, 0, errPacket
	}
	for b = b[size:]; len(b) > 0; {
		length, size := binary.Uvarint(b)
		if size <= 0 || length > uint64(len(b)-size) || uint64(len(names)) >= number {
			return nil, 0, errPacket
		}
		names = append(names, string(b[size:size+int(length)]))
		b = b[size+int(length):]
	}
	return names, int(number), nil
}

// An attendance is who is in a room in another process, if a packet tells it.
type attendance struct {
	names []string
	n     int
	told  bool
}

func attendanceOf(p packet) (a attendance, err error) {
	if p.kind != onlyNumber || len(p.data) == 0 {
		return a, nil
	}
	if a.names, a.n, err = attendants(p.data); err != nil {
		return a, err
	}
	for i, name := range a.names {
		a.names[i] = name + suffix(p.from)
	}
	a.told = true
	return a, nil
}

// counted is by how much a packet's number is above that of the packet before it.
func counted(p packet) uint64 {
	if p.kind == onlyNumber {
		return 0
	}
	return 1
}

// hear notes a packet of another process when it is to be delivered, and tells whether it is. It returns what was known of the
// process before, and which processes are forgotten. It waits while the channel is paused.
func (c *channel) hear(p packet, here attendance) (was peer, known bool, gone [][idSize]byte, fresh bool) {
	c.hearing.Lock()
	defer c.hearing.Unlock()
	for c.paused && !c.isClosed() {
		c.resumed.Wait()
	}
	if was, known = c.peers[p.id]; c.isClosed() || p.id == c.id || p.id == c.before || known && p.number < was.number+counted(p) {
		return was, known, nil, false
	}
	if !known && len(c.peers) >= mostProcesses {
		for id, other := range c.peers {
			if other.present {
				gone = append(gone, id)
			}
		}
		clear(c.peers)
	}
	now := peer{p.number, time.Now(), was.present}
	if here.told {
		now.present = here.n > 0
	}
	c.peers[p.id] = now
	return was, known, gone, true
}

func (c *channel) isClosed() bool {
	select {
	case <-c.closed:
		return true
	default:
		return false
	}
}

// tellWho passes on who is in another process.
func (c *channel) tellWho(p packet, here attendance, was peer, gone [][idSize]byte) {
	c.telling.Lock()
	defer c.telling.Unlock()
	for _, id := range gone {
		c.in.Elsewhere(string(id[:]), nil, 0)
	}
	if here.told && (was.present || here.n > 0) {
		c.in.Elsewhere(string(p.id[:]), here.names, here.n)
	}
}

// suffix is what is behind the names of members of a process with this name.
func suffix(process string) string {
	if process == "" {
		return ""
	}
	return "@" + process
}

// forgetSilent forgets members of processes that have said nothing for a while.
func (c *channel) forgetSilent() {
	limit := time.Now().Add(-silent * c.bridge.options.Repeat)
	c.telling.Lock()
	defer c.telling.Unlock()
	for _, id := range c.silentSince(limit) {
		c.in.Elsewhere(string(id[:]), nil, 0)
	}
}

// silentSince returns the processes with members that have said nothing since, and takes these members to be gone.
func (c *channel) silentSince(limit time.Time) (all [][idSize]byte) {
	c.hearing.Lock()
	defer c.hearing.Unlock()
	for id, p := range c.peers {
		if p.present && p.at.Before(limit) {
			p.present = false
			c.peers[id] = p
			all = append(all, id)
		}
	}
	return all
}
