package natsroom

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/switchboard-go/switchboard/room"
	"github.com/switchboard-go/switchboard/websocket"
)

// LogOptions configure a Log. All fields are optional.
type LogOptions struct {
	// Replicas is the number of NATS servers that keep each message. Zero means 1.
	Replicas int

	// MaxRooms limits the number of streams. At the limit, the stream of a room that no process has open is deleted; the one with the
	// oldest last message first. If there is none, a new room cannot be opened. Zero means 10,000.
	MaxRooms int

	// Wait limits how long NewLog and opening a room wait for NATS. Zero means 10 seconds.
	Wait time.Duration

	// Heartbeat is how often JetStream tells the reader of a room that it is alive. After twice this time without a word the
	// room is read anew. Zero means 5 seconds. It must be at least half a second.
	Heartbeat time.Duration
}

// A Log is a room.Log in JetStream. It has one stream for each room. Any goroutine may call its methods.
type Log struct {
	bridge  *Bridge
	js      jetstream.JetStream
	options LogOptions
	queued  atomic.Int64 // bytes of messages that the streams do not have yet
}

const (
	// mostQueued limits the messages of all rooms that wait for JetStream, in bytes.
	mostQueued = 8 << 20

	// mostRead is how many messages of a room are read ahead, and mostReadBytes how many bytes of them.
	mostRead      = 256
	mostReadBytes = 1 << 20

	// leastKept is how many messages a stream keeps at least, for processes that lose their connection for a while.
	leastKept = 1000
)

// ErrQueueFull is the error of Publish if 8 MiB of messages wait for JetStream. The message was not published.
var ErrQueueFull = errors.New("natsroom: too much waits for JetStream")

// NewLog returns a Log on the connection of a Bridge. It waits for NATS, and returns an error if JetStream is not
// enabled there.
func NewLog(b *Bridge, o LogOptions) (*Log, error) {
	if o.Replicas == 0 {
		o.Replicas = 1
	}
	if o.MaxRooms == 0 {
		o.MaxRooms = 10_000
	}
	if o.Wait == 0 {
		o.Wait = 10 * time.Second
	}
	if o.Heartbeat == 0 {
		o.Heartbeat = 5 * time.Second
	}
	if o.Replicas < 1 || o.Replicas > 5 || o.MaxRooms < 0 || o.Wait < 0 || o.Heartbeat < 500*time.Millisecond || o.Heartbeat > 10*time.Second {
		return nil, fmt.Errorf("natsroom: 1 to 5 Replicas, a Heartbeat of 500ms to 10s, and no negative limits: %+v", o)
	}
	js, err := jetstream.New(b.nc)
	if err != nil {
		return nil, fmt.Errorf("natsroom: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), o.Wait)
	defer cancel()
	for {
		err = ask(ctx, func(ctx context.Context) error {
			_, err := js.AccountInfo(ctx)
			return err
		})
		if err == nil {
			return &Log{bridge: b, js: js, options: o}, nil
		}
		servers := strings.Join(b.nc.Servers(), ",")
		switch {
		case errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount):
			return nil, fmt.Errorf("natsroom: the NATS server at %s has no JetStream: start it with -js, or enable jetstream in its configuration, for this account too: %w", b.nc.ConnectedUrlRedacted(), err)
		case ctx.Err() != nil && !b.nc.IsConnected():
			return nil, fmt.Errorf("natsroom: no NATS server answers within %v at %s: %w", o.Wait, servers, cmp.Or(b.nc.LastError(), err))
		case ctx.Err() != nil:
			return nil, fmt.Errorf("natsroom: JetStream does not answer within %v at %s: %w", o.Wait, b.nc.ConnectedUrlRedacted(), err)
		}
		pause(ctx, 100*time.Millisecond)
	}
}

// answer is how long a request to JetStream waits. While a cluster elects a leader, nobody answers, also later.
const answer = 2 * time.Second

func ask(ctx context.Context, request func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, answer)
	defer cancel()
	return request(ctx)
}

// insist asks until there is an answer, or ctx ends.
func insist(ctx context.Context, request func(context.Context) error) error {
	for {
		if err := ask(ctx, request); err == nil || !passing(err) || !pause(ctx, 100*time.Millisecond) {
			return err
		}
	}
}

// passing tells whether an error of JetStream may be over soon: a cluster elects a leader, or another process makes the same stream.
func passing(err error) bool {
	if errors.Is(err, nats.ErrNoResponders) || errors.Is(err, nats.ErrTimeout) || errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	var api *jetstream.APIError
	if !errors.As(err, &api) {
		return false
	}
	switch api.ErrorCode {
	case jetstream.JSErrCodeStreamNameInUse, noSuitablePeers, clusterNotAvailable, clusterNotLeader:
		return true
	}
	return false
}

