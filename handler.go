package switchboard

import (
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"
)

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

// call runs f, which is the user's code or calls it, for c, and tells whether f returned. Every call into the user's code
// goes through here, so that a panic ends there and the loop's own code never sees one: it ends c, and nobody else. After
// runtime.Goexit, which nothing can stop, the goroutine's frames are left and the loop goes on on another one; c ends then too.
func (l *loop) call(c *Conn, f func()) (ok bool) {
	before := l.current.Swap(c)
	if l.times != nil && before == nil && l.times.due() {
		defer l.times.called(l.kernel, l.kernel.Now())
	}
	defer func() {
		if !ok {
			c.handlerPanicked(recover())
		}
		l.current.Store(before)
	}()
	f()
	return true
}

// checkLoop panics when it is certain that the caller is not on c's loop: no code of the user's runs there. It costs one load;
// a call from elsewhere while a handler runs is not noticed. On a connection that is over nothing can go wrong.
func (c *Conn) checkLoop(method string) {
	if c.loop.current.Load() == nil && !c.loop.guarding.Load() && !c.marked(stopMark) {
		offLoop(method)
	}
}

func offLoop(method string) {
	panic("switchboard: " + method + " is called on another goroutine than the connection's loop: " +
		"call it in a method of the Handler, or in a function given to Conn.Do or Conn.After")
}

// inTurn tells whether c's handler is being called: the loop flushes after that.
func (c *Conn) inTurn() bool { return c.loop.current.Load() == c }

// handlerPanicked ends c because code of its handler's panicked with v; nil stands for runtime.Goexit.
func (c *Conn) handlerPanicked(v any) {
	l := c.loop
	if v == nil {
		v = "runtime.Goexit in a handler"
		l.exiting = true
	}
	err := l.logPanic(c, c.handler, v)
	c.mu.Lock()
	if c.out&closed == 0 {
		c.endAs(failure, err)
		c.later(0)
	}
	c.mu.Unlock()
}

// logPanic makes a PanicError of what c's handler h panicked with, and logs it.
func (l *loop) logPanic(c *Conn, h Handler, v any) *PanicError {
	err := &PanicError{v, debug.Stack()}
	l.server.logger().Error("a handler panicked", "handler", fmt.Sprintf("%T", h), "remote", c.RemoteAddr(),
		"panic", v, "stack", string(err.Stack))
	return err
}

// A watch looks at the loops now and then and warns of a handler that holds one: also of a handler that never returns, and
// at no cost for each call. What it sees at work on one connection in one turn all the time has held the loop, be it in one
// call or in a thousand. It stops looking while all loops sleep.
type watch struct {
	server *Server
	limit  time.Duration
	parked atomic.Bool
	kick   chan struct{} // a loop has woken
}

func newWatch(s *Server, limit time.Duration) *watch {
	return &watch{server: s, limit: limit, kick: make(chan struct{}, 1)}
}

// woken is called by a loop that wakes up.
func (w *watch) woken() {
	if w != nil && w.parked.Load() {
		signal(w.kick)
	}
}

// run looks until every loop is over.
func (w *watch) run() {
	type observation struct {
		turn  uint32
		c     *Conn
		since time.Time
		told  bool
	}
	seen := make([]observation, len(w.server.loops))
	tick := time.NewTicker(max(w.limit/4, time.Millisecond))
	defer tick.Stop()
	for {
		awake := false
		for i, l := range w.server.loops {
			if l.asleep.Load() || l.isDone() {
				continue
			}
			awake = true
			turn, c := l.turns.Load(), l.current.Load()
			switch now := time.Now(); {
			case c == nil || c != seen[i].c || turn != seen[i].turn:
				seen[i] = observation{turn: turn, c: c, since: now}
			case !seen[i].told && now.Sub(seen[i].since) >= w.limit:
				seen[i].told = true
				w.tell(l, c, now.Sub(seen[i].since))
			}
		}
		if !awake && w.park() {
			select {
			case <-w.kick:
			case <-w.server.ended:
				return
			}
			w.parked.Store(false)
		}
		select {
		case <-tick.C:
		case <-w.server.ended:
			return
		}
	}
}

// park announces that the watch stops looking, unless a loop has woken meanwhile.
func (w *watch) park() bool {
	w.parked.Store(true)
	for _, l := range w.server.loops {
		if !l.asleep.Load() && !l.isDone() {
			w.parked.Store(false)
			return false
		}
	}
	return true
}

func (w *watch) tell(l *loop, c *Conn, held time.Duration) {
	l.slow.Add(1)
	c.mu.Lock()
	h := c.handler
	c.mu.Unlock()
	w.server.logger().Warn("a handler holds its loop", "handler", fmt.Sprintf("%T", h), "for", held,
		"remote", c.RemoteAddr(), "loop", l.number)
	if t := w.server.trace; t != nil && t.Slow != nil {
		defer func() {
			if v := recover(); v != nil {
				l.logPanic(c, h, v)
			}
		}()
		t.Slow(c, held)
	}
}
