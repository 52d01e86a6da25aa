package switchboard

import (
	"fmt"
	"sync"
	"syscall"

	"github.com/switchboard-go/switchboard/frame"
	"github.com/switchboard-go/switchboard/internal/engine"
	"github.com/switchboard-go/switchboard/internal/rawio"
)

// prompt is how many bytes of output leave before the handler's turn is over: below it a copy is cheaper than a system
// call, above it waiting only costs memory. A Write of so many bytes is not copied at all while the peer keeps up.
const prompt = 4 << 10

// Write sends p, or queues what the system does not take at once. It never waits. The small writes of one turn of a
// handler leave together in one system call at its end. The caller may reuse p when Write returns.
//
// Write takes all of p or nothing. It returns ErrQueueFull if p does not fit below Server.QueueLimit now, another error if
// p is longer than that limit, and an error that is net.ErrClosed after Close, CloseWrite or the end of the connection. If
// the peer is gone it may return the error of the system. Whether everything that was taken has been sent is told at the
// end, by Handler.Closed.
//
// Any goroutine may call it. The writes of one goroutine keep their order, and each is contiguous.
func (c *Conn) Write(p []byte) (int, error) { return c.Writev(p) }

// Writev is Write for several slices. It takes all of them or nothing, and they are contiguous.
func (c *Conn) Writev(bufs ...[]byte) (int, error) {
	size := 0
	for _, p := range bufs {
		size += len(p)
	}
	c.mu.Lock()
	if err := c.refuse(size); err != nil {
		c.mu.Unlock()
		return 0, err
	}
	if err := c.writeUnlock(bufs, size, false); err != nil {
		return 0, err
	}
	return size, nil
}

// WriteFrame writes a header and a payload. Like Write it takes both or nothing, and nothing of another Write comes between
// them. It keeps neither. The header may be an array on the caller's stack: WriteFrame does not move it to the heap, as
// Writev would. The errors are those of Write. Any goroutine may call it.
func (c *Conn) WriteFrame(header, payload []byte) error { return c.writeAround(header, payload, nil) }

// WriteMessage writes message in a format of package frame. Like Write it takes the whole message with its framing, or
// nothing, and nothing of another Write comes between them. The only copy of the message is the one in the output queue.
// An error of the format, such as frame.ErrTooLong, leaves the connection as it was. Any goroutine may call it.
func (c *Conn) WriteMessage(format frame.Format, message []byte) error {
	var array [usualHeader]byte
	head, tail, err := format.Parts(array[:0], message)
	if err != nil {
		return err
	}
	return c.writeAround(head, message, tail)
}

const usualHeader = 24 // bytes that are enough for most protocols

// framed are the slices of one message on their way to the system.
type framed struct {
	head [usualHeader]byte
	bufs [3][]byte
}

var framedPool = sync.Pool{New: func() any { return new(framed) }}

// writeAround writes p with what comes before and after it. head does not escape to the heap: what is handed to the system at
// once has a copy of it.
func (c *Conn) writeAround(head, p, tail []byte) error {
	size := len(head) + len(p) + len(tail)
	c.mu.Lock()
	after := c.pending() + size
	if after > c.loop.limits.QueueLimit || c.out&(closed|noOutput) != 0 || c.ending != nil {
		err := c.refuse(size)
		c.mu.Unlock()
		return err
	}
	if c.inTurn() && (c.out&(blocked|posted|inBatch|sealed) != 0 || c.queue.Len()+size < prompt) { // it leaves when the turn is over
		q := &c.queue
		if c.out&sealed != 0 {
			q = &c.encryption().plain
		}
		q.Add(head)
		q.Add(p)
		if len(tail) > 0 {
			q.Add(tail)
		}
		if after >= c.loop.limits.HighWater {
			c.marks.Or(fullMark)
		}
		c.mu.Unlock()
		return nil
	}
	f := framedPool.Get().(*framed)
	f.bufs = [3][]byte{append(f.head[:0], head...), p, tail}
	err := c.writeUnlock(f.bufs[:], size, false)
	f.bufs = [3][]byte{}
	framedPool.Put(f)
	return err
}

