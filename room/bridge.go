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

	// Close stops sending and delivering. It may wait for a call of Inlet.Deliver.
	Close()
}

// A MovingBridge is a Bridge whose rooms can move to another process (Hub.Hand) so that nothing is delivered twice, and what is
// missed meanwhile is counted.
type MovingBridge interface {
	Bridge

	// OpenMoved is Open for a room that comes from another process. state is what MovingChannel.Pause returned there. The Channel
	// begins paused: what other processes publish waits.
	OpenMoved(room string, in Inlet, state []byte) (MovingChannel, error)
}

// A MovingChannel is a Channel of a MovingBridge.
type MovingChannel interface {
	Channel

	// Pause stops delivering and returns what has been delivered. What comes meanwhile waits, until Resume or Close. It must not
	// wait, and must not call the Inlet. Nothing is published until Resume.
	Pause() (state []byte)

	// Resume delivers again.
	Resume()
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
