package switchboard

import (
	"sync/atomic"
	"syscall"
	"time"

	"github.com/switchboard-go/switchboard/internal/rawio"
)

// Splicing moves what a connection of a Pipe receives to the other one inside the kernel, by way of a kernel pipe. It
// costs two more descriptors and pays for bulk only, so a Pipe begins it when the input comes faster than it is read, and
// ends it when the input pauses. Only Linux moves bytes between any two sockets so, and only where the engine leaves reading
// to the loop.

const (
	spliceAfter = 4         // reads in a row that filled the loop's buffer
	spliceSize  = 256 << 10 // bytes that a kernel pipe should hold
	spliceLeast = 64 << 10  // with less it does not pay: a user who has many pipes gets small ones
	spareMost   = 16        // kernel pipes that a loop keeps for the next
	spliceShare = 8         // of the descriptors at most one in so many is for kernel pipes: clients come first

	// spliceRest is for how long nothing is spliced after descriptors or memory for pipes were short.
	spliceRest = 10 * time.Second
)

// splices counts the kernel pipes of a server.
type splices struct {
	pipes atomic.Int64
	until atomic.Int64 // nothing is spliced before this time, in nanoseconds of the kernel's clock
}

// An inflow is a kernel pipe whose content goes to a connection's peer before what is in that connection's queue, of which
// it counts as the beginning. It is touched on the loop alone: while it holds something, the connection is blocked or in
// flush, and then a Write of any other goroutine only queues.
type inflow struct {
	r, w  int
	size  int // bytes it can hold
	holds int // bytes it does hold
}

// spliceFrom begins to splice from c to h.to if the input has come fast.
func (h *pipe) spliceFrom(c *Conn, received int) {
	if h.to.loop != c.loop || received < c.loop.limits.ReadBuffer || c.in != nil || (c.flags|h.to.flags)&secured != 0 {
		h.fast = 0
		return
	}
	if h.fast++; h.fast < spliceAfter || h.to.Queued() > 0 || h.to.state != stateOpen || !c.loop.engine.Splices() {
		return
	}
	to := h.to.extra()
	if to.inflow.Load() == nil { // else it is one of a splice before
		f := c.loop.takeInflow()
		if f == nil {
			h.fast = 0 // copying does it as well
			return
		}
		to.inflow.Store(f)
	}
	c.flags |= spliced
}

// splice takes what has come for c into the kernel pipe, and on to the other connection. It is Readable of a connection that
// is spliced, and like it returns how many bytes there were.
func (c *Conn) splice() int {
	h := c.handler.(*pipe)
	l, to := c.loop, h.to
	f := to.inflowNow()
	if f == nil { // the other connection has ended
		c.flags &^= spliced
		return 0
	}
	room := f.size - f.holds
	if room <= 0 {
		h.await(c)
		return 0
	}
	n, errno := l.kernel.Splice(int(c.line.FD), f.w, room)
	switch {
	case errno == 0 && n > 0:
		c.received.Store(c.received.Load() + int64(n))
		l.count.BytesIn += int64(n)
		l.count.Spliced += int64(n)
		c.touch()
		to.mu.Lock()
		f.holds += n
		if to.pending() >= l.limits.HighWater {
			to.marks.Or(fullMark)
		}
		to.mu.Unlock()
		to.flush()
		if to.Full() {
			c.pause()
			c.flush()
		}
		return n
	case errno == 0:
		h.endSplice(c)
		l.InputEnded(&c.line)
	case !rawio.WouldBlock(errno):
		h.endSplice(c)
		c.failed("splice", errno)
	case f.holds > 0: // there is nothing to read, or the pipe has no slot left: its slots may hold a byte each
		h.await(c)
	default:
		h.endSplice(c)
	}
	return 0
}

// await has c not read until the kernel pipe is empty.
func (h *pipe) await(c *Conn) {
	h.to.mu.Lock()
	h.to.marks.Or(fullMark)
	h.to.out |= refused // only an empty queue is drained
	h.to.mu.Unlock()
	c.pause()
	c.flush()
	h.to.later(0)
}

// endSplice goes back to reading. A kernel pipe that is not empty stays with the other connection until it is.
func (h *pipe) endSplice(c *Conn) {
	c.flags &^= spliced
	h.fast = 0
	if h.to.loop == c.loop {
		h.to.giveBackInflow()
	}
}

// stopSplicing has c read by the loop, if it is spliced: what it receives is another handler's, or nobody's.
func (c *Conn) stopSplicing() {
	if p, ok := c.handler.(*pipe); ok && c.flags&spliced != 0 {
		p.endSplice(c)
	}
}

