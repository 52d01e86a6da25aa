//go:build linux

package switchboard

import (
	"time"

	"github.com/switchboard-go/switchboard/internal/engine"
)

// A watchedEngine is a loop's engine, and counts what the loop asks of it: the loop's own figures must agree.
type watchedEngine struct {
	engine.Engine
	w *world

	pauses   int64 // times that a line which was watched for Read was watched so no longer
	listens  map[*engine.Listener]bool
	received int64 // of the connections that are gone
	sent     int64
	ups      int64 // of those, whose TLS handshake was done
}

func (w *world) watchEngine(l *loop) {
	l.engine = &watchedEngine{Engine: l.engine, w: w, listens: make(map[*engine.Listener]bool)}
}

// Wait lets a look-up begin that the turn has set going, so that it is known when it will be over.
func (e *watchedEngine) Wait(timeout time.Duration) error {
	if e.w.names != nil {
		e.w.settle()
	}
	return e.Engine.Wait(timeout)
}

func (e *watchedEngine) Listen(ln *engine.Listener) error {
	if e.listens[ln] {
		e.w.fault("Listen for a listener that is listened to")
	}
	err := e.Engine.Listen(ln)
	e.listens[ln] = err == nil
	return err
}

func (e *watchedEngine) Unlisten(ln *engine.Listener) {
	e.Engine.Unlisten(ln)
	e.listens[ln] = false
}

func (e *watchedEngine) Watch(line *engine.Line, want engine.Events) error {
	if c := connOf(line); c.state == stateNew || c.state == stateGone {
		e.w.fault("a line is watched in state %d", c.state)
	}
	if line.Watches(engine.Read) && want&engine.Read == 0 {
		e.pauses++
		e.w.checkPause(connOf(line))
	}
	return e.Engine.Watch(line, want)
}

// checkPause looks at the reason for which c, which was read, is to be read no more.
func (w *world) checkPause(c *Conn) {
	got, want := c.marks.Load()&pauseMarks, uint32(pausedByOutput)
	switch over := c.flags&inputEnded != 0 || c.marked(stopMark) || c.state == stateConnecting; {
	case over:
		want = notPaused
	case c.flags&paused != 0:
		want = pausedByHandler
	case c.flags&inputFull != 0:
		want = pausedByInput
	case c.marked(heavyMark):
		want = pausedByMemory
	case !c.marked(fullMark) && c.out&unanswered == 0:
		w.fault("%v: it is read no more, and there is no reason", w.lifeOf(c))
	}
	if got != want {
		w.fault("%v: it is read no more for the reason %b, and should be for %b", w.lifeOf(c), got, want)
	}
}

func (e *watchedEngine) Release(line *engine.Line) {
	if c := connOf(line); c.state == stateGone {
		e.received += c.received.Load()
		e.sent += c.sent // the caller holds mu
		if t := c.encryption(); t != nil && t.up {
			e.ups++
		}
	}
	e.Engine.Release(line)
}

// fresh returns the connections that were given to l and have not begun.
func (w *world) fresh(l *loop) map[*Conn]bool {
	all := make(map[*Conn]bool)
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, list := range [][]*Conn{l.arrived.Waiting(), l.posted} {
		for _, c := range list {
			if c.state == stateNew {
				all[c] = true
			}
		}
	}
	return all
}

