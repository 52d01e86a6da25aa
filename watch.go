package switchboard

import (
	"fmt"
	"sync/atomic"
	"time"
)

// A watch looks at the loops now and then and warns of a handler that holds one: also of a handler that never returns, and
// at no cost for each call. What it sees at work on one connection in one turn all the time has held the loop, be it in one
// call or in a thousand. It stops looking while all loops sleep.
type watch struct {
	server *Server
	limit  time.Duration
	parked atomic.Bool
	kick   chan struct{} // a loop has woken, or the server is over
}

func newWatch(s *Server, limit time.Duration) *watch {
	return &watch{server: s, limit: limit, kick: make(chan struct{}, 1)}
}

// woken is called by a loop that wakes up.
func (w *watch) woken() {
	if w != nil && w.parked.Load() {
		token(w.kick)
	}
}

// run looks until every loop is over.
func (w *watch) run() {
	type sight struct {
		turn  uint32
		c     *Conn
		since time.Time
		told  bool
	}
	seen := make([]sight, len(w.server.loops))
	tick := time.NewTicker(max(w.limit/4, time.Millisecond))
	defer tick.Stop()
	for {
		alive, awake := false, false
		for i, l := range w.server.loops {
			select {
			case <-l.done:
				continue
			default:
				alive = true
			}
			if l.asleep.Load() {
				continue
			}
			awake = true
			turn, c := l.turns.Load(), l.current.Load()
			switch now := time.Now(); {
			case c == nil || c != seen[i].c || turn != seen[i].turn:
				seen[i] = sight{turn: turn, c: c, since: now}
			case !seen[i].told && now.Sub(seen[i].since) >= w.limit:
				seen[i].told = true
				w.tell(l, c, now.Sub(seen[i].since))
			}
		}
		if !alive {
			return
		}
		if !awake && w.park() {
			<-w.kick
			w.parked.Store(false)
		}
		<-tick.C
	}
}

// park announces that the watch stops looking, unless a loop has woken meanwhile.
func (w *watch) park() bool {
	w.parked.Store(true)
	for _, l := range w.server.loops {
		if !l.asleep.Load() {
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
	w.server.trace.slow(c, held)
}