// giveBackInflow gives back c's kernel pipe if it is empty.
func (c *Conn) giveBackInflow() {
	more := c.more.Load()
	if more == nil {
		return
	}
	if f := more.inflow.Load(); f != nil && f.holds == 0 {
		more.inflow.Store(nil)
		c.loop.giveInflow(f)
	}
}

// tidyInflow gives back c's kernel pipe once it is empty and nothing is spliced into it any more.
func (c *Conn) tidyInflow() {
	if f := c.inflowNow(); f != nil && f.holds == 0 {
		if p, ok := c.handler.(*pipe); !ok || p.to.loop != c.loop || p.to.flags&spliced == 0 {
			c.giveBackInflow()
		}
	}
}

// inflowNow returns c's kernel pipe, nil if it has none.
func (c *Conn) inflowNow() *inflow {
	if more := c.more.Load(); more != nil {
		return more.inflow.Load()
	}
	return nil
}

// inflowing tells whether something is in c's kernel pipe. mu is held.
func (c *Conn) inflowing() bool {
	f := c.inflowNow()
	return f != nil && f.holds > 0
}

// pendingCipher returns how many bytes wait to be sent as they are: those in the queue, and before them those in the kernel
// pipe. mu is held.
func (c *Conn) pendingCipher() int {
	n := c.queue.Len()
	if f := c.inflowNow(); f != nil {
		n += f.holds
	}
	return n
}

// pushInflow sends on what is in c's kernel pipe, and tells whether that is empty then. mu is held.
func (c *Conn) pushInflow() (empty bool, errno syscall.Errno) {
	f := c.inflowNow()
	if f == nil || f.holds == 0 {
		return true, 0
	}
	n, errno := c.loop.kernel.Splice(f.r, int(c.line.FD), f.holds)
	if errno != 0 {
		if rawio.WouldBlock(errno) {
			errno = 0
		}
		return false, errno
	}
	f.holds -= n
	c.sent += int64(n)
	c.out |= progressed
	return f.holds == 0, 0
}

// dropInflow closes c's kernel pipe, with what it holds. mu is held.
func (c *Conn) dropInflow() {
	if more := c.more.Load(); more != nil {
		if f := more.inflow.Swap(nil); f != nil {
			c.loop.closeInflow(f)
		}
	}
}

func (l *loop) closeInflow(f *inflow) {
	l.kernel.Close(f.r)
	l.kernel.Close(f.w)
	l.server.splices.pipes.Add(-1)
}

// takeInflow returns an empty kernel pipe, nil if there is none to be had.
func (l *loop) takeInflow() *inflow {
	if n := len(l.spares); n > 0 {
		f := l.spares[n-1]
		l.spares = l.spares[:n-1]
		return f
	}
	s := &l.server.splices
	if int64(l.kernel.Now()) < s.until.Load() {
		return nil
	}
	if s.pipes.Add(1) > int64(l.limits.pipes) {
		s.pipes.Add(-1)
		return nil
	}
	r, w, size, err := l.kernel.Pipe(spliceSize)
	if err != nil {
		s.pipes.Add(-1)
		s.until.Store(int64(l.kernel.Now() + spliceRest))
		return nil
	}
	f := &inflow{r: r, w: w, size: size}
	if size < spliceLeast {
		s.until.Store(int64(l.kernel.Now() + spliceRest))
		l.closeInflow(f)
		return nil
	}
	return f
}

func (l *loop) giveInflow(f *inflow) {
	if len(l.spares) < spareMost && int64(l.kernel.Now()) >= l.server.splices.until.Load() {
		l.spares = append(l.spares, f)
	} else {
		l.closeInflow(f)
	}
}

func (l *loop) closeSpares() {
	for _, f := range l.spares {
		l.closeInflow(f)
	}
	l.spares = nil
}

// giveUpSplicing gives the descriptors of kernel pipes back to clients that wait for them, if there are any. It runs on a loop.
func (s *Server) giveUpSplicing(now time.Duration) bool {
	if s.splices.pipes.Load() == 0 {
		return false
	}
	s.splices.until.Store(int64(now + spliceRest))
	for _, l := range s.loops {
		l.give(task{f: func() {
			l.closeSpares()
			for line := range l.conns.All() {
				if c := connOf(line); c.flags&spliced != 0 {
					c.handler.(*pipe).endSplice(c)
				}
			}
		}})
	}
	return true
}
