package switchboard

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"github.com/switchboard-go/switchboard/internal/buffer"
)

// ErrMemory ends a connection that held more memory than others when the connections of its loop had reached their share
// of Server.MemoryLimit.
var ErrMemory = errors.New("switchboard: the connection held more memory than others when they reached Server.MemoryLimit")

// A budget bounds what the connections of one loop hold together: Server.MemoryLimit divided by the number of loops. What a
// connection holds is counted when its state moves on (flush, keep), by its loop alone, and only if that has changed.
//
//	held             what happens
//	above 3/4        the connections that hold more than the average of those that hold any are not read for a second
//	still above 3/4  the heaviest are ended, until 5/8 are held; the others are read again
//	above the limit  the same at once
type budget struct {
	limit   int64 // bytes; 0: none
	unit    int64 // bytes that Conn.weight counts as one
	held    int64 // bytes
	pressed bool  // the heavy ones are not read, until again fires
	due     bool  // something is to be done about it
	again   *Timer
	told    time.Duration // when the log last heard of it
	since   int64         // connections that were ended and not told of
}

// What connections hold besides buffers of their own, in bytes.
const (
	tlsMemory       = 12 << 10 // an established TLS connection
	recordMemory    = 20 << 10 // a record that has come in part
	handshakeMemory = 36 << 10 // a handshake that has begun
)

// pressureFor is how long the heaviest connections are not read before the heaviest of all are ended.
const pressureFor = time.Second

func newBudget(l *loop) budget {
	b := budget{limit: l.limits.MemoryLimit / int64(l.limits.Loops), unit: 1 << 10}
	most := int64(l.limits.QueueLimit) + 5*int64(l.limits.InputLimit)
	for most/b.unit > 1<<15 { // with as much again for what the handlers count
		b.unit *= 2
	}
	b.again = &Timer{l: l, f: l.pressureOver}
	return b
}

func (b *budget) high() int64   { return b.limit / 4 * 3 }
func (b *budget) target() int64 { return b.limit / 8 * 5 }

// CountMemory adds n bytes to the memory that Server.MemoryLimit counts for c; n may be negative. It is for buffers that a
// handler keeps for c. Unconsumed input and the output queue are counted anyway. It belongs to the loop.
func (c *Conn) CountMemory(n int) {
	if c.loop.budget.limit == 0 || c.state == stateGone {
		return
	}
	c.extra().kept += int64(n)
	c.recount(c.Queued())
}

// weigh counts what c holds, with so many bytes queued.
func (c *Conn) weigh(queued int) {
	if c.loop.budget.limit != 0 && (queued > 0 || c.in != nil || c.weight > 0 || c.flags&secured != 0) {
		c.recount(queued)
	}
}

func (c *Conn) recount(queued int) {
	b, n := &c.loop.budget, c.holds(queued)
	units := uint16(min((n+b.unit-1)/b.unit, 1<<16-1))
	if units == c.weight {
		return
	}
	b.held += (int64(units) - int64(c.weight)) * b.unit
	c.weight = units
	b.due = b.due || b.held > b.limit || b.held > b.high() && !b.pressed
}

// holds returns how many bytes c holds.
func (c *Conn) holds(queued int) (n int64) {
	if c.state == stateGone {
		return 0
	}
	if c.in != nil {
		n += int64(cap(c.in.B))
	}
	t := c.encryption()
	if queued > 0 {
		c.mu.Lock()
		n += int64(c.queue.Room())
		if t != nil {
			n += int64(t.plain.Room())
		}
		c.mu.Unlock()
	}
	if t != nil {
		n += tlsMemory
		switch {
		case t.hand != nil && t.hand.begun:
			n += handshakeMemory
		case t.up && t.conn.MidRecord():
			n += recordMemory
		}
	}
	if more := c.more.Load(); more != nil {
		n += more.kept
	}
	return max(n, 0)
}

// grows tells whether n bytes more, after which size are pending, are to be counted at once though the connection waits for its
// peer. What is less than a buffer is counted with what comes next.
func (b *budget) grows(size, n int) bool {
	return b.limit > 0 && size/buffer.Min != (size-n)/buffer.Min
}

// relieve does what is due about the loop's memory. It must not be called while a handler is.
func (l *loop) relieve() {
	b := &l.budget
	b.due = false
	switch {
	case b.held > b.limit:
		l.endHeaviest()
		l.pressHeavy() // should that not have been enough
	case b.held > b.high() && !b.pressed:
		l.pressHeavy()
	}
}

// pressHeavy has the connections not read that hold more than the average, for a while.
func (l *loop) pressHeavy() {
	b := &l.budget
	if b.pressed || b.held <= b.high() {
		return
	}
	b.pressed = true
	b.again.start(pressureFor)
	holders := l.holders()
	if len(holders) == 0 {
		return
	}
	average := b.held / b.unit / int64(len(holders))
	for _, c := range holders {
		if int64(c.weight) >= average {
			c.marks.Or(heavyMark)
			c.later(0)
		}
	}
	l.count.MemoryPauses++
}

// pressureOver ends the heaviest connections if not reading them has not helped, and has the others read again.
func (l *loop) pressureOver() {
	b := &l.budget
	b.pressed = false
	if b.held > b.high() {
		l.endHeaviest()
	}
	for line := range l.conns.All() {
		if c := connOf(line); c.marked(heavyMark) {
			c.marks.And(^uint32(heavyMark))
			c.later(0)
		}
	}
}

// holders returns the connections that hold something.
func (l *loop) holders() (all []*Conn) {
	for line := range l.conns.All() {
		if c := connOf(line); c.weight > 0 {
			all = append(all, c)
		}
	}
	return all
}

// endHeaviest ends the connections that hold the most, and of equals those that have been silent the longest, until no more
// than the target is held.
func (l *loop) endHeaviest() {
	b := &l.budget
	holders := l.holders()
	slices.SortFunc(holders, func(x, y *Conn) int {
		return cmp.Or(cmp.Compare(y.weight, x.weight), cmp.Compare(x.active.Load(), y.active.Load()), cmp.Compare(x.born, y.born))
	})
	for _, c := range holders {
		if b.held <= b.target() {
			break
		}
		if c.state == stateGone { // with one that was ended before it
			continue
		}
		c.drop(ErrMemory)
		c.flush()
		b.since++
	}
	if now := l.elapsed(); b.since > 0 && (b.told == 0 || now-b.told >= tellAgain) {
		l.server.logger().Warn("the connections that held the most were ended to keep within Server.MemoryLimit",
			"connections", b.since, "loop", l.number, "limit", l.limits.MemoryLimit)
		b.since, b.told = 0, now
	}
}