// checkCounts compares what l counts with the connections that there are, after a turn.
func (w *world) checkCounts(l *loop) {
	e := l.engine.(*watchedEngine)
	in, out, ups, queued := e.received, e.sent, e.ups, int64(0)
	var paused PausedConns
	origins := *w.s.origins.Load()
	states := make([][stateGone]int64, len(origins))
	deadlines, timers, waiting := 0, 0, 0
	fresh := w.fresh(l)
	for c := range fresh {
		states[c.marks.Load()>>originShift][stateNew]++
	}
	l.mu.Lock()
	asked := len(l.given) > 0 || l.left() // something may be about to change
	l.mu.Unlock()
	owed := make(map[*Conn]bool)
	for _, list := range [][]*Conn{l.due.Waiting(), l.list} {
		for _, c := range list {
			owed[c] = true
			if c.todo&listed == 0 {
				w.fault("%v is on the loop's list, and does not know it", w.lifeOf(c))
			}
		}
	}
	for line := range l.conns.All() {
		c := connOf(line)
		in, out, queued = in+c.Received(), out+c.Sent(), queued+int64(c.counted)
		paused.add(c.marks.Load()&pauseMarks, 1)
		if c.state == stateNew || c.state == stateGone {
			w.fault("%v is in the loop's table, in state %d", w.lifeOf(c), c.state)
			continue
		}
		states[c.marks.Load()>>originShift][c.state]++
		if c.todo&listed != 0 && !owed[c] {
			w.fault("%v waits for the loop to come back, and is not on its list", w.lifeOf(c))
		}
		if c.deadline.Running() {
			deadlines++
		}
		if c.flags&spliced != 0 {
			if p, ok := c.handler.(*pipe); ok && p.to.loop != l {
				w.fault("%v: it is spliced to a connection of another loop", w.lifeOf(c))
			}
			if n := c.Received(); n < int64(spliceAfter*l.limits.ReadBuffer) {
				w.fault("%v: it is spliced after %d bytes, and reads of %d", w.lifeOf(c), n, l.limits.ReadBuffer)
			}
		}
		if more := c.more.Load(); more != nil {
			for t := more.timers; t != nil; t = t.next {
				if t.entry.Running() {
					timers++
				} else if !t.due {
					w.fault("%v: a timer does not run, and is to fire", w.lifeOf(c))
				}
			}
		}
		if t := c.encryption(); t != nil {
			if t.up {
				ups++
			}
			if t.hand != nil && t.hand.line != nil {
				waiting++
			}
			if h := t.hand; h != nil && c.state == stateHandshaking {
				began := c.born
				if c.flags&(dialled|upgraded) != 0 {
					began = c.extra().since
				}
				passed := l.clock() - began
				if h.ours < 0 || h.ours > passed {
					w.fault("%v: its handshake has waited for us for %d of %d ticks", w.lifeOf(c), h.ours, passed)
				}
				peers := passed - h.ours // ticks in which the peer was awaited
				switch {
				case h.running: // which has as much time as a peer
					peers = l.clock() - h.turned
				case h.line != &l.handshakes.silent:
					peers -= l.clock() - h.turned
				}
				if n := l.clock() - c.awaited(); n != peers {
					w.fault("%v: its peer counts as awaited for %d ticks, and is for %d", w.lifeOf(c), n, peers)
				}
			}
		}
		if !owed[c] && c.out&(posted|inBatch) == 0 && !asked {
			w.checkAtRest(c)
		}
	}
	if l.count.BytesIn != in {
		w.fault("%d bytes are counted as received, and there were %d", l.count.BytesIn, in)
	}
	if n := l.count.BytesOut + l.sent.Load(); n != out {
		w.fault("%d bytes are counted as sent, and there were %d", n, out)
	}
	if l.count.Queued != queued {
		w.fault("%d bytes are counted as queued, and their connections count %d", l.count.Queued, queued)
	}
	if l.count.Paused != paused {
		w.fault("%+v are counted as paused, and there are %+v", l.count.Paused, paused)
	}
	if l.count.Pauses != e.pauses {
		w.fault("%d pauses are counted, and there were %d", l.count.Pauses, e.pauses)
	}
	if l.count.Handshakes != ups {
		w.fault("%d handshakes are counted, and there were %d", l.count.Handshakes, ups)
	}
	if n := l.active.Load(); n != int64(l.conns.Len()+len(fresh)) {
		w.fault("a loop counts %d connections, and there are %d, and %d new ones", n, l.conns.Len(), len(fresh))
	}
	for i, o := range origins {
		for s := range states[i] {
			if n := o.loops[l.number].states[s].Load(); n != states[i][s] {
				w.fault("%d connections of origin %d are counted in state %d, and there are %d", n, i, s, states[i][s])
			}
		}
	}
	if n := l.deadlines.Len(); n != deadlines {
		w.fault("%d timeouts are waited for, and there are %d", n, deadlines)
	}
	for _, t := range []*Timer{l.budget.again, w.ln.again} {
		if t != nil && t.l == l && t.entry.Running() {
			timers++
		}
	}
	if n := l.timers.Len(); n != timers {
		w.fault("%d timers run, and %d have an owner", n, timers)
	}
	s := &l.handshakes
	if n := s.fresh.Len() + s.ready.Len() + s.silent.Len(); n != waiting {
		w.fault("%d handshakes wait for their turn, and connections know of %d", n, waiting)
	}
	if s.running < 0 || s.running > s.places {
		w.fault("%d handshakes are in a step, and %d have a place", s.running, s.places)
	}
	if w.ln.loop == l {
		w.checkListener(e)
	}
	w.checkAll()
}

