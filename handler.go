package switchboard

// A Handler serves one connection. Its methods run on the connection's loop, one at a time, and must not wait: what waits
// belongs in Blocking, or on a goroutine that comes back with Conn.Do or Conn.Write. One Handler may serve any number of
// connections: what differs between them has a place in Conn.SetValue.
//
// A method that panics ends its own connection with a *PanicError and nobody else's.
type Handler interface {
	// Data offers the bytes received and not yet consumed, at least one, and returns how many of them it consumed. p is
	// valid until it returns. What it leaves is offered again: at once if it consumed some (so a handler may take one
	// message a call), else together with what is received next, or after Conn.Resume.
	//
	// io.EOF ends the connection in order once what was written is sent, and becomes nil. Any other error is a failure: the
	// peer is sent what was written, and then a reset, over TLS without a close_notify. So is a count outside 0 to len(p),
	// which is ErrBadCount, and a panic. p must not be modified beyond what was consumed.
	Data(c *Conn, p []byte) (n int, err error)

	// Closed tells, exactly once, that the connection is gone: nil after an orderly end, else why. An error that is
	// ErrUnsent as well says that bytes which Write took were not sent.
	Closed(c *Conn, err error)
}

// An Opener is a Handler that is told when its connection is there, before any Data: after Server.Accept has returned it, or
// when Dial has connected, and over TLS when the handshake is done. It may write: a server that speaks first greets here. What
// was written before is sent first. An error ends the connection as one of Data does.
type Opener interface {
	Opened(c *Conn) error
}

// An InputEnder is a Handler that is told when the peer has ended its output (a half-close, or the first half of a
// close). rest is what Data left unconsumed, valid until it returns. No Data follows; what is written is still sent.
// The connection stays until Conn.Close; an error ends it as Data's does.
//
// A Handler that is not an InputEnder has its connection closed once everything written is sent: orderly if it had
// consumed everything, else with io.ErrUnexpectedEOF.
type InputEnder interface {
	InputEnded(c *Conn, rest []byte) error
}

// A Drainer is a Handler that is told when a queue that had reached Server.HighWater, or had refused a Write, is down at
// Server.LowWater; or empty, if what was refused did not fit above that. It runs once a turn at most, so a Drainer may
// write until it is refused.
type Drainer interface {
	Drained(c *Conn)
}

// A Leaver is a Handler that is told when Server.Shutdown begins, so that its protocol can say goodbye. It closes the
// connection itself, now or when its conversation is over. Connections of other handlers are closed as soon as nothing
// received waits to be consumed and nothing written waits to be sent.
type Leaver interface {
	Leaving(c *Conn)
}

// A DataFunc is a Handler that needs only the one method: an echo server's is DataFunc((*Conn).Write).
type DataFunc func(c *Conn, p []byte) (n int, err error)

// Data calls f.
func (f DataFunc) Data(c *Conn, p []byte) (int, error) { return f(c, p) }

// Closed does nothing.
func (f DataFunc) Closed(*Conn, error) {}
