package websocket

// A Handler serves one WebSocket. Its methods run on the connection's loop, one at a time, and must not wait, as those of
// switchboard.Handler: what waits belongs in Blocking. One Handler may serve any number of WebSockets: what differs
// between them has a place in switchboard.Conn.SetValue.
type Handler interface {
	// Message takes a whole message. p is valid until Message returns, and may be changed. A text is valid UTF-8.
	//
	// An error closes the WebSocket: io.EOF in order, with CodeNormal; a *CloseError with its code and reason; any other
	// one with CodeInternalError, and without telling the peer more. A panic ends it with a reset.
	Message(c *Conn, kind Kind, p []byte) error

	// Closed tells, exactly once, that the connection is gone. err is nil after a closing handshake that this side began,
	// or the peer with CodeNormal, CodeGoingAway or no code. Else it is the peer's *CloseError, the *ProtocolError that
	// the peer has made, what Message returned, ErrNoClose, or what ended the connection below.
	Closed(c *Conn, err error)
}

// An Opener is a Handler that is told when the opening handshake is done, before any message. What it writes follows the
// handshake at once. An error ends the WebSocket as one of Message does.
type Opener interface {
	Opened(c *Conn) error
}

// A Receiver is a Handler that takes messages in parts as they come, however long they are: its Message is not called.
// last says that the part is the last of its message; it may be empty. A text's parts may be cut inside a character; what
// has come is valid so far. p is valid until Part returns. A compressed message is inflated as it comes, with 100 KB for each
// that is under way; what is not inflated yet waits while the connection is paused or its queue is full.
type Receiver interface {
	Part(c *Conn, kind Kind, p []byte, last bool) error
}

// A Drainer is a Handler that is told when there is room again in an output queue that was full, as a
// switchboard.Drainer is.
type Drainer interface {
	Drained(c *Conn)
}

// A Leaver is a Handler that is told when switchboard.Server.Shutdown begins, and closes the WebSocket itself, now or
// later. Other WebSockets are closed with CodeGoingAway.
type Leaver interface {
	Leaving(c *Conn)
}

// A Pinger is a Handler that is told of pings and pongs. Pings have been answered already.
type Pinger interface {
	Pinged(c *Conn, p []byte)
	Ponged(c *Conn, p []byte)
}

// A MessageFunc is a Handler that needs only the one method: an echo server's is MessageFunc((*Conn).Write).
type MessageFunc func(c *Conn, kind Kind, p []byte) error

// Message calls f.
func (f MessageFunc) Message(c *Conn, kind Kind, p []byte) error { return f(c, kind, p) }

// Closed does nothing.
func (f MessageFunc) Closed(*Conn, error) {}