// Codes of JetStream's errors that nats.go has no names for.
const (
	noSuitablePeers     jetstream.ErrorCode = 10005
	clusterNotAvailable jetstream.ErrorCode = 10008
	clusterNotLeader    jetstream.ErrorCode = 10009
)

// pause waits for a time, or until ctx ends, and tells whether it did not.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// A logRoom is one room of a Log.
type logRoom struct {
	log     *Log
	name    string // of the stream
	subject string
	keeps   room.History
	in      room.LogReader
	ctx     context.Context // ends with Close
	end     context.CancelFunc

	id [idSize]byte // of this process and its membership

	// The reader's.
	stream  jetstream.Stream
	created string        // the epoch of stream
	at      room.Position // of the last message read
	next    jetstream.MessagesContext
	reader  string           // the name of the consumer of next
	ahead   uint64           // messages that waited for next at its start
	again   chan nats.Status // NATS is connected again

	mu     sync.Mutex
	number uint64              // of the last message published without an ID
	seq    uint64              // at.Seq
	moved  chan bool           // closed when seq changes; nil if nobody waits
	queue  []*draft            // that JetStream does not have, in order
	stored []*draft            // that it has, and that were not read
	drafts map[identity]*draft // those of both
	writes bool                // a goroutine empties the queue
}

// Open implements room.Log.
func (l *Log) Open(name string, most room.History, in room.LogReader) (room.Position, []*room.Message, room.LogWriter, error) {
	prefix := l.bridge.options.Prefix
	c := &logRoom{log: l, name: strings.ReplaceAll(prefix, ".", "-") + "-" + token(name), subject: prefix + "." + token(name) + ".log", keeps: most, in: in,
		drafts: map[identity]*draft{}}
	rand.Read(c.id[:])
	c.ctx, c.end = context.WithCancel(context.Background())
	ctx, cancel := context.WithTimeout(c.ctx, l.options.Wait)
	defer cancel()
	state, err := c.begin(ctx)
	var messages []*room.Message
	if err == nil {
		c.created = epochOf(c.stream)
		c.at.Epoch = c.created
		first := state.LastSeq + 1
		if most.Messages > 0 {
			first = max(state.FirstSeq, state.LastSeq+1-min(state.LastSeq, uint64(most.Messages)), 1)
		}
		c.again = l.bridge.nc.StatusChanged(nats.CONNECTED)
		c.at.Seq = first - 1
		if err = c.consume(ctx); err == nil {
			messages, err = c.history(ctx, state.LastSeq)
		}
	}
	if err != nil {
		c.Close()
		return room.Position{}, nil, nil, fmt.Errorf("natsroom: stream %s: %w", c.name, err)
	}
	c.read(c.at)
	go c.run()
	return c.at, messages, c, nil
}

// begin finds the stream, or makes it.
func (c *logRoom) begin(ctx context.Context) (jetstream.StreamState, error) {
	var s jetstream.Stream
	err := insist(ctx, func(ctx context.Context) (err error) {
		s, err = c.log.js.Stream(ctx, c.name)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			s, err = c.create(ctx)
		}
		return err
	})
	if err != nil {
		return jetstream.StreamState{}, err
	}
	if info := s.CachedInfo(); len(info.Config.Subjects) != 1 || info.Config.Subjects[0] != c.subject {
		return jetstream.StreamState{}, fmt.Errorf("it is not a stream of rooms: it has the subjects %q, not %q", info.Config.Subjects, c.subject)
	}
	c.stream = s
	return s.CachedInfo().State, nil
}

// create makes the stream. Its numbers go on from those that this process has seen.
func (c *logRoom) create(ctx context.Context) (jetstream.Stream, error) {
	n := 0
	names := c.log.js.StreamNames(ctx, jetstream.WithStreamListSubject(c.log.bridge.options.Prefix+".*.log"))
	for range names.Name() {
		n++
	}
	if err := names.Err(); err != nil {
		return nil, err
	}
	if n >= c.log.options.MaxRooms {
		if err := c.log.forgetOldest(ctx); err != nil {
			return nil, fmt.Errorf("there are %d streams of rooms already: %w", n, err)
		}
	}
	duplicates := 2 * time.Minute
	if c.keeps.Age > 0 {
		duplicates = min(duplicates, max(c.keeps.Age, 100*time.Millisecond))
	}
	config := jetstream.StreamConfig{
		Name:        c.name,
		Description: "a room of Switchboard",
		Subjects:    []string{c.subject},
		Discard:     jetstream.DiscardOld,
		MaxMsgs:     int64(max(c.keeps.Messages, leastKept)),
		MaxBytes:    -1,
		MaxAge:      c.keeps.Age,
		Duplicates:  duplicates,
		Replicas:    c.log.options.Replicas,
	}
	if c.keeps.Bytes > 0 {
		config.MaxBytes = 2 * int64(max(c.keeps.Bytes, 1<<20)) // with what a stream adds to each message
	}
	if c.at.Seq > 0 {
		config.FirstSeq = c.at.Seq + 1
	}
	return c.log.js.CreateStream(ctx, config)
}

