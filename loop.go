package switchboard

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/switchboard-go/switchboard/internal/wheel"
)

// A loop serves its connections on one goroutine, turn after turn: what other goroutines asked for, what is owed to
// connections, timers, and then what the engine brings.
type loop struct {
	server *Server
	number int
	limits *limits
	engine engine
	why    string // it is this one, if it was not named
	start  time.Time

	// The turn's.
	tick      int64   // milliseconds since start when the engine last waited no longer
	list      []*Conn // connections that are owed something
	due       fifo[*Conn]
	tasks     fifo[task]
	told      fifo[*Conn]
	expired   fifo[expirer]
	spares    []*inflow // kernel pipes for the next Pipe that is fast
	conns     table
	deadlines wheel.Wheel // of connections
	timers    wheel.Wheel // of After, and of listeners
	shakes    handshakes
	count     Stats
	lent      bool  // goroutines were set going, which may need the loop's processor
	rested    int64 // the tick of the last turn that left it to others

	// Of its TLS connections, for as long as one is dealt with.
	plain  []byte // decrypted
	gather []byte // to be encrypted
	cipher []byte // encrypted

	// Anybody's.
	mu      sync.Mutex
	given   []task  // by Do and the server
	posted  []*Conn // connections to look at
	ended   bool    // takes no more
	asleep  atomic.Bool
	active  atomic.Int64         // connections
	sent    atomic.Int64         // bytes that left from other goroutines
	current atomic.Pointer[Conn] // whose handler is being called
	turns   atomic.Uint32        // told apart for the watch
	slow    atomic.Int64         // calls that the watch has told of
	shown   Stats                // what it had counted when its last turn was over
	done    chan struct{}
}

// A task is a function to run on the loop, for a connection unless c is nil.
type task struct {
	c *Conn
	f func()
}

// An expirer is told when its timer has fired.
type expirer interface{ expire() }

func newLoop(s *Server, number int, lim *limits) (*loop, error) {
	l := &loop{server: s, number: number, limits: lim, start: time.Now(), done: make(chan struct{})}
	var err error
	l.engine, l.why, err = newEngine(l, lim.Engine)
	l.shakes.most, l.shakes.best = lim.Handshakes, max(1, runtime.GOMAXPROCS(0)/lim.Loops)
	return l, err
}

// clock returns the time in ticks: milliseconds. Any goroutine may call it.
func (l *loop) clock() int64 { return int64(time.Since(l.start) / time.Millisecond) }

func (l *loop) run() {
	over := false
	defer func() {
		if !over { // a handler called runtime.Goexit, which does not end before this returns: the loop goes on, on its thread
			l.run()
		}
	}()
	for l.turn() {
	}
	over = true
	l.closeSpares()
	l.engine.close()
	close(l.done)
}

// turn does one turn and tells whether there is to be another. A panic of a handler ends the turn early; what was left
// of it is done in the next.
func (l *loop) turn() (more bool) {
	defer l.recoverHandler(&more)
	l.shakeHands()
	l.takeGiven()
	l.workOff()
	l.advance()
	if l.isEnded() {
		return false
	}
	if err := l.engine.wait(l.patience()); err != nil {
		l.server.logger().Error("the event loop's engine failed", "engine", l.engine.name(), "loop", l.number, "error", err)
		time.Sleep(time.Millisecond) // it may pass (out of memory), and must not spin until then
	}
	return true
}

// takeGiven does what other goroutines asked for.
func (l *loop) takeGiven() {
	l.mu.Lock()
	if l.told.refill(&l.posted) { // a connection begins before the tasks that it was given
		l.tasks.refill(&l.given)
	}
	l.mu.Unlock()
	for c, ok := l.told.next(); ok; c, ok = l.told.next() {
		switch {
		case c.state != stateNew:
			c.flush()
		case c.flags&dialled != 0:
			c.beginDial()
		default:
			c.open()
		}
	}
	for t, ok := l.tasks.next(); ok; t, ok = l.tasks.next() {
		switch {
		case t.c == nil:
			t.f()
		case t.c.state != stateGone:
			l.begin(t.c)
			t.f()
			l.end(t.c)
		}
	}
}

// workOff does what the loop owes to connections. What is added meanwhile waits for the next turn, so that nobody can
// keep the loop here.
func (l *loop) workOff() {
	l.due.refill(&l.list)
	for c, ok := l.due.next(); ok; c, ok = l.due.next() {
		what := c.todo
		c.todo = 0
		if h, ok := c.handler.(Drainer); ok && what&todoDrain != 0 && c.state == stateOpen {
			l.begin(c)
			h.Drained(c)
			l.end(c)
		}
		if what&todoOffer != 0 && c.state == stateOpen && !c.stopped() {
			if c.in != nil {
				c.offer(c.in.B)
			} else {
				c.afterOffer()
			}
		}
		if what&todoLeave != 0 && c.state == stateOpen {
			c.leave()
		}
		c.flush()
	}
}

