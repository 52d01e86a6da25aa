package room

// A Store keeps the history of rooms. FileStore is one. Any goroutine may call its methods.
type Store interface {
	// Load returns the epoch of a room, the number of its last message, and its last messages in order, within the
	// limits of most. For an unknown room epoch is "".
	Load(room string, most History) (epoch string, last uint64, messages []*Message, err error)

	// Begin sets the epoch of a room that Load did not know.
	Begin(room, epoch string) error

	// Append stores a message. It is called before the message is sent to any member, for one message of a room at a
	// time.
	Append(m *Message) error

	// Forget is called when the Hub forgets a room.
	Forget(room string)
}
