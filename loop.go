package switchboard

import (
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"github.com/switchboard-go/switchboard/internal/engine"
	"github.com/switchboard-go/switchboard/internal/wheel"
)

// A loop serves its connections on one goroutine, turn after turn: what other goroutines asked for, what is owed to
// connections, timers, and then what the engine brings. It is the engine's Owner.
type loop struct {
	server *Server
	number int
	limits *limits
	kernel engine.Kernel
	engine engine.Engine
	why    string        // it is this one, if it was not named
	start  time.Duration // of the kernel's clock

	// The turn's.
	tick       int64   // milliseconds since start when the engine last waited no longer
	list       []*Conn // connections that are owed something
	suspects   []*Conn // connections whose time is over unless input has come
	moved      []*Conn // connections on which bytes have moved in this turn, see Conn.touch
	due        engine.FIFO[*Conn]
	tasks      engine.FIFO[task]
	arrived    engine.FIFO[*Conn]
	expired    engine.FIFO[expirer]
	doubted    engine.FIFO[*Conn]
	spares     []*inflow    // kernel pipes for the next Pipe that is fast
	conns      engine.Table // changed under connsMu
	deadlines  wheel.Wheel  // of connections
	timers     wheel.Wheel  // of After, and of listeners
	handshakes handshakes
	times      *times // nil: nothing is measured
	budget     budget
	count      Stats
	yield      bool          // goroutines were set going, which may need the loop's processor
	yielded    int64         // the tick of the last turn that left it to others
	exiting    bool          // the goroutine ends early, by runtime.Goexit
	failing    time.Duration // how long the engine's next failure is waited for

	// Of its TLS connections, for as long as one is dealt with.
	plain  []byte // decrypted
	gather []byte // to be encrypted
	cipher []byte // encrypted

	// Anybody's.
	connsMu  sync.Mutex
	mu       sync.Mutex
	given    []task  // by Do and the server
	posted   []*Conn // connections to look at
	ended    bool    // takes no more
	asleep   atomic.Bool
	active   atomic.Int64         // connections
	sent     atomic.Int64         // bytes that left from other goroutines
	current  atomic.Pointer[Conn] // whose handler is being called
	guarding atomic.Bool          // a function given to Server.Do is being called
	turns    atomic.Uint32        // told apart for the watch
	slow     atomic.Int64         // calls that the watch has told of
	shown    Stats                // what it had counted when its last turn was over
	done     chan struct{}
}

// A task is a function to run on the loop, for a connection unless c is nil.
type task struct {
	c *Conn
	f func()
}

// An expirer is told when its timer has fired.
type expirer interface{ expire() }

func newLoop(s *Server, number int, lim *limits) (*loop, error) {
	l := &loop{server: s, number: number, limits: lim, kernel: s.kernel, done: make(chan struct{})}
	if l.kernel == nil {
		l.kernel = engine.System
	}
	l.start = l.kernel.Now()
	l.budget = newBudget(l)
	if lim.SampleCalls > 0 {
		l.times = newTimes(lim.SampleCalls)
	}
	var err error
	l.engine, l.why, err = engine.New(l.kernel, l, engine.Config{ReadBuffer: lim.ReadBuffer, Lines: &l.conns}, lim.Engine)
	l.handshakes.most, l.handshakes.best = lim.Handshakes, max(1, runtime.GOMAXPROCS(0)/lim.Loops)
	return l, err
}

// elapsed returns the time since start. Any goroutine may call it.
func (l *loop) elapsed() time.Duration { return l.kernel.Now() - l.start }

// clock returns it in ticks: milliseconds. Any goroutine may call it.
func (l *loop) clock() int64 { return int64(l.elapsed() / time.Millisecond) }

func (l *loop) run() {
	defer l.leave()
	for l.turn() {
	}
	l.close()
}

// leave has another goroutine go on with the loop if this one was ended by a handler's runtime.Goexit.
func (l *loop) leave() {
	if l.exiting {
		l.exiting = false
		l.current.Store(nil)
		l.engine.Evacuate()
		go l.run()
	}
}

