package switchboard

// A Handler serves a connection. Its methods run on the loop of the connection, one at a time, and must not wait: code
// that waits belongs in Blocking, or on a goroutine that comes back with Conn.Do or Conn.Write. One Handler may serve any
// number of connections. It can store what differs between them with Conn.SetValue.
//
// A Handler can have further methods, which are called if they are there: those of Opener, InputEnder, Drainer and Leaver.
//
// If a method panics, its connection ends with a *PanicError. Other connections are not affected.
type Handler interface {
	// Data is called with received bytes, at least one, and returns how many of them it has consumed. Bytes that it does not
	// consume are offered again: at once if it has consumed some, so that it may consume one message in each call; otherwise
	// when more bytes have arrived, or after Conn.Resume. p is valid until Data returns. Data may append to p, but must not
	// modify bytes that it does not consume.
	//
	// The error io.EOF ends the connection in order, as Conn.Close does. Any other error is a failure: output that was
	// written is sent, then the peer gets a reset; over TLS it gets no close_notify. A panic is a failure, and so is n
	// outside 0 to len(p), which is ErrBadCount.
	Data(c *Conn, p []byte) (n int, err error)

	// Closed is called exactly once, when the connection has ended. err is nil after an orderly end, otherwise the reason. If
	// err is ErrUnsent (errors.Is), bytes that Write had taken were not sent.
	Closed(c *Conn, err error)
}

// An Opener is a Handler whose Opened method is called when the connection is open, before any Data: after Server.Accept
// has returned, or when Dial has connected; over TLS after the handshake. It may write, so that a server can speak first.
// Bytes that were written earlier are sent before. An error ends the connection as an error of Data does.
type Opener interface {
	Opened(c *Conn) error
}

// An InputEnder is a Handler whose InputEnded method is called when the peer has ended its output (a half-close, or the
// first half of a close). rest is what Data did not consume, valid until InputEnded returns. No Data follows. Output can
// still be written and is sent. The connection stays open until Conn.Close, or until InputEnded returns an error, which
// ends it as an error of Data does.
//
// Without this method the connection ends when all its output is sent and it is not held: in order if everything was
// consumed, otherwise with io.ErrUnexpectedEOF.
type InputEnder interface {
	InputEnded(c *Conn, rest []byte) error
}

// A Drainer is a Handler whose Drained method is called when there is room in the output queue again. It follows a queue
// that reached Server.HighWater, or a Write that returned ErrQueueFull, and comes when the queue has drained to
// Server.LowWater, or is empty if the refused bytes would not have fitted above that. It is called at most once in a turn
// of the loop, so Drained may write until Conn.Full.
type Drainer interface {
	Drained(c *Conn)
}

// A Leaver is a Handler whose Leaving method is called when Server.Shutdown begins, so that its protocol can say goodbye.
// The Leaver must close the connection, now or later; what is still open when the context of Shutdown ends is aborted.
// Without this method Shutdown closes a connection when all its input is consumed, all its output is sent and it is not
// held.
type Leaver interface {
	Leaving(c *Conn)
}

// A DataFunc is a Handler that consists of one function. DataFunc((*Conn).Write) is an echo server.
type DataFunc func(c *Conn, p []byte) (n int, err error)

// Data calls f.
func (f DataFunc) Data(c *Conn, p []byte) (int, error) { return f(c, p) }

// Closed does nothing.
func (f DataFunc) Closed(*Conn, error) {}
