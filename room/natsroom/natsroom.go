// Package natsroom joins the rooms of several processes through NATS.
//
//	bridge, err := natsroom.Connect("nats://10.0.0.1,nats://10.0.0.2", natsroom.Options{})
//	hub := &room.Hub{Bridge: bridge}
//
// A process has one NATS subscription for each of its rooms. It does not receive its own messages.
//
// Every process numbers the messages of a room by itself. In every process the messages of one publisher keep their
// order, but the order of different publishers may differ. So a room.Position is only valid in the process that it
// comes from.
//
// Core NATS delivers a message at most once. To detect losses, each process numbers what it publishes in a room, and
// repeats the last number after a while, at growing intervals, until it publishes again. If a server of NATS or a
// connection between two of them fails, the other processes count the messages that they missed and report them in
// the room (room.Message.Missed) after NATS is connected again. Messages that a process publishes while it has no
// connection are kept, up to 8 MiB, and sent when it is connected again.
package natsroom

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	mathrand "math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/switchboard-go/switchboard/room"
	"github.com/switchboard-go/switchboard/websocket"
)

// Options configure a Bridge. All fields are optional.
type Options struct {
	// Prefix is the start of the NATS subjects: the subject of room "a" is Prefix.a. Processes with different
	// prefixes do not share rooms. Empty means "room".
	Prefix string

	// Name is added to the names of this process's members in other processes: "ann@Name". Empty means that names are
	// not changed.
	Name string

	// Repeat is the time after a message at which its number is repeated, for processes that missed it. It grows to
	// 8 times that. A process that says nothing for 32 times this has nobody in the room. Zero means 2 seconds.
	Repeat time.Duration

	// Logger receives warnings and errors. Nil means slog.Default.
	Logger *slog.Logger
}

// A Bridge is a room.Bridge on a connection to NATS. Any goroutine may call its methods.
type Bridge struct {
	nc      *nats.Conn
	own     bool
	options Options

	stranger, refused warning

	mu   sync.Mutex
	open map[*channel]bool
}

// A warning is logged once in a while, however often it is given: others say what it is about.
type warning struct {
	count atomic.Int64
	next  atomic.Int64 // time in nanoseconds
}

const warningPause = 10 * time.Second

func (w *warning) warn(log *slog.Logger, text, subject string, err error) {
	w.count.Add(1)
	now, next := time.Now().UnixNano(), w.next.Load()
	if now >= next && w.next.CompareAndSwap(next, now+int64(warningPause)) {
		log.Warn(text, "subject", subject, "error", err, "messages", w.count.Swap(0))
	}
}

const idSize = 12

// New returns a Bridge on a connection of the caller, who closes it.
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
	return &Bridge{nc: nc, options: o, open: map[*channel]bool{}}, nil
}

// Connect returns a Bridge with its own connection to NATS. urls is a comma-separated list of servers. Connect does
// not wait for a connection. It connects again whenever the connection is lost, without end, after random delays, so
// that processes do not all reconnect at once.
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

// Close leaves all rooms and sends the remaining messages. It also closes the connection if Connect made it.
func (b *Bridge) Close() {
	b.mu.Lock()
	open := slices.Collect(maps.Keys(b.open))
	b.mu.Unlock()
	for _, c := range open {
		c.Close()
	}
	if b.own {
		if b.nc.IsConnected() {
			b.nc.FlushTimeout(time.Second)
		}
		b.nc.Close()
	}
}

// Open implements room.Bridge.
func (b *Bridge) Open(name string, in room.Inlet) (room.Channel, error) {
	c := b.channel(name, in)
	if err := c.begin(); err != nil {
		return nil, err
	}
	return c, nil
}

// channel returns a channel that is not open yet.
func (b *Bridge) channel(name string, in room.Inlet) *channel {
	c := &channel{bridge: b, in: in, subject: b.options.Prefix + "." + token(name), peers: map[[idSize]byte]peer{}, closed: make(chan struct{})}
	c.resumed = sync.NewCond(&c.hearing)
	rand.Read(c.id[:])
	return c
}

