package websocket

// A Handler serves a WebSocket. Its methods run on the connection's loop, one at a time. They must not wait, like
// those of a switchboard.Handler: use Blocking for code that waits. One Handler may serve any number of WebSockets:
// switchboard.Conn.SetValue keeps a value for each.
type Handler interface {
	// Message receives a whole message. p is valid until Message returns, and may be modified. A Text is valid UTF-8.
	//
	// An error closes the WebSocket: io.EOF with CodeNormal, a *CloseError with its code and reason, any other one
	// with CodeInternalError and without a reason. A panic resets the connection.
	Message(c *Conn, kind Kind, p []byte) error

	// Closed is called exactly once, when the connection has ended. err is nil after a closing handshake that this
	// side started, or the peer with CodeNormal, CodeGoingAway or no code. Otherwise err is the peer's *CloseError, a
	// *ProtocolError about the peer, the error of Message, ErrNoClose, or the error of the underlying connection.
	Closed(c *Conn, err error)
}

// An Opener is a Handler whose Opened is called when the opening handshake is complete, before any message. An error
// acts like one of Message.
type Opener interface {
	Opened(c *Conn) error
}

// A Receiver is a Handler that receives messages in parts, of any length, as they arrive. Its Message is not called.
// last is set for the last part of a message, which may be empty. A part of a text may end inside a character; what
// has arrived is valid UTF-8 otherwise. p is valid until Part returns. A compressed message is decompressed as it
// arrives, with 70 KB of memory while it is under way. What is not decompressed yet waits while the connection is
// paused or its queue is full.
type Receiver interface {
	Part(c *Conn, kind Kind, p []byte, last bool) error
}

// A Drainer is a Handler whose Drained is called when a full output queue has room again, as that of a
// switchboard.Drainer.
type Drainer interface {
	Drained(c *Conn)
}

// A Leaver is a Handler whose Leaving is called when switchboard.Server.Shutdown begins. It closes the WebSocket
// itself, then or later. Other WebSockets are closed with CodeGoingAway.
type Leaver interface {
	Leaving(c *Conn)
}

// A Pinger is a Handler whose methods are called for pings and pongs. p is valid until they return. Pings are
// answered before Pinged is called.
type Pinger interface {
	Pinged(c *Conn, p []byte)
	Ponged(c *Conn, p []byte)
}

// A MessageFunc is a Handler with only a Message method. MessageFunc((*Conn).Write) is an echo server.
type MessageFunc func(c *Conn, kind Kind, p []byte) error

// Message calls f.
func (f MessageFunc) Message(c *Conn, kind Kind, p []byte) error { return f(c, kind, p) }

// Closed does nothing.
func (f MessageFunc) Closed(*Conn, error) {}
