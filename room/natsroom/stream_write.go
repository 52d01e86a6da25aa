package natsroom

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
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
	identity
	message room.Message
	data    []byte
	seq     uint64 // in the stream, if it is known
	read    bool   // it came back
}

func (d *draft) size() int64 { return int64(len(d.data) + len(d.message.Data) + 256) }

// An identity tells a message of a stream from all others: it is that of Message.ID, or a number of this process.
type identity struct {
	id     [idSize]byte
	number uint64
}

func identityOf(id string) (i identity) {
	sum := sha256.Sum256([]byte(id))
	i.number = binary.BigEndian.Uint64(sum[copy(i.id[:], sum[:]):])
	return i
}

// String returns the Nats-Msg-Id. JetStream takes one message of it in the stream's window for duplicates.
func (i identity) String() string {
	return hex.EncodeToString(i.id[:]) + "-" + strconv.FormatUint(i.number, 10)
}

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
	d := &draft{identity: identity{c.id, c.number + 1}, message: *m}
	if m.ID != "" {
		d.identity = identityOf(m.ID)
	}
	if c.drafts[d.identity] != nil {
		return nil // it is under way
	}
	d.data = encode(nil, packet{id: d.id, number: d.number, kind: byte(m.Kind), from: from, key: m.Key, data: m.Data})
	if most := b.nc.MaxPayload(); most > 0 && int64(len(d.data))+200 > most { // with the headers
		return fmt.Errorf("natsroom: %d bytes: %w", len(m.Data), nats.ErrMaxPayload)
	}
	if n := c.log.queued.Add(d.size()); n > mostQueued {
		c.log.queued.Add(-d.size())
		return ErrQueueFull
	}
	if m.ID == "" {
		c.number = d.number
	}
	c.drafts[d.identity] = d
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
		read := d.read
		c.mu.Unlock()
		if read { // another process has stored it
			c.written(d, 0)
			continue
		}
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
		wait = min(2*wait, time.Second)
		if c.came(d) {
			c.written(d, 0)
		}
	}
}

// store gives JetStream a message. Without a connection it does not: nats.go would send the message as soon as there is one, before
// this process knows whether another one has stored it.
func (c *logRoom) store(d *draft) (uint64, error) {
	if !c.log.bridge.nc.IsConnected() {
		return 0, nats.ErrDisconnected
	}
	ctx, cancel := context.WithTimeout(c.ctx, answer)
	defer cancel()
	m := nats.NewMsg(c.subject)
	m.Data = d.data
	ack, err := c.log.js.PublishMsg(ctx, m, jetstream.WithMsgID(d.String()), jetstream.WithExpectStream(c.name))
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
	var s jetstream.Stream
	err := ask(ctx, func(ctx context.Context) (err error) {
		s, err = c.log.js.Stream(ctx, c.name)
		return err
	})
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
		c.forget(d)
		return
	}
	d.seq = seq
	c.stored = append(c.stored, d)
}

// forget counts out a message that is taken out of the lists. mu is held.
func (c *logRoom) forget(d *draft) {
	delete(c.drafts, d.identity)
	c.log.queued.Add(-d.size())
}
