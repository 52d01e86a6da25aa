package switchboard

import (
	"fmt"
	"syscall"

	"github.com/switchboard-go/switchboard/internal/rawio"
)

// prompt is how many bytes of output leave before the handler's turn is over: below it a copy is cheaper than a system
// call, above it waiting only costs memory. A Write of so many bytes is not copied at all while the peer keeps up.
const prompt = 4 << 10

// Write sends p, or queues what the system does not take now; it never waits. What one turn of the handler writes in
// small pieces leaves in one system call when the turn is over. p may be reused when Write returns.
//
// It takes all of p or nothing: ErrQueueFull when p would take the queue past Server.QueueLimit, another error when p
// alone is longer than that, an error that is net.ErrClosed after Close, CloseWrite or the connection's end, or what the
// system said when the peer is gone. The end of the connection (Handler.Closed) tells whether what was taken was sent.
//
// Any goroutine may call it. Writes of one goroutine keep their order, and no other's comes between the bytes of one.
func (c *Conn) Write(p []byte) (int, error) { return c.Writev(p) }

// Writev is Write for several slices at once: all of them are taken or none.
func (c *Conn) Writev(bufs ...[]byte) (int, error) { return c.write(bufs, false) }

// write is Writev. now is set by a caller on the loop that will flush c after it: then nothing is gained by waiting for
// the end of the turn.
func (c *Conn) write(bufs [][]byte, now bool) (int, error) {
	size := 0
	for _, p := range bufs {
		size += len(p)
	}
	c.mu.Lock()
	if err := c.refuse(size); err != nil {
		c.mu.Unlock()
		return 0, err
	}
	inTurn := now || c.inTurn()
	waits, told := c.out&(blocked|posted|inBatch) != 0, c.out&(blocked|posted) != 0
	var errno syscall.Errno
	// A loop at work sends what is queued when its turn is over, with whatever else is written until then. A sleeping
	// loop is spared the waking.
	if c.out&sealed != 0 {
		for _, p := range bufs {
			c.transport().plain.enqueue(p)
		}
	} else if !waits && (now || inTurn && int(c.queued)+size >= prompt || !inTurn && c.loop.asleep.Load()) {
		before := c.sent
		errno = c.transmit(bufs)
		c.loop.sent.Add(c.sent - before)
	} else {
		for _, p := range bufs {
			c.enqueue(p)
		}
	}
	if c.pending() >= c.loop.limits.HighWater {
		c.full.Store(true)
	}
	var err error
	if errno != 0 {
		err = c.breakOff("write", errno)
	}
	tell := !inTurn && !told && (c.pending() > 0 || errno != 0)
	if tell {
		c.out |= posted
	}
	c.mu.Unlock()
	if tell {
		c.loop.post(c)
	}
	if err != nil {
		return 0, err
	}
	return size, nil
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
		c.full.Store(true) // a Drainer hears of it when there is room again
		if pending <= lim.LowWater {
			c.out |= refused
		}
		return ErrQueueFull
	}
	return nil
}

// breakOff ends the connection because the system refused a call for good. mu is held.
func (c *Conn) breakOff(call string, errno syscall.Errno) error {
	err := callError(call, c.RemoteAddr(), errno)
	if c.ending == nil || c.ending.err == nil { // an orderly end as well, for it is none now
		c.ending = &ending{err: err}
	}
	c.ending.abort = true
	c.stop.Store(true)
	return err
}