// forgetOldest deletes the stream of a room that no process has open: the one with the oldest last message.
func (l *Log) forgetOldest(ctx context.Context) error {
	var oldest string
	var since time.Time
	streams := l.js.ListStreams(ctx, jetstream.WithStreamListSubject(l.bridge.options.Prefix+".*.log"))
	for s := range streams.Info() {
		at := s.State.LastTime
		if s.Created.After(at) {
			at = s.Created
		}
		if s.State.Consumers == 0 && (oldest == "" || at.Before(since)) {
			oldest, since = s.Config.Name, at
		}
	}
	if err := streams.Err(); err != nil {
		return err
	}
	if oldest == "" {
		return room.ErrTooManyRooms
	}
	l.bridge.options.Logger.Info("a room is forgotten: there are too many", "stream", oldest, "since", since)
	return l.js.DeleteStream(ctx, oldest)
}

// epochOf tells a stream from others that have had its name.
func epochOf(s jetstream.Stream) string {
	return strconv.FormatInt(s.CachedInfo().Created.UnixNano(), 36)
}

// consume has JetStream send what comes after c.at.
func (c *logRoom) consume(ctx context.Context) error {
	var consumer jetstream.Consumer
	err := insist(ctx, func(ctx context.Context) (err error) {
		consumer, err = c.stream.CreateConsumer(ctx, jetstream.ConsumerConfig{
			DeliverPolicy:     jetstream.DeliverByStartSequencePolicy,
			OptStartSeq:       c.at.Seq + 1,
			AckPolicy:         jetstream.AckNonePolicy,
			MaxDeliver:        1,
			InactiveThreshold: time.Minute,
			MemoryStorage:     true,
			Replicas:          1,
		})
		return err
	})
	if err != nil {
		return err
	}
	c.reader, c.ahead = consumer.CachedInfo().Name, consumer.CachedInfo().NumPending
	for len(c.again) > 0 { // it was connected again before this
		<-c.again
	}
	c.next, err = consumer.Messages(jetstream.PullMaxMessagesWithBytesLimit(mostRead, mostReadBytes), jetstream.PullHeartbeat(c.log.options.Heartbeat),
		jetstream.WithMessagesErrOnMissingHeartbeat(true))
	return err
}

// history reads the messages up to a number.
func (c *logRoom) history(ctx context.Context, last uint64) (all []*room.Message, err error) {
	if c.ahead == 0 {
		c.at.Seq = last
	}
	for c.at.Seq < last {
		m, err := c.next.Next(jetstream.NextContext(ctx))
		if err != nil {
			return nil, err
		}
		about, err := m.Metadata()
		if err != nil {
			return nil, err
		}
		if about.Sequence.Stream > last { // the others were deleted; this one comes again
			c.next.Stop()
			c.at.Seq = last
			return all, c.consume(ctx)
		}
		c.at.Seq = about.Sequence.Stream
		if message, _, err := c.decode(m, about); err == nil {
			all = append(all, &message)
		}
		if about.NumPending == 0 {
			c.at.Seq = max(c.at.Seq, last)
		}
	}
	return all, nil
}

// decode returns a message of the stream. From has the name of its process, unless that has the name of this one.
func (c *logRoom) decode(m jetstream.Msg, about *jetstream.MsgMetadata) (room.Message, packet, error) {
	p, err := decode(m.Data())
	if err != nil {
		c.log.bridge.stranger.warn(c.log.bridge.options.Logger, "a stranger publishes in a room", c.subject, err)
		return room.Message{}, p, err
	}
	message := room.Message{Data: p.data, From: p.from, Key: p.key, Kind: websocket.Kind(p.kind), Seq: about.Sequence.Stream, Time: about.Timestamp}
	if name := c.log.bridge.options.Name; name != "" {
		from, own := strings.CutSuffix(p.from, "@"+name)
		message.From, message.Remote = from, !own
	} else {
		message.Remote = p.id != c.id
	}
	return message, p, nil
}

// run reads the stream until the room is closed.
func (c *logRoom) run() {
	defer c.leave()
	told := false
	for wait := time.Duration(0); ; {
		began := time.Now()
		c.log.bridge.options.Logger.Debug("the reading of a room ends", "stream", c.name, "error", c.deliver())
		c.next.Stop()
		if time.Since(began) < time.Second {
			wait = max(wait, 50*time.Millisecond)
		}
		for {
			if c.ctx.Err() != nil || c.log.bridge.nc.IsClosed() {
				return
			}
			if wait > 0 && !pause(c.ctx, jitter(wait)) {
				return
			}
			wait = min(max(2*wait, 50*time.Millisecond), 2*time.Second)
			err := c.resume()
			if err == nil {
				break
			}
			if !told {
				told = true
				c.log.bridge.options.Logger.Warn("a room cannot be read, and is tried again", "stream", c.name, "error", err)
			}
		}
		if told {
			c.log.bridge.options.Logger.Info("a room is read again", "stream", c.name)
		}
		if told = false; time.Since(began) > 10*time.Second {
			wait = 0
		}
	}
}

