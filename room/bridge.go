package room

// A Bridge joins rooms with the rooms of the same names in other processes. Package natsroom has one.
type Bridge interface {
	// Open starts to deliver to in what other processes publish in a room. The messages of one publisher keep their
	// order. What this process has passed to the Channel is not delivered back. Open must not wait for the network.
	Open(room string, in Inlet) (Channel, error)
}

// A Channel sends what is published in one room of this process to the other processes.
type Channel interface {
	// Publish sends Data, From, Key and Kind of a message to the other processes. It must not wait. An error means
	// that they do not get the message; this process does.
	Publish(m *Message) error

	// Close stops sending and delivering.
	Close()
}

// An Inlet receives what other processes publish in a room. Any goroutine may call its methods.
type Inlet interface {
	// Deliver publishes a message of another process. An error means that the message was not published.
	Deliver(m Message) error

	// Missed reports that n messages of other processes are lost.
	Missed(n uint64)

	// Elsewhere tells who is in the room in another process: n members' names, of which names has some. It replaces what was told of
	// that process before. Zero n means that nobody is there, or that the process is gone.
	Elsewhere(process string, names []string, n int)
}
