package room

// A Store keeps what rooms remember. FileStore is one.
type Store interface {
	// Load returns what a room has published, the last messages first to last, the number of the last one, and the room's epoch;
	// "" if it knows nothing of it.
	Load(room string, most History) (epoch string, last uint64, messages []*Message, err error)

	// Begin tells the epoch of a room that Load knows nothing of.
	Begin(room, epoch string) error

	// Append keeps a message before it is sent to anybody. It is called for one message of a room after the other.
	Append(m *Message) error

	// Forget is called when a room is forgotten.
	Forget(room string)
}