// leave tells JetStream that this process does not have the room open any more. If it is not told it notices after a minute.
func (c *logRoom) leave() {
	c.end()
	if c.log.bridge.nc.IsConnected() {
		ask(context.Background(), func(ctx context.Context) error { return c.stream.DeleteConsumer(ctx, c.reader) })
	}
}

// resume reads on after the last message, in the stream of this name.
func (c *logRoom) resume() error {
	ctx, cancel := context.WithTimeout(c.ctx, c.log.options.Wait)
	defer cancel()
	state, err := c.begin(ctx)
	if err != nil {
		return err
	}
	at, created := c.at, epochOf(c.stream)
	switch {
	case created != c.created:
		at = room.Position{Epoch: created, Seq: max(state.FirstSeq, 1) - 1}
	case state.LastSeq < at.Seq: // it has lost its end, and gives these numbers to other messages
		at = room.Position{Epoch: created + "-" + rand.Text()[:8], Seq: state.LastSeq}
	case state.FirstSeq > at.Seq+1:
		at.Seq = state.FirstSeq - 1
	}
	before, was := c.at, c.created
	c.at, c.created = at, created
	if err := c.consume(ctx); err != nil {
		c.at, c.created = before, was
		return err
	}
	if at != before {
		c.in.Moved(at)
		c.read(at)
	}
	return nil
}

// deliver passes on what comes, until there is an error or messages may have been lost with a connection.
func (c *logRoom) deliver() error {
	ctx, cancel := context.WithCancel(c.ctx)
	watched := make(chan bool)
	go func() {
		defer close(watched)
		select {
		case <-c.again:
			cancel()
		case <-ctx.Done():
		}
	}()
	defer func() {
		cancel()
		<-watched
	}()
	for expected := uint64(0); ; {
		m, err := c.next.Next(jetstream.NextContext(ctx))
		if err != nil {
			return err
		}
		about, err := m.Metadata()
		if err != nil {
			return err
		}
		if expected != 0 && about.Sequence.Consumer != expected {
			return errors.New("natsroom: a message of a consumer is missing")
		}
		expected = about.Sequence.Consumer + 1
		if about.Sequence.Stream <= c.at.Seq {
			continue
		}
		message, p, err := c.decode(m, about)
		if err != nil { // it is counted as missing with the next
			c.at.Seq = about.Sequence.Stream
			c.read(c.at)
			continue
		}
		if own := c.own(p); own != nil {
			message, message.Seq, message.Time = *own, about.Sequence.Stream, about.Timestamp
		}
		for c.in.Deliver(message) == room.ErrBacklog {
			if !pause(ctx, time.Millisecond) {
				return ctx.Err()
			}
		}
		c.at.Seq = about.Sequence.Stream
		c.read(c.at)
	}
}

// own returns a message of this process that came back, or that came from another process to which its client has sent it too.
func (c *logRoom) own(p packet) *room.Message {
	c.mu.Lock()
	defer c.mu.Unlock()
	d := c.drafts[identity{p.id, p.number}]
	if d == nil {
		return nil
	}
	d.read = true
	return &d.message
}

// read notes that the stream was read as far as p.
func (c *logRoom) read(p room.Position) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seq = p.Seq
	for len(c.stored) > 0 && (c.stored[0].read || c.stored[0].seq <= c.seq) {
		c.forget(c.stored[0])
		c.stored = c.stored[1:]
	}
	if c.moved != nil {
		close(c.moved)
		c.moved = nil
	}
}

// Close implements room.LogWriter.
func (c *logRoom) Close() {
	c.end()
	if c.again != nil {
		c.log.bridge.nc.RemoveStatusListener(c.again)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, list := range [][]*draft{c.stored, c.queue} {
		for _, d := range list {
			c.forget(d)
		}
	}
	c.stored, c.queue = nil, nil
}

// Flush waits until JetStream has what was published, or until ctx ends.
func (l *Log) Flush(ctx context.Context) error {
	for l.queued.Load() > 0 {
		if !pause(ctx, 5*time.Millisecond) {
			return fmt.Errorf("natsroom: messages of %d bytes wait for JetStream: %w", l.queued.Load(), ctx.Err())
		}
	}
	return nil
}

// jitter returns a time between d and twice d.
func jitter(d time.Duration) time.Duration { return d + mathrand.N(d) }