func (l *loop) close() {
	l.closeSpares()
	l.engine.Close()
	close(l.done)
	if l.server.running.Add(-1) == 0 {
		close(l.server.ended)
	}
}

// turn does one turn and tells whether there is to be another.
func (l *loop) turn() (more bool) {
	l.stepHandshakes()
	l.takeGiven()
	l.serveDue()
	l.advance()
	if l.budget.due {
		l.relieve()
	}
	if l.isEnded() {
		l.mu.Lock()
		l.publish() // what this turn has changed
		l.mu.Unlock()
		return false
	}
	if err := l.engine.Wait(l.waitTime()); err != nil {
		l.engineFailed(err)
	} else {
		l.failing = 0
	}
	return true
}

// engineFailed waits for a failure of the engine to pass, such as one for want of memory: longer each time, and not so long
// that connections would notice much when it is over.
func (l *loop) engineFailed(err error) {
	if l.failing == 0 {
		l.server.logger().Error("the event loop's engine failed", "engine", l.engine.Name(), "loop", l.number, "error", err)
	}
	l.failing = min(max(2*l.failing, time.Millisecond), 100*time.Millisecond)
	l.kernel.Sleep(l.failing)
}

// takeGiven does what other goroutines asked for.
func (l *loop) takeGiven() {
	l.mu.Lock()
	if l.arrived.Refill(&l.posted) { // a connection begins before the tasks that it was given
		l.tasks.Refill(&l.given)
	}
	l.mu.Unlock()
	for c, ok := l.arrived.Next(); ok; c, ok = l.arrived.Next() {
		switch {
		case c.state != stateNew:
			c.flush()
		case c.flags&dialled != 0:
			c.beginDial()
		default:
			c.open()
		}
	}
	for l.tasks.Len() > 0 {
		if l.budget.due { // before it is taken out: a handler that is told of its end may call runtime.Goexit
			l.relieve()
		}
		t, _ := l.tasks.Next()
		switch {
		case t.c == nil:
			t.f()
		case t.c.state != stateGone:
			l.call(t.c, t.f)
			t.c.flush()
		}
	}
}