// WriteShared sends bytes that many connections are sent, without copying them. The bytes must never change again. It
// takes all of bufs, or nothing if bytes that were written before are still waiting; then taken is false, and WhenSent
// tells when to try again. Over TLS the bytes are encrypted, which copies them. The errors are those of Write without
// ErrQueueFull. It belongs to the loop.
func (c *Conn) WriteShared(bufs ...[]byte) (taken bool, err error) {
	size := 0
	for _, p := range bufs {
		size += len(p)
	}
	c.mu.Lock()
	if c.pending() > 0 || c.out&(blocked|inBatch) != 0 {
		if c.out&(closed|noOutput) != 0 || c.ending != nil {
			err = c.closedError("write")
		}
		c.mu.Unlock()
		return false, err
	}
	if err := c.refuse(size); err != nil {
		c.mu.Unlock()
		return false, err
	}
	var errno syscall.Errno
	before := c.sent
	switch {
	case c.out&sealed != 0:
		for _, p := range bufs {
			c.encryption().plain.Add(p)
		}
	case c.inTurn() || c.state != stateOpen || c.inflowing(): // it is flushed later
		for _, p := range bufs {
			c.queue.AddShared(p)
		}
	case len(bufs) == 1 && size > 0 && c.loop.engine.BatchShared(&c.line, bufs[0]):
		c.sent += int64(size)
		c.out |= inBatch | sharedOut
	default:
		errno = c.transmit(bufs, true)
	}
	if c.sent != before {
		c.loop.count.BytesOut += c.sent - before
		c.touch()
	}
	if errno != 0 {
		err = c.breakOff("write", errno)
	}
	left := c.pending()
	if left >= c.loop.limits.HighWater {
		c.marks.Or(fullMark)
	}
	c.mu.Unlock()
	if left > 0 || errno != 0 || c.flags&leaving != 0 {
		c.later(0)
	}
	return err == nil, err
}

// WhenSent calls f once, on the loop, when everything that was written has been handed to the system. If that is so
// already, f is called soon, after WhenSent has returned. If c ends first, f is not called. It belongs to the loop.
func (c *Conn) WhenSent(f func()) {
	more := c.extra()
	more.onSent = append(more.onSent, f)
	c.mu.Lock()
	c.out |= awaited
	c.mu.Unlock()
	c.later(todoSent)
}

// tellSent calls the functions of WhenSent, if nothing waits.
func (c *Conn) tellSent() {
	c.mu.Lock()
	batched := c.out&inBatch != 0
	wait := c.pending() > 0 || c.out&blocked != 0 || batched
	if !wait {
		c.out &^= awaited
	}
	c.mu.Unlock()
	if batched {
		c.later(todoSent) // the batch is gone by then, and the loop must not sleep on it
	}
	if wait {
		return
	}
	more := c.extra()
	list := more.onSent
	more.onSent = nil
	for _, f := range list {
		c.loop.call(c, f)
	}
}

// writeSome is Write of as much of p as the queue takes. When that is not all, c is full until its queue is empty. now is set
// by a caller on the loop that will flush c after it: then nothing is gained by waiting for the end of the turn.
func (c *Conn) writeSome(p []byte, now bool) (int, error) {
	c.mu.Lock()
	if c.out&(closed|noOutput) != 0 || c.ending != nil {
		c.mu.Unlock()
		return 0, c.closedError("write")
	}
	n := min(len(p), max(c.loop.limits.QueueLimit-c.pending(), 0))
	if n < len(p) {
		c.marks.Or(fullMark)
		c.out |= refused
	}
	one := [1][]byte{p[:n]}
	if err := c.writeUnlock(one[:], n, now); err != nil {
		return 0, err
	}
	return n, nil
}

// room returns how many bytes Write would take.
func (c *Conn) room() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.loop.limits.QueueLimit - c.pending()
}

// writeUnlock takes bufs, which fit, and unlocks mu.
func (c *Conn) writeUnlock(bufs [][]byte, size int, now bool) error {
	inTurn := now || c.inTurn()
	waits, told := c.out&(blocked|posted|inBatch) != 0, c.out&(blocked|posted) != 0
	var errno syscall.Errno
	// A loop at work sends what is queued when its turn is over, with whatever else is written until then. A sleeping
	// loop is spared the waking.
	if c.out&sealed != 0 {
		for _, p := range bufs {
			c.encryption().plain.Add(p)
		}
	} else if !waits && (now || inTurn && c.queue.Len()+size >= prompt || !inTurn && c.loop.asleep.Load()) {
		before := c.sent
		errno = c.transmit(bufs, false)
		if c.sent != before {
			c.loop.sent.Add(c.sent - before)
			c.took()
		}
	} else {
		for _, p := range bufs {
			c.queue.Add(p)
		}
	}
	if c.pending() >= c.loop.limits.HighWater {
		c.marks.Or(fullMark)
	}
	var err error
	if errno != 0 {
		err = c.breakOff("write", errno)
	}
	told = told && (c.out&posted != 0 || !c.loop.budget.grows(c.pending(), size))
	tell := !inTurn && !told && (c.pending() > 0 || errno != 0)
	if tell {
		c.out |= posted
	}
	c.mu.Unlock()
	if tell {
		c.loop.post(c)
	}
	return err
}

