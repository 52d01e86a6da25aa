package zmtp

import "github.com/switchboard-go/switchboard/internal/buffer"

// A Message is what sockets carry: one part or more, delivered all or none. The zero value is ready for RecvMessage.
//
// RecvMessage and TryRecv fill a Message and lend it memory: its parts are valid until the Message is received into again.
// A Message must not be used by two goroutines at once.
type Message struct {
	// Parts are the parts, in order. On a ROUTER the first one is the peer's identity.
	Parts [][]byte

	// RoutingID is the peer that a SERVER has received from or sends to.
	RoutingID uint32

	// Group is the group of a RADIO and a DISH.
	Group string

	// UserID is what Options.Authenticate said of the peer, of a message that was received.
	UserID string

	memory   *buffer.Buffer // that the parts lie in, if it is the message's
	envelope []byte         // of a request: what stood before the empty part, and that, as on the wire
	from     *peer
}

// reset makes m ready to be received into.
func (m *Message) reset() {
	m.Parts, m.RoutingID, m.Group, m.UserID, m.from = m.Parts[:0], 0, "", "", nil
	if m.memory != nil {
		m.memory.B = m.memory.B[:0]
	}
}

// keep moves the parts from where they lie to memory of m's own.
func (m *Message) keep() {
	size := 0
	for _, part := range m.Parts {
		size += len(part)
	}
	m.room(size)
	for i, part := range m.Parts {
		at := len(m.memory.B)
		m.memory.B = append(m.memory.B, part...)
		m.Parts[i] = m.memory.B[at:len(m.memory.B):len(m.memory.B)]
	}
}

// room has m's memory be empty and hold size bytes.
func (m *Message) room(size int) {
	if m.memory != nil && cap(m.memory.B) < size {
		buffer.Put(m.memory)
		m.memory = nil
	}
	if m.memory == nil {
		m.memory = buffer.Get(size)
	}
	m.memory.B = m.memory.B[:0]
}

// own has m's memory be b, which its parts lie in.
func (m *Message) own(b *buffer.Buffer) {
	if m.memory != nil {
		buffer.Put(m.memory)
	}
	m.memory = b
}

// RemoteAddr returns the address of the peer that a received message came from, "" if there is none.
func (m *Message) RemoteAddr() string {
	if m.from == nil {
		return ""
	}
	return m.from.address()
}
