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
	b := attendance(names, n)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return
	}
	c.here = b
	c.pause = c.bridge.options.Repeat
	c.repeatIn(0)
}

// attendance encodes who is in a room: their number, and the names of some.
func attendance(names []string, n int) []byte {
	b := binary.AppendUvarint(nil, uint64(n))
	for _, name := range names {
		if len(b)+len(name) > mostNamed {
			break
		}
		b = append(binary.AppendUvarint(b, uint64(len(name))), name...)
	}
	return b
}

// attendants decodes what attendance returns. Without data, the process does not tell.
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

// heard notes what another process has sent, and passes on who is there.
func (c *channel) heard(p packet, was peer) {
	now := peer{p.number, time.Now(), was.present}
	var names []string
	n, told := 0, false
	if p.kind == onlyNumber && len(p.data) > 0 {
		var err error
		if names, n, err = attendants(p.data); err != nil {
			c.bridge.options.Logger.Warn("a stranger publishes in a room", "subject", c.subject, "error", err)
			return
		}
		told, now.present = true, n > 0
		for i, name := range names {
			names[i] = name + suffix(p.from)
		}
	}
	c.hearing.Lock()
	defer c.hearing.Unlock()
	if _, known := c.peers[p.id]; !known && len(c.peers) >= mostProcesses {
		for id, other := range c.peers {
			if other.present {
				c.in.Elsewhere(string(id[:]), nil, 0)
			}
		}
		clear(c.peers)
	}
	c.peers[p.id] = now
	if told && (was.present || now.present) {
		c.in.Elsewhere(string(p.id[:]), names, n)
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
	c.hearing.Lock()
	defer c.hearing.Unlock()
	for id, p := range c.peers {
		if p.present && p.at.Before(limit) {
			c.in.Elsewhere(string(id[:]), nil, 0)
			p.present = false
			c.peers[id] = p
		}
	}
}