// refuse says why n more bytes cannot be taken. mu is held.
func (c *Conn) refuse(n int) error {
	if c.out&(closed|noOutput) != 0 || c.ending != nil {
		return c.closedError("write")
	}
	lim := c.loop.limits
	if n > lim.QueueLimit {
		return fmt.Errorf("switchboard: write: %d bytes are more than Server.QueueLimit, %d", n, lim.QueueLimit)
	}
	if pending := c.pending(); pending+n > lim.QueueLimit {
		c.marks.Or(fullMark) // a Drainer hears of it when there is room again
		if pending <= lim.LowWater {
			c.out |= refused
		}
		return ErrQueueFull
	}
	return nil
}

// breakOff ends the connection because the system refused a call for good. mu is held.
func (c *Conn) breakOff(call string, errno syscall.Errno) error {
	err := c.callError(call, errno)
	if c.ending != nil && c.ending.err != nil { // it was failing already
		c.ending.how = abort
		return err
	}
	c.ending = nil // an orderly end is none now
	c.endAs(abort, err)
	return err
}

// transmit offers the kernel the queue and then bufs, and queues what it does not take: itself if it is shared, else a copy.
// mu is held.
func (c *Conn) transmit(bufs [][]byte, shared bool) (errno syscall.Errno) {
	bufs = drop(bufs, 0) // what is empty
	fd, k := int(c.line.FD), c.loop.kernel
	queued := c.pendingCipher()
	empty, errno := c.pushInflow()
	if !empty {
		c.out |= blocked
	}
	for empty && (c.queue.Len() > 0 || len(bufs) > 0) {
		n, offered := 0, 0
		first := c.queue.First()
		switch {
		case len(first) == 0 && len(bufs) == 1:
			offered = len(bufs[0])
			n, errno = engine.Send(k, fd, bufs[0])
		case len(first) == c.queue.Len() && len(bufs) == 0:
			offered = len(first)
			n, errno = engine.Send(k, fd, first)
		default:
			var room [16][]byte
			all := c.queue.Pieces(room[:0])
			all = append(all, bufs[:min(len(bufs), cap(all)-len(all))]...)
			for _, p := range all {
				offered += len(p)
			}
			n, errno = engine.Sendv(k, fd, all)
		}
		if errno != 0 {
			n = 0
			if rawio.WouldBlock(errno) {
				errno = 0
				c.out |= blocked
				break
			}
		}
		c.sent += int64(n)
		ours := min(n, c.queue.Len())
		c.queue.Drop(ours)
		bufs = drop(bufs, n-ours)
		// A stream socket that takes less than it is offered is full: asking again would only hear so.
		if n < offered || errno != 0 {
			c.out |= blocked
			break
		}
	}
	if errno == 0 {
		for _, p := range bufs {
			if shared {
				c.queue.AddShared(p)
			} else {
				c.queue.Add(p)
			}
		}
	}
	if left := c.pendingCipher(); left == 0 {
		c.out &^= blocked
	} else if left != queued {
		c.out |= progressed
	}
	return errno
}

// took remembers that the kernel took something of c's output just now. Any goroutine may call it.
func (c *Conn) took() {
	if lim := c.loop.limits; lim.IdleTimeout > 0 || lim.HalfCloseTimeout > 0 {
		c.active.Store(c.loop.clock())
	}
}

// drop takes the first n bytes away from bufs, and what is empty then. It changes bufs only if n ends inside one.
func drop(bufs [][]byte, n int) [][]byte {
	for len(bufs) > 0 && n >= len(bufs[0]) {
		n -= len(bufs[0])
		bufs = bufs[1:]
	}
	if n > 0 {
		rest := append([][]byte{bufs[0][n:]}, bufs[1:]...)
		return rest
	}
	return bufs
}

// Sent implements engine.Owner: what was in the batch is handed over, but for rest.
func (l *loop) Sent(line *engine.Line, rest []byte, errno syscall.Errno) {
	c := connOf(line)
	c.mu.Lock()
	shared, awaits := c.out&sharedOut != 0, c.out&awaited != 0
	c.out &^= inBatch | sharedOut
	if len(rest) > 0 {
		c.sent -= int64(len(rest))
		l.count.BytesOut -= int64(len(rest))
		if shared {
			c.queue.PutBackShared(rest)
		} else {
			c.queue.PutBack(rest)
		}
		if c.pending() >= l.limits.HighWater {
			c.marks.Or(fullMark)
		}
		if errno != 0 {
			c.breakOff("write", errno)
		} else {
			c.out |= blocked | progressed
		}
	}
	c.mu.Unlock()
	if len(rest) > 0 {
		c.later(0)
	} else if awaits {
		c.later(todoSent)
	}
}