// transmit offers the kernel the queue and then bufs, and queues what it does not take. mu is held.
func (c *Conn) transmit(bufs [][]byte) (errno syscall.Errno) {
	bufs = drop(bufs, 0) // what is empty
	queued := c.queued
	empty, errno := c.pushInflow()
	if !empty {
		c.out |= blocked
	}
	for empty && (c.queued > 0 || len(bufs) > 0) {
		n, offered := 0, 0
		switch {
		case c.head == nil && len(bufs) == 1:
			offered = len(bufs[0])
			n, errno = rawio.Send(int(c.fd), bufs[0])
		case c.head != nil && c.head == c.tail && len(bufs) == 0:
			offered = int(c.queued)
			n, errno = rawio.Send(int(c.fd), c.head.B[c.headSent:])
		default:
			var all [16][]byte
			n, offered, errno = c.sendv(all[:0], bufs)
		}
		if errno != 0 {
			n = 0
			if rawio.WouldBlock(errno) {
				errno = 0
			}
		}
		if n > 0 {
			c.moved(n)
		}
		ours := min(n, int(c.queued))
		c.dequeue(ours)
		bufs = drop(bufs, n-ours)
		// A stream socket that takes less than it is offered is full: asking again would only hear so.
		if n < offered || errno != 0 {
			c.out |= blocked
			break
		}
	}
	if errno == 0 {
		for _, p := range bufs {
			c.enqueue(p)
		}
	}
	if c.queued == 0 {
		c.out &^= blocked
	} else if c.queued != queued {
		c.out |= progressed
	}
	return errno
}

// moved counts n bytes that the kernel took.
func (c *Conn) moved(n int) {
	c.sent += int64(n)
	if c.loop.limits.IdleTimeout > 0 {
		c.active.Store(c.loop.clock()) // the loop's own tick is old while it sleeps
	}
}

// sendv offers the queue and bufs in one call, as far as they fit into all.
func (c *Conn) sendv(all, bufs [][]byte) (n, offered int, errno syscall.Errno) {
	skip := c.headSent
	for b := c.head; b != nil && len(all) < cap(all); b = b.Next {
		all = append(all, b.B[skip:])
		skip = 0
	}
	all = append(all, bufs[:min(len(bufs), cap(all)-len(all))]...)
	for _, p := range all {
		offered += len(p)
	}
	n, errno = rawio.Sendv(int(c.fd), all)
	return n, offered, errno
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

// CloseWrite ends the output: what was written is sent, and then the peer reads the end of input (shutdown(2), SHUT_WR).
// Reading goes on. When the peer has ended its side as well, the connection is over. Any goroutine may call it.
func (c *Conn) CloseWrite() error {
	c.mu.Lock()
	if c.out&(closed|noOutput) != 0 || c.ending != nil {
		c.mu.Unlock()
		return c.closedError("closewrite")
	}
	c.out |= noOutput
	c.tellUnlock()
	return nil
}

// Close ends the connection in order: what was written is sent, the peer reads the end of input, and when it has ended
// its side too, or Server.LingerTimeout is over, the connection is gone and Handler.Closed called. Until then what the
// peer still sends is dropped: to close a socket on unread input would be a reset, which can cost the peer the last of
// what it was sent. The handler gets no more Data. A second Close does nothing. Any goroutine may call it.
func (c *Conn) Close() error {
	c.end(nil)
	return nil
}

// Abort ends the connection at once: what is queued is dropped and the peer gets a reset. Handler.Closed is told
// ErrAborted. Any goroutine may call it.
func (c *Conn) Abort() { c.abort(ErrAborted) }

// end closes c in order; the handler will be told err.
func (c *Conn) end(err error) {
	c.mu.Lock()
	if c.out&closed != 0 || c.ending != nil {
		c.mu.Unlock()
		return
	}
	c.ending = &ending{err: err}
	c.stop.Store(true)
	c.tellUnlock()
}

// abort drops c at once; the handler will be told err.
func (c *Conn) abort(err error) {
	c.mu.Lock()
	if c.out&closed != 0 || c.ending != nil && c.ending.abort {
		c.mu.Unlock()
		return
	}
	c.ending = &ending{err: err, abort: true}
	c.stop.Store(true)
	c.tellUnlock()
}

// tellUnlock unlocks mu, and tells the loop to look at c unless it is about to anyway.
func (c *Conn) tellUnlock() {
	tell := c.out&posted == 0 && !c.inTurn()
	if tell {
		c.out |= posted
	}
	c.mu.Unlock()
	if tell {
		c.loop.post(c)
	}
}