// checkAll compares what the server counts with what its loops do.
func (w *world) checkAll() {
	active, accepted, pipes := int64(0), int64(0), int64(0)
	for _, l := range w.s.loops {
		active += l.active.Load()
		pipes += int64(len(l.spares))
		for line := range l.conns.All() {
			c := connOf(line)
			if c.flags&dialled == 0 {
				accepted++
			}
			if c.inflowNow() != nil {
				pipes++
			}
		}
		for c := range w.fresh(l) {
			if c.flags&dialled == 0 {
				accepted++
			}
		}
	}
	if n := w.s.active.Load(); n != active {
		w.fault("%d connections are counted, and the loops have %d", n, active)
	}
	if n := w.s.accepted.Load(); n != accepted {
		w.fault("%d accepted connections are counted, and there are %d", n, accepted)
	}
	if n := w.s.splices.pipes.Load(); n != pipes {
		w.fault("%d kernel pipes are counted, and there are %d", n, pipes)
	}
	if n := w.s.splices.pipes.Load(); n > int64(w.s.limits.pipes) {
		w.fault("there are %d kernel pipes, of %d at most", n, w.s.limits.pipes)
	}
}

// checkListener looks whether the listener accepts when it should.
func (w *world) checkListener(e *watchedEngine) {
	ln, l := w.ln, w.ln.loop
	pauses := int64(0)
	if ln.waits && !ln.closed {
		pauses = 1
	}
	if n := w.s.paused.Load(); n != pauses && !ln.closed {
		w.fault("%d listeners are counted as paused, and it is %d", n, pauses)
	}
	accepting := e.listens[&ln.line]
	l.mu.Lock()
	asked := len(l.given)+l.tasks.Len() > 0 // it may be about to accept
	l.mu.Unlock()
	switch {
	case accepting && (ln.waits || ln.closed):
		w.fault("it is accepted, and the listener has paused: closed %v", ln.closed)
	case accepting && !asked && ln.spent.Load() && w.k.Waiting(ln.line.FD) == 0:
		w.fault("descriptors are said to be short, and nobody waits for one")
	case accepting || ln.closed || asked || ln.held:
	case !ln.waits:
		w.fault("nobody accepts, and the listener has not paused")
	case !ln.full.Load() && !ln.again.entry.Running() && !ln.again.due:
		w.fault("accepting has paused, and goes on never")
	case ln.full.Load() && w.s.accepted.Load() < int64(w.s.limits.MaxConns) && !ln.wanted.Load():
		w.fault("accepting has paused, and there is room for connections")
	}
}

