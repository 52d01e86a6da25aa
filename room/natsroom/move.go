package natsroom

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/switchboard-go/switchboard/room"
)

// A movedState is what a channel says of itself to another process, as JSON: its own id, and the last number of each other process, by
// ids in hexadecimal.
type movedState struct {
	ID    string
	Heard map[string]uint64
}

// OpenMoved implements room.MovingBridge.
func (b *Bridge) OpenMoved(name string, in room.Inlet, state []byte) (room.MovingChannel, error) {
	c := b.channel(name, in)
	var s movedState
	err := json.Unmarshal(state, &s)
	if err == nil {
		c.before, err = idOf(s.ID)
	}
	for text, number := range s.Heard {
		if err != nil || len(c.peers) >= mostProcesses {
			break
		}
		var id [idSize]byte
		id, err = idOf(text)
		c.peers[id] = peer{number: number, at: time.Now()}
	}
	if err != nil {
		return nil, fmt.Errorf("natsroom: what the other process says of a room is broken: %w", err)
	}
	c.paused = true
	if err := c.begin(); err != nil {
		return nil, err
	}
	return c, nil
}

func idOf(text string) (id [idSize]byte, err error) {
	b, err := hex.DecodeString(text)
	if err == nil && len(b) != idSize {
		err = errPacket
	}
	copy(id[:], b)
	return id, err
}

// Pause implements room.MovingChannel.
func (c *channel) Pause() []byte {
	c.hearing.Lock()
	defer c.hearing.Unlock()
	c.paused = true
	s := movedState{ID: hex.EncodeToString(c.id[:]), Heard: map[string]uint64{}}
	for id, p := range c.peers {
		s.Heard[hex.EncodeToString(id[:])] = p.number
	}
	b, err := json.Marshal(s)
	if err != nil {
		panic(err) // there is nothing in it that JSON does not know
	}
	return b
}

// Resume implements room.MovingChannel.
func (c *channel) Resume() {
	c.hearing.Lock()
	defer c.hearing.Unlock()
	c.paused = false
	c.resumed.Broadcast()
}