// begin opens it.
func (c *channel) begin() (err error) {
	b := c.bridge
	if c.sub, err = b.nc.Subscribe(c.subject, c.received); err != nil {
		return fmt.Errorf("natsroom: subscribing to %s: %w", c.subject, err)
	}
	b.mu.Lock()
	b.open[c] = true
	b.mu.Unlock()
	c.introduce()
	return nil
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
	id      [idSize]byte // of this process, while it has the room
	sub     *nats.Subscription
	closed  chan struct{}

	mu     sync.Mutex
	number uint64 // of the last message published
	timer  *time.Timer
	pause  time.Duration
	ended  bool
	here   []byte // who is here, as the others are told

	hearing sync.Mutex
	resumed *sync.Cond
	paused  bool
	before  [idSize]byte // of the process from which the room has moved here
	peers   map[[idSize]byte]peer

	delivering sync.Mutex // while a packet is delivered
	telling    sync.Mutex // while Inlet.Elsewhere is called
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
	c.repeatIn(c.pause)
	return c.bridge.nc.Publish(c.subject, encode(nil, packet{id: c.id, number: c.number, kind: byte(m.Kind), from: from, key: m.Key, data: m.Data}))
}

// repeatIn has the last number, and who is here, told in about that time. mu is held.
func (c *channel) repeatIn(wait time.Duration) {
	wait += mathrand.N(wait/4 + 1)
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
	c.introduceNow()
	c.pause = c.bridge.options.Repeat
	c.repeatIn(c.pause)
}

// introduceNow tells the last number, and who is here. mu is held.
func (c *channel) introduceNow() {
	c.bridge.nc.Publish(c.subject, encode(nil, packet{id: c.id, number: c.number, kind: onlyNumber, from: c.bridge.options.Name, data: c.here}))
}

// repeat tells the last number to those who have missed the message, and forgets processes that do not do this.
func (c *channel) repeat() {
	c.forgetSilent()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return
	}
	if c.bridge.nc.IsConnected() { // else it would wait, and be old
		c.introduceNow()
		c.pause = min(2*c.pause, mostRepeats*c.bridge.options.Repeat)
	}
	c.repeatIn(c.pause)
}

// Close implements room.Channel. It waits until the message that is being delivered is, or is told to be missing.
func (c *channel) Close() {
	c.close()
	c.delivering.Lock()
	defer c.delivering.Unlock()
}

func (c *channel) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return
	}
	c.ended = true
	c.hearing.Lock()
	close(c.closed)
	c.resumed.Broadcast()
	c.hearing.Unlock()
	if c.timer != nil {
		c.timer.Stop()
	}
	c.sub.Unsubscribe() // an error says that the connection is closed
	if c.here != nil && c.bridge.nc.IsConnected() {
		c.here = encodeAttendance(nil, 0)
		c.introduceNow()
	}
	c.bridge.mu.Lock()
	delete(c.bridge.open, c)
	c.bridge.mu.Unlock()
}

// received takes what another process has sent.
func (c *channel) received(m *nats.Msg) {
	p, err := decode(m.Data)
	var here attendance
	if err == nil {
		here, err = attendanceOf(p)
	}
	if p.number > mostNumber {
		err = errPacket
	}
	if err != nil {
		c.bridge.stranger.warn(c.bridge.options.Logger, "a stranger publishes in a room", c.subject, err)
		return
	}
	c.delivering.Lock()
	defer c.delivering.Unlock()
	was, known, gone, fresh := c.hear(p, here)
	if !fresh {
		return
	}
	if expected := was.number + counted(p); known && p.number > expected {
		c.in.Missed(p.number - expected)
	}
	if !known { // it does not know this process either
		c.mu.Lock()
		if !c.ended {
			c.pause = c.bridge.options.Repeat
			c.repeatIn(c.pause / 8)
		}
		c.mu.Unlock()
	}
	c.tellWho(p, here, was, gone)
	if p.kind == onlyNumber {
		return
	}
	for {
		err := c.in.Deliver(room.Message{From: p.from, Key: p.key, Kind: websocket.Kind(p.kind), Data: p.data})
		switch {
		case err == nil:
			return
		case !errors.Is(err, room.ErrBacklog):
			c.bridge.refused.warn(c.bridge.options.Logger, "a message from elsewhere is not passed on", c.subject, err)
			c.in.Missed(1)
			return
		}
		select { // the loops are behind; meanwhile the subscription gathers, and NATS says if it is too much
		case <-time.After(time.Millisecond):
		case <-c.closed:
			c.in.Missed(1)
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
	// mostNumber is the highest number of a message: nobody publishes as many, and they can be counted without an overflow.
	mostNumber = 1 << 48

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