// checkAtRest looks at a connection to which the loop owes nothing.
func (w *world) checkAtRest(c *Conn) {
	l := c.loop
	f := w.lifeOf(c)
	at, _, ok := c.firstDeadline()
	if c.state == stateConnecting && (c.line.FD < 0 || c.extra().dial.adopted) { // nobody is waited for
		ok = false
	}
	if t := c.encryption(); t != nil && t.hand != nil && t.hand.line != &l.handshakes.silent {
		ok = false // it waits for us, and has so much more time
	}
	if ok && c.flags&suspected == 0 && (!c.deadline.Running() || c.deadline.When() > max(at, l.tick)) {
		w.fault("%v: a timeout is over at tick %d, and nobody will look (state %d, running %v, %d, at %d, held %v)", f, at, c.state, c.deadline.Running(), c.deadline.When(), l.clock(), f != nil && f.holds > 0)
	}
	got, want := c.line.Watched(), wanted(c)
	if c.marked(fullMark) && c.out&blocked != 0 { // a Write of another goroutine may have filled its queue
		got, want = got&^engine.Read, want&^engine.Read
	}
	if got != want {
		w.fault("%v: it is watched for %b, and should be for %b (state %d, flags %b, out %b, marks %b)", f, got, want, c.state, c.flags, c.out, c.marks.Load())
	}
	if reads, why := got&engine.Read != 0, c.marks.Load()&pauseMarks; reads && why != notPaused {
		w.fault("%v: it is read, and counts as paused for %b", f, why)
	}
	queued := c.Queued()
	if c.state == stateOpen {
		if full := c.in != nil && len(c.in.B) >= l.limits.InputLimit; full != (c.flags&inputFull != 0) && (f == nil || !f.broke) { // Goexit leaves offer before it counts what is kept
			w.fault("%v: %d bytes of input are kept, of %d, and full is %v", f, c.Buffered(), l.limits.InputLimit, !full)
		}
		if c.marked(fullMark) && queued == 0 {
			w.fault("%v: it counts as full, and nothing is queued", f)
		}
		if c.in != nil && len(c.in.B) == 0 {
			w.fault("%v: a buffer of no input is kept", f)
		}
	}
	if queued == 0 && c.out&blocked != 0 && c.state != stateConnecting {
		w.fault("%v: it waits for room, and nothing is queued", f)
	}
	if c.marked(heavyMark) && !l.budget.pressed {
		w.fault("%v: it is not read for want of memory, and there is no want", f)
	}
	if i := c.inflowNow(); i != nil && i.holds == 0 {
		if p, ok := c.handler.(*pipe); !ok || p.to.flags&spliced == 0 {
			w.fault("%v: it keeps an empty kernel pipe, and nothing is spliced", f)
		}
	}
}

// wanted returns what c is to be watched for: Conn.want says the same in other words.
func wanted(c *Conn) (ev engine.Events) {
	if c.line.FD < 0 {
		return 0
	}
	ends, mayRead := c.flags&inputEnded != 0, c.flags&(inputEnded|inputFull) == 0
	switch c.state {
	case stateConnecting:
		return engine.Write
	case stateLingering:
		return engine.Read
	case stateResetting:
		if ends {
			return engine.Hangup
		}
		return engine.Read
	case stateOpen:
		_, piped := c.handler.(*pipe)
		if c.flags&paused != 0 || c.marked(heavyMark) || c.marked(stopMark) || c.out&unanswered != 0 {
			mayRead = false
		}
		if c.marked(fullMark) && !piped && c.flags&(keepsReading|readsOnce) == 0 {
			mayRead = false
		}
	}
	if mayRead {
		ev |= engine.Read
	}
	if c.out&blocked != 0 {
		ev |= engine.Write
	}
	if ev == 0 && c.flags&endTold != 0 {
		ev = engine.Hangup
	}
	return ev
}

// checkNothingLeft looks at a loop that has ended.
func (w *world) checkNothingLeft(l *loop) {
	s := &l.handshakes
	if s.places != s.running || s.fresh.Len()+s.ready.Len()+s.silent.Len() != 0 {
		w.fault("at the end %d handshakes have a place, %d are in a step, and %d, %d and %d wait", s.places, s.running, s.fresh.Len(), s.ready.Len(), s.silent.Len())
	}
	if n := l.deadlines.Len(); n != 0 {
		w.fault("at the end %d timeouts are waited for", n)
	}
	n := l.timers.Len()
	if l.budget.again.entry.Running() {
		n--
	}
	if n != 0 {
		w.fault("at the end %d timers run", n)
	}
	if l.budget.held != 0 {
		w.fault("at the end %d bytes of memory are counted", l.budget.held)
	}
	if l.conns.Len() != 0 || len(l.given)+len(l.posted)+len(l.list) != 0 || l.left() {
		w.fault("at the end something is left to do")
	}
}