// advance wakes whose time has come.
func (l *loop) advance() {
	// Who is woken may stop the timers of others: first all that are due are collected, then each is looked at.
	if l.deadlines.Len() > 0 {
		l.deadlines.Advance(l.tick, func(t *wheel.Timer) { l.expire((*Conn)(unsafe.Pointer(t))) })
	}
	if l.timers.Len() > 0 {
		l.timers.Advance(l.tick, func(entry *wheel.Timer) {
			t := (*Timer)(unsafe.Pointer(entry))
			t.due = true
			l.expire(t)
		})
	}
	for e, ok := l.expired.next(); ok; e, ok = l.expired.next() {
		e.expire()
	}
}

func (l *loop) expire(e expirer) { l.expired.items = append(l.expired.items, e) }

// A fifo is worked off from the front. A panic in between leaves the rest in it, and its memory is used again.
type fifo[T any] struct {
	items []T
	at    int
}

// refill takes over what *from holds if nothing is left, and leaves there an empty slice to fill. It tells whether it did.
func (q *fifo[T]) refill(from *[]T) bool {
	if q.at < len(q.items) {
		return false
	}
	clear(q.items)
	q.items, *from, q.at = *from, q.items[:0], 0
	return true
}

func (q *fifo[T]) next() (v T, ok bool) {
	if q.at == len(q.items) {
		clear(q.items)
		q.items, q.at = q.items[:0], 0
		return v, false
	}
	v = q.items[q.at]
	q.at++
	return v, true
}

// patience returns how long the engine may wait, and announces that the loop sleeps if that is any time at all.
func (l *loop) patience() time.Duration {
	l.asleep.Store(true)
	l.mu.Lock()
	step := l.shakes.within()
	busy := len(l.given)+len(l.posted)+len(l.list) > 0 || l.left() || step == 0
	l.shown = l.count
	l.mu.Unlock()
	if busy {
		l.asleep.Store(false)
		return 0
	}
	next, ok := l.deadlines.Next()
	if first, any := l.timers.Next(); any && (!ok || first < next) {
		next, ok = first, true
	}
	if !ok {
		return step
	}
	wait := max(0, time.Duration(next)*time.Millisecond-time.Since(l.start))
	if step > 0 {
		return min(wait, step)
	}
	return wait
}

// rest leaves the processor to other goroutines if there are some that the loop has set going, or after so many
// milliseconds anyhow: a loop that always finds something to do would keep them, and the program's timers, waiting for
// the ten milliseconds after which the scheduler interrupts it.
func (l *loop) rest(after int64) {
	if l.lent || l.tick >= l.rested+after {
		l.lent, l.rested = false, l.tick
		runtime.Gosched()
	}
}

// left tells whether a panic has left something for the next turn.
func (l *loop) left() bool {
	return len(l.due.items)+len(l.tasks.items)+len(l.told.items)+len(l.expired.items) > 0
}

// woken is called by the engine as soon as it waits no longer.
func (l *loop) woken() {
	l.turns.Add(1)
	l.asleep.Store(false)
	l.server.watch.woken()
	l.tick = l.clock()
}

// give has the loop run t, and tells whether it will. Any goroutine may call it.
func (l *loop) give(t task) bool {
	l.mu.Lock()
	if l.ended {
		l.mu.Unlock()
		return false
	}
	l.given = append(l.given, t)
	l.mu.Unlock()
	l.rouse()
	return true
}

// adopt gives the loop a new connection, and tells whether it takes it. Any goroutine may call it.
func (l *loop) adopt(c *Conn) bool {
	l.mu.Lock()
	if l.ended {
		l.mu.Unlock()
		l.active.Add(-1)
		return false
	}
	l.posted = append(l.posted, c)
	l.mu.Unlock()
	l.rouse()
	return true
}

// post has the loop look at c. Any goroutine may call it.
func (l *loop) post(c *Conn) {
	l.mu.Lock()
	l.posted = append(l.posted, c)
	l.mu.Unlock()
	l.rouse()
}

func (l *loop) rouse() {
	if l.asleep.Load() {
		l.engine.wake()
	}
}

// stop has the loop end when it has nothing left. It runs on the loop.
func (l *loop) stop() {
	l.mu.Lock()
	l.ended = true
	l.mu.Unlock()
}

func (l *loop) isEnded() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ended && len(l.given) == 0 && len(l.posted) == 0
}

// forget takes a connection that is gone out of the books.
func (l *loop) forget(c *Conn) {
	l.conns.remove(c)
	l.active.Add(-1)
	if c.flags&dialled == 0 {
		l.server.accepted.Add(-1)
	}
	l.server.departed()
}

// recoverHandler ends the connection whose handler panicked. A panic that is not a handler's goes on.
func (l *loop) recoverHandler(more *bool) {
	c := l.current.Load()
	if c == nil {
		return
	}
	*more = true
	l.current.Store(nil)
	c.finish(l.logPanic(c, recover()))
}

// logPanic makes a PanicError of what recover returned, and logs it.
func (l *loop) logPanic(c *Conn, v any) *PanicError {
	if v == nil {
		v = "runtime.Goexit in a handler"
	}
	err := &PanicError{v, debug.Stack()}
	l.server.logger().Error("a handler panicked", "handler", fmt.Sprintf("%T", c.handler), "remote", c.RemoteAddr(),
		"panic", v, "stack", string(err.Stack))
	return err
}
