package switchboard

import (
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"
)

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
	err := l.logPanic(c, v)
	c.mu.Lock()
	if c.out&closed == 0 {
		c.endAs(failure, err)
		c.later(0)
	}
	c.mu.Unlock()
}

// logPanic makes a PanicError of what a handler panicked with, and logs it.
func (l *loop) logPanic(c *Conn, v any) *PanicError {
	err := &PanicError{v, debug.Stack()}
	l.server.logger().Error("a handler panicked", "handler", fmt.Sprintf("%T", c.handler), "remote", c.RemoteAddr(),
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
				l.logPanic(c, v)
			}
		}()
		t.Slow(c, held)
	}
}
