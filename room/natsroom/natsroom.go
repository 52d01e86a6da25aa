// Package natsroom joins the rooms of many processes through NATS.
//
//	bridge, err := natsroom.Connect("nats://10.0.0.1,nats://10.0.0.2", natsroom.Options{})
//	hub := &room.Hub{Bridge: bridge}
//
// A process has one subscription for each of its rooms, and is not sent what it has published itself. Every process numbers the
// messages of a room by itself: all have the messages of one publisher in its order, and each its own order of them all. So a
// room.Position means nothing in another process.
//
// Core NATS delivers at most once. Each process numbers what it publishes in a room, and repeats the last number now and then:
// more and more rarely, until it publishes again. So what another one has missed, because a server of NATS or a connection
// between two of them was gone, is counted and told in the room (room.Message.Missed) once they can talk again. What is published
// while the process itself has no connection is kept, up to 8 MiB, and sent when it has one again.
package natsroom

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/switchboard-go/switchboard/room"
	"github.com/switchboard-go/switchboard/websocket"
)

// Options are those of a Bridge. Every field may be left out.
type Options struct {
	// Prefix begins the subjects: that of the room "a" is Prefix.a. Processes with different ones are strangers. Empty means
	// "room".
	Prefix string

	// Name is put behind the names of this process's members elsewhere: "ann@Name". Empty means that names are passed on as they are.
	Name string

	// Repeat is how soon after a message its number is repeated, for those who have missed it. It grows to 32 times that.
	// Zero means 2 seconds.
	Repeat time.Duration

	// Logger is told what a person should look at. Nil means slog.Default.
	Logger *slog.Logger
}

// A Bridge is a room.Bridge. Its methods may be called from any goroutine.
type Bridge struct {
	nc      *nats.Conn
	own     bool
	options Options
	id      [idSize]byte
}

const idSize = 12

// New returns a Bridge on a connection that the caller has made and closes.
func New(nc *nats.Conn, o Options) (*Bridge, error) {
	if o.Prefix == "" {
		o.Prefix = "room"
	}
	if o.Repeat == 0 {
		o.Repeat = 2 * time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if strings.ContainsAny(o.Prefix, "*> \t\r\n") || strings.HasPrefix(o.Prefix, ".") || strings.HasSuffix(o.Prefix, ".") || o.Repeat < 0 {
		return nil, fmt.Errorf("natsroom: prefix %q: it cannot begin or end a subject of NATS", o.Prefix)
	}
	b := &Bridge{nc: nc, options: o}
	rand.Read(b.id[:])
	return b, nil
}

// Connect returns a Bridge on a connection of its own to NATS servers: urls is a list with commas. It does not wait for them. A
// connection that is lost is tried again for ever, with jitter, so that processes do not all come back at once.
func Connect(urls string, o Options, more ...nats.Option) (*Bridge, error) {
	logger := o.Logger
	if logger == nil {
		logger = slog.Default()
	}
	var unreached sync.Once
	options := append([]nats.Option{
		nats.Name("switchboard rooms"),
		nats.NoEcho(),
		nats.MaxReconnects(-1),
		nats.RetryOnFailedConnect(true),
		nats.ReconnectWait(500 * time.Millisecond),
		nats.ReconnectJitter(500*time.Millisecond, 2*time.Second),
		nats.PingInterval(20 * time.Second),
		nats.ConnectHandler(func(nc *nats.Conn) { logger.Info("connected to NATS", "server", nc.ConnectedUrlRedacted()) }),
		nats.ReconnectHandler(func(nc *nats.Conn) { logger.Info("connected to NATS again", "server", nc.ConnectedUrlRedacted()) }),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) { // the first attempt that fails has no other handler
			unreached.Do(func() { logger.Warn("NATS cannot be reached, and is tried again", "error", err) })
		}),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				logger.Warn("the connection to NATS is lost, and tried again", "error", err)
			}
		}),
		nats.ErrorHandler(func(_ *nats.Conn, s *nats.Subscription, err error) {
			subject := ""
			if s != nil {
				subject = s.Subject
			}
			logger.Warn("NATS complains", "subject", subject, "error", err)
		}),
	}, more...)
	nc, err := nats.Connect(urls, options...)
	if err != nil {
		return nil, fmt.Errorf("natsroom: connecting to NATS at %s: %w", urls, err)
	}
	b, err := New(nc, o)
	if err != nil {
		nc.Close()
		return nil, err
	}
	b.own = true
	return b, nil
}

// Close sends what waits, and ends the connection if it is Connect's.
func (b *Bridge) Close() {
	if b.own {
		if b.nc.IsConnected() {
			b.nc.FlushTimeout(time.Second)
		}
		b.nc.Close()
	}
}

// Open implements room.Bridge.
func (b *Bridge) Open(name string, in room.Inlet) (room.Channel, error) {
	c := &channel{bridge: b, in: in, subject: b.options.Prefix + "." + token(name), last: map[[idSize]byte]uint64{}, closed: make(chan struct{})}
	var err error
	if c.sub, err = b.nc.Subscribe(c.subject, c.received); err != nil {
		return nil, fmt.Errorf("natsroom: subscribing to %s: %w", c.subject, err)
	}
	c.introduce()
	return c, nil
}