// serveDue does what the loop owes to connections. What is added meanwhile waits for the next turn, so that nobody can
// keep the loop here.
func (l *loop) serveDue() {
	l.due.Refill(&l.list)
	for l.due.Len() > 0 {
		if l.budget.due { // before it is taken out, as above
			l.relieve()
		}
		c, _ := l.due.Next()
		what := c.todo
		c.todo = 0
		if what&todoOffer != 0 && c.state == stateOpen { // before Drained, which may fill the queue again and again
			if l.limits.MessageTimeout > 0 {
				c.retimeMessage()
			}
			if c.in != nil && !c.stopped() {
				c.offer(c.in.B)
			} else {
				c.afterOffer()
			}
		}
		if h, ok := c.handler.(Drainer); ok && what&todoDrain != 0 && c.state == stateOpen && !c.marked(fullMark) {
			l.call(c, func() { h.Drained(c) })
			c.flush()
		}
		if what&todoHandshake != 0 && c.state == stateHandshaking {
			c.receiveHandshake(nil)
		}
		if what&todoSent != 0 && c.state != stateGone {
			c.tellSent()
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
		l.deadlines.Advance(l.tick, func(t *wheel.Timer) { l.expired.Push(connOfTimer(t)) })
	}
	if l.timers.Len() > 0 {
		l.timers.Advance(l.tick, func(entry *wheel.Timer) {
			t := (*Timer)(unsafe.Pointer(entry))
			t.due = true
			l.expired.Push(t)
		})
	}
	l.doubted.Refill(&l.suspects)
	for c, ok := l.doubted.Next(); ok; c, ok = l.doubted.Next() {
		c.expire()
	}
	for e, ok := l.expired.Next(); ok; e, ok = l.expired.Next() {
		e.expire()
	}
}

// publish has Stats show what l has counted. mu is held.
func (l *loop) publish() {
	l.count.Memory = l.budget.held
	l.count.Ring = l.engine.Figures()
	l.shown = l.count
	l.shown.Waiting = int64(len(l.given))
}

// waitTime returns how long the engine may wait, and announces that the loop sleeps if that is any time at all.
func (l *loop) waitTime() time.Duration {
	var now time.Duration
	if len(l.moved) > 0 || l.deadlines.Len()+l.timers.Len() > 0 {
		now = l.elapsed()
		l.noteMoved(int64(now / time.Millisecond))
	}
	l.asleep.Store(true)
	l.mu.Lock()
	step := l.handshakes.within(l.elapsed)
	busy := len(l.given)+len(l.posted)+len(l.list)+len(l.suspects) > 0 || l.left() || step == 0
	l.publish()
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
	wait := max(0, time.Duration(next)*time.Millisecond-now)
	if step > 0 {
		return min(wait, step)
	}
	return wait
}

// left tells whether a goroutine that ended early has left something for this turn.
func (l *loop) left() bool {
	return l.due.Len()+l.tasks.Len()+l.arrived.Len()+l.expired.Len()+l.doubted.Len() > 0
}

// Rest implements engine.Owner. It leaves the processor to other goroutines if there are some that the loop has set going, or
// after so much time anyhow: a loop that always finds something to do would keep them, and the program's timers, waiting for
// the ten milliseconds after which the scheduler interrupts it.
func (l *loop) Rest(after time.Duration) {
	if l.times != nil {
		l.times.turn(l.elapsed())
	}
	if l.yield || l.tick >= l.yielded+int64(after/time.Millisecond) {
		l.yield, l.yielded = false, l.tick
		runtime.Gosched()
	}
}

// Woken implements engine.Owner.
func (l *loop) Woken() {
	l.turns.Add(1)
	l.asleep.Store(false)
	l.server.watch.woken()
	now := l.elapsed()
	l.tick = int64(now / time.Millisecond)
	if l.times != nil {
		l.times.woken = now
	}
}

// Acceptable implements engine.Owner.
func (l *loop) Acceptable(ln *engine.Listener) { listenerOf(ln).acceptReady() }

// Failed implements engine.Owner.
func (l *loop) Failed(line *engine.Line, call string, errno syscall.Errno) {
	connOf(line).failed(call, errno)
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
	l.wake()
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
	l.wake()
	return true
}

// post has the loop look at c. Any goroutine may call it.
func (l *loop) post(c *Conn) {
	l.mu.Lock()
	l.posted = append(l.posted, c)
	l.mu.Unlock()
	l.wake()
}

func (l *loop) wake() {
	if l.asleep.Load() {
		l.engine.Wake()
	}
}

// stop has the loop end when it has nothing left. It runs on the loop.
func (l *loop) stop() {
	l.mu.Lock()
	l.ended = true
	l.mu.Unlock()
}

func (l *loop) isEnded() bool {
	if !l.ended { // stop runs on the loop
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ended && len(l.given) == 0 && len(l.posted) == 0 && len(l.list) == 0 && !l.left() && l.conns.Len() == 0
}

// isDone tells whether the loop has ended. Any goroutine may call it.
func (l *loop) isDone() bool {
	select {
	case <-l.done:
		return true
	default:
		return false
	}
}

// addConn adds a connection that begins to those of the loop.
func (l *loop) addConn(c *Conn) {
	l.connsMu.Lock()
	l.conns.Add(&c.line)
	l.connsMu.Unlock()
}

// snapshot returns the connections of the loop. Any goroutine may call it.
func (l *loop) snapshot() []*Conn {
	l.connsMu.Lock()
	defer l.connsMu.Unlock()
	all := make([]*Conn, 0, l.conns.Len())
	for line := range l.conns.All() {
		all = append(all, connOf(line))
	}
	return all
}

// removeConn takes a connection that is gone out of the books.
func (l *loop) removeConn(c *Conn) {
	l.connsMu.Lock()
	l.conns.Remove(&c.line)
	l.connsMu.Unlock()
	l.active.Add(-1)
	if c.flags&dialled == 0 {
		l.server.accepted.Add(-1)
	}
	l.server.departed()
}
