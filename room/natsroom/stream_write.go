package natsroom

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/switchboard-go/switchboard/room"
)

// A draft is a message of this process that has no number yet.
type draft struct {
	number  uint64
	message room.Message
	data    []byte
	seq     uint64 // in the stream, if it is known
	read    bool   // it came back
}

func (d *draft) size() int64 { return int64(len(d.data) + len(d.message.Data) + 128) }

// Publish implements room.LogWriter.
func (c *logRoom) Publish(m *room.Message) error {
	b := c.log.bridge
	from := m.From
	if b.options.Name != "" {
		from += "@" + b.options.Name
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx.Err() != nil {
		return errors.New("natsroom: the room is closed")
	}
	d := &draft{number: c.number + 1, message: *m}
	d.data = encode(nil, packet{id: c.id, number: d.number, kind: byte(m.Kind), from: from, key: m.Key, data: m.Data})
	if most := b.nc.MaxPayload(); most > 0 && int64(len(d.data))+200 > most { // with the headers
		return fmt.Errorf("natsroom: %d bytes: %w", len(m.Data), nats.ErrMaxPayload)
	}
	if n := c.log.queued.Add(d.size()); n > mostQueued {
		c.log.queued.Add(-d.size())
		return ErrQueueFull
	}
	c.number = d.number
	c.queue = append(c.queue, d)
	if !c.writes {
		c.writes = true
		go c.write()
	}
	return nil
}

// write gives JetStream what is in the queue, one message after the other: so their order is kept whatever fails.
func (c *logRoom) write() {
	told := false
	for wait := 50 * time.Millisecond; ; {
		c.mu.Lock()
		if len(c.queue) == 0 || c.ctx.Err() != nil {
			c.writes = false
			c.mu.Unlock()
			return
		}
		d := c.queue[0]
		c.mu.Unlock()
		seq, err := c.store(d)
		if err == nil {
			c.written(d, seq)
			wait, told = 50*time.Millisecond, false
			continue
		}
		if !told && c.ctx.Err() == nil {
			told = true
			c.log.bridge.options.Logger.Warn("JetStream does not take a message, which is tried again", "stream", c.name, "error", err)
		}
		pause(c.ctx, jitter(wait))
		wait = min(2*wait, 2*time.Second)
		if c.came(d) {
			c.written(d, 0)
		}
	}
}

// store gives JetStream a message.
func (c *logRoom) store(d *draft) (uint64, error) {
	ctx, cancel := context.WithTimeout(c.ctx, 5*time.Second)
	defer cancel()
	m := nats.NewMsg(c.subject)
	m.Data = d.data
	ack, err := c.log.js.PublishMsg(ctx, m, jetstream.WithMsgID(hex.EncodeToString(c.id[:])+"-"+strconv.FormatUint(d.number, 10)),
		jetstream.WithExpectStream(c.name))
	if err != nil {
		return 0, err
	}
	return ack.Sequence, nil
}

// came tells whether a message that was perhaps stored came back. It waits until all of the stream was read: JetStream
// knows duplicates for two minutes only.
func (c *logRoom) came(d *draft) bool {
	ctx, cancel := context.WithTimeout(c.ctx, c.log.options.Wait)
	defer cancel()
	s, err := c.log.js.Stream(ctx, c.name)
	if err != nil {
		return false
	}
	last := s.CachedInfo().State.LastSeq
	for {
		c.mu.Lock()
		read, seq := d.read, c.seq
		if c.moved == nil {
			c.moved = make(chan bool)
		}
		moved := c.moved
		c.mu.Unlock()
		if read || seq >= last {
			return read
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return false
		}
	}
}

// written takes a message out of the queue. seq is its number, or 0 if it came back already.
func (c *logRoom) written(d *draft, seq uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.queue) == 0 || c.queue[0] != d { // the room is closed
		return
	}
	c.queue[0] = nil
	c.queue = c.queue[1:]
	if d.read || seq <= c.seq {
		c.log.queued.Add(-d.size())
		return
	}
	d.seq = seq
	c.stored = append(c.stored, d)
}