// token returns a room's name as a part of a subject: what NATS gives a meaning is written in hexadecimal.
func token(name string) string {
	var t strings.Builder
	for i := range len(name) {
		if c := name[i]; c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c >= 0x80 {
			t.WriteByte(c)
		} else {
			fmt.Fprintf(&t, "%%%02x", c)
		}
	}
	if t.Len() == 0 {
		return "%"
	}
	return t.String()
}

// A channel is one room.
type channel struct {
	bridge  *Bridge
	in      room.Inlet
	subject string
	sub     *nats.Subscription
	closed  chan struct{}

	mu     sync.Mutex
	number uint64 // of the last message published
	timer  *time.Timer
	pause  time.Duration
	ended  bool

	last map[[idSize]byte]uint64 // the last number of every other process; the subscription's goroutine's
}

// Publish implements room.Channel.
func (c *channel) Publish(m *room.Message) error {
	from := m.From
	if name := c.bridge.options.Name; name != "" {
		from += "@" + name
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return errors.New("natsroom: the room is closed")
	}
	c.number++
	c.pause = c.bridge.options.Repeat
	c.repeatLater()
	return c.bridge.nc.Publish(c.subject, encode(nil, packet{id: c.bridge.id, number: c.number, kind: byte(m.Kind), from: from, key: m.Key, data: m.Data}))
}

// repeatLater has the last number repeated. mu is held.
func (c *channel) repeatLater() {
	wait := c.pause + mathrand.N(c.pause/4+1)
	if c.timer == nil {
		c.timer = time.AfterFunc(wait, c.repeat)
	} else {
		c.timer.Reset(wait)
	}
}

// introduce tells the others from which number on they are to miss something, before long once more in case that nobody hears
// this.
func (c *channel) introduce() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return
	}
	c.bridge.nc.Publish(c.subject, encode(nil, packet{id: c.bridge.id, number: c.number, kind: onlyNumber}))
	c.pause = c.bridge.options.Repeat
	c.repeatLater()
}

// repeat tells the last number to those who have missed the message.
func (c *channel) repeat() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return
	}
	if c.bridge.nc.IsConnected() { // else it would wait, and be old
		c.bridge.nc.Publish(c.subject, encode(nil, packet{id: c.bridge.id, number: c.number, kind: onlyNumber}))
		c.pause = min(2*c.pause, 32*c.bridge.options.Repeat)
	}
	c.repeatLater()
}

// Close implements room.Channel.
func (c *channel) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return
	}
	c.ended = true
	close(c.closed)
	if c.timer != nil {
		c.timer.Stop()
	}
	c.sub.Unsubscribe() // an error says that the connection is closed
}

// mostProcesses is of how many other processes the numbers are known.
const mostProcesses = 10_000

// received takes what another process has sent.
func (c *channel) received(m *nats.Msg) {
	p, err := decode(m.Data)
	if err != nil {
		c.bridge.options.Logger.Warn("a stranger publishes in a room", "subject", c.subject, "error", err)
		return
	}
	if p.id == c.bridge.id {
		return
	}
	expected, known := c.last[p.id]
	if p.kind != onlyNumber {
		expected++
	}
	if known && p.number > expected {
		c.in.Missed(p.number - expected)
	}
	if known && p.number < expected { // it came before
		return
	}
	if !known { // it does not know this process either
		c.mu.Lock()
		if !c.ended {
			c.pause = c.bridge.options.Repeat
			c.repeatLater()
		}
		c.mu.Unlock()
	}
	if !known && len(c.last) >= mostProcesses {
		clear(c.last)
	}
	c.last[p.id] = p.number
	if p.kind == onlyNumber {
		return
	}
	for {
		err := c.in.Deliver(room.Message{From: p.from, Key: p.key, Kind: websocket.Kind(p.kind), Data: p.data})
		switch {
		case err == nil:
			return
		case !errors.Is(err, room.ErrBacklog):
			c.bridge.options.Logger.Warn("a message from elsewhere is not passed on", "subject", c.subject, "error", err)
			c.in.Missed(1)
			return
		}
		select { // the loops are behind; meanwhile the subscription gathers, and NATS says if it is too much
		case <-time.After(time.Millisecond):
		case <-c.closed:
			return
		}
	}
}

// A packet is what processes send each other.
type packet struct {
	id        [idSize]byte
	number    uint64 // of the process's messages in this room
	kind      byte
	from, key string
	data      []byte
}

const (
	version    = 1
	onlyNumber = 255 // the kind of a packet that repeats the last number
)

func encode(b []byte, p packet) []byte {
	b = append(append(b, version), p.id[:]...)
	b = append(binary.AppendUvarint(b, p.number), p.kind)
	b = append(binary.AppendUvarint(b, uint64(len(p.from))), p.from...)
	b = append(binary.AppendUvarint(b, uint64(len(p.key))), p.key...)
	return append(b, p.data...)
}

var errPacket = errors.New("natsroom: this is not a message of a room")

func decode(b []byte) (p packet, err error) {
	if len(b) < 1+idSize || b[0] != version {
		return p, errPacket
	}
	b = b[1+copy(p.id[:], b[1:]):]
	n := 0
	if p.number, n = binary.Uvarint(b); n <= 0 || len(b) == n {
		return p, errPacket
	}
	p.kind = b[n]
	b = b[n+1:]
	for _, field := range []*string{&p.from, &p.key} {
		size, n := binary.Uvarint(b)
		if n <= 0 || size > uint64(len(b)-n) {
			return p, errPacket
		}
		*field = string(b[n : n+int(size)])
		b = b[n+int(size):]
	}
	p.data = b
	return p, nil
}
