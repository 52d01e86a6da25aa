package room

import (
	"math/bits"
	"sync"
	"sync/atomic"
	"time"

	"github.com/switchboard-go/switchboard/websocket"
)

// A Message is what a room sends to its members. The publisher sets Data, and From, Key, Kind and ID if needed. The room
// sets the other fields. Do not modify a message, or its Data, once it is published.
type Message struct {
	Data []byte
	From string         // the name of the publisher
	Key  string         // the subject, for KeepLatest
	Kind websocket.Kind // of message for WebSockets. Zero means Text

	// ID tells a Log that two messages are one: it keeps the first. So a client that does not know whether its message was
	// taken can send it again, also to another process. Whoever knows an ID before the publisher has used it can take the
	// place of the message: make it of a secret. Members are not sent it. Empty means that the message was not sent before.
	ID string

	Room string
	Seq  uint64    // its number in the room, from 1; 0 for events
	Time time.Time // when it was published

	// The fields of events. Events have no number, are not in the history, and are never dropped.
	Presence *Presence // members that joined and left
	Missed   uint64    // number of messages of other processes that are missing before this
	Anew     *Position // the Log has lost the room and begins anew here: earlier Positions of it mean nothing
	Remote   bool      // the message came through the Bridge, or from another process through the Log

	except *Subscription // not sent to this one
}

// A message is a Message that a room has.
type message struct {
	Message
	bit  uint  // its place in the chunk
	from *peer // the process that it came from, in which a member of these rooms stayed
	size int

	mu    sync.Mutex
	forms []*Payload // encoded
}

// overhead is what a message counts for in a queue beside its data, in bytes: about what it takes.
const overhead = 64

// A Form says how messages are sent to members of one kind. Do not change or copy it once a member has it.
type Form struct {
	// Encode appends m to b in the form in which it is sent. It returns nil if members of this form do not get m. It
	// is called once for each message, on the goroutine that publishes, and must not call the room. The result is a
	// message for WebSockets, and bytes for streams.
	Encode func(b []byte, m *Message) []byte

	// Dropped appends a notice for a member that has missed n messages since its last notice. Nil means no notice.
	Dropped func(b []byte, n uint64) []byte
}

// A Payload is a message in one form. It never changes.
type Payload struct {
	Bytes []byte
	Kind  websocket.Kind

	form   *Form
	once   sync.Once
	frames *websocket.Prepared
}

// prepared returns p as WebSockets are sent it.
func (p *Payload) prepared() *websocket.Prepared {
	p.once.Do(func() {
		if p.frames == nil {
			p.frames, _ = websocket.Prepare(p.Kind, p.Bytes) // the kind is one of the two
		}
	})
	return p.frames
}

// payload returns m in form f, nil if members of that form are not sent it.
func (m *message) payload(f *Form) *Payload {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range m.forms {
		if p.form == f {
			return p.unlessNil()
		}
	}
	p := &Payload{form: f, Kind: m.kind(), Bytes: f.Encode(make([]byte, 0, len(m.Data)+overhead), &m.Message)}
	m.forms = append(m.forms, p)
	return p.unlessNil()
}

func (p *Payload) unlessNil() *Payload {
	if p.Bytes == nil {
		return nil
	}
	return p
}

func (m *Message) kind() websocket.Kind {
	if m.Kind == websocket.Binary {
		return websocket.Binary
	}
	return websocket.Text
}

// isEvent tells whether m is not a message that somebody has published.
func (m *Message) isEvent() bool { return m.Seq == 0 }

// A chunk is 64 messages of a room, one after the other. Who has some of them in a queue holds the chunk.
type chunk struct {
	messages [64]*message
	number   int           // of the room's chunks
	used     uint          // under Room.mu
	replaced atomic.Uint64 // those of whose key there is a later one
}

// A span is some messages of a chunk, a bit for each.
type span struct {
	chunk *chunk
	mask  uint64
}

// first returns the earliest message of s.
func (s *span) first() *message { return s.chunk.messages[bits.TrailingZeros64(s.mask)] }

// spans are messages in order.
type spans []span

// add puts m, which lies in c, at the end.
func (all *spans) add(c *chunk, m *message) {
	if n := len(*all); n > 0 && (*all)[n-1].chunk == c {
		(*all)[n-1].mask |= 1 << m.bit
		return
	}
	*all = append(*all, span{c, 1 << m.bit})
}

// each calls f for the messages in order, until it returns false.
func (all spans) each(f func(c *chunk, m *message) bool) {
	for _, s := range all {
		for mask := s.mask; mask != 0; mask &= mask - 1 {
			if !f(s.chunk, s.chunk.messages[bits.TrailingZeros64(mask)]) {
				return
			}
		}
	}
}

// cut takes the first message out.
func (all *spans) cut() {
	s := &(*all)[0]
	if s.mask &= s.mask - 1; s.mask == 0 {
		*s = span{}
		if *all = (*all)[1:]; len(*all) == 0 {
			*all = nil
		}
	}
}

// count returns how many messages there are.
func (all spans) count() (n int) {
	for _, s := range all {
		n += bits.OnesCount64(s.mask)
	}
	return n
}
