package room

// A Bridge joins rooms with those of the same names in other processes. Package natsroom has one.
type Bridge interface {
	// Open begins to pass on what is published in a room elsewhere to in, in the order of each publisher, and without what
	// this process has passed to the Channel. It must not wait for the network.
	Open(room string, in Inlet) (Channel, error)
}

// A Channel takes what is published here in one room.
type Channel interface {
	// Publish sends data, From, Key and Kind of a message to the others. It must not wait. An error says that they will not
	// get it; it has no effect here.
	Publish(m *Message) error

	// Close ends the passing on.
	Close()
}

// An Inlet is told what happens in a room elsewhere. Any goroutine may call its methods.
type Inlet interface {
	// Deliver publishes a message from elsewhere. An error says that it was not taken.
	Deliver(m Message) error

	// Missed says that n messages from elsewhere are lost.
	Missed(n uint64)
}
