package zmtp

import "github.com/switchboard-go/switchboard/internal/buffer"

// A Message is what sockets send and receive: one or more parts, which are delivered together or not at all. The zero
// value is ready for RecvMessage. Only one goroutine at a time may use a Message.
//
// RecvMessage and TryRecv fill a Message and own its memory: the parts are valid until the next message is received
// into it.
type Message struct {
	// Parts are the parts in order. The first part of a message of a ROUTER is the identity of the peer.
	Parts [][]byte

	// RoutingID is the peer of a SERVER that a message comes from or goes to.
	RoutingID uint32

	// Group is the group of a message of RADIO or DISH.
	Group string

	// UserID is the result of Options.Authenticate for the peer of a received message.
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

// RemoteAddr returns the address of the peer of a received message, "" if it has none.
func (m *Message) RemoteAddr() string {
	if m.from == nil {
		return ""
	}
	return m.from.address()
}
