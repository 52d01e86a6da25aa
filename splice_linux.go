package switchboard

import (
	"syscall"

	"github.com/switchboard-go/switchboard/internal/rawio"
)

// Splicing moves what a connection of a Pipe receives to the other one inside the kernel, by way of a kernel pipe. It
// costs two more descriptors and pays for bulk only, so a Pipe begins it when the input comes faster than it is read, and
// ends it when the input pauses.

const (
	spliceAfter = 4         // reads in a row that filled the loop's buffer
	spliceSize  = 256 << 10 // bytes that a kernel pipe should hold
	spareMost   = 16        // kernel pipes that a loop keeps for the next
)

// An inflow is a kernel pipe whose content goes to a connection's peer before what is in that connection's queue, of which
// it counts as the beginning. It is touched on the loop alone: while it holds something, the connection is blocked or in
// flush, and then a Write of any other goroutine only queues.
type inflow struct {
	r, w  int
	size  int // bytes it can hold
	holds int // bytes it does hold
}

// spliceFrom begins to splice from c to h.to if the input has come fast, and tells whether it did.
func (h *pipe) spliceFrom(c *Conn, received int) {
	if h.to.loop != c.loop || received < c.loop.limits.ReadBuffer || c.in != nil || (c.flags|h.to.flags)&secured != 0 {
		h.fast = 0
		return
	}
	if h.fast++; h.fast < spliceAfter || h.to.Queued() > 0 || h.to.state != stateOpen {
		return
	}
	if _, ok := c.loop.engine.(*readiness); !ok {
		return
	}
	f := c.loop.takeInflow()
	if f == nil {
		h.fast = 0 // out of descriptors or of memory for pipes: copying does it as well
		return
	}
	h.to.extra().inflow.Store(f)
	c.flags |= spliced
}

// splice takes what has come for c into the kernel pipe, and on to the other connection. It is the engine's read of a
// connection that is spliced, and like it tells whether there was anything.
func (c *Conn) splice() bool {
	h := c.handler.(*pipe)
	f := h.to.extra().inflow.Load()
	if f == nil { // the other connection has ended
		c.flags &^= spliced
		return false
	}
	room := f.size - f.holds
	n, errno := rawio.Splice(int(c.fd), f.w, room)
	switch {
	case errno == 0 && n > 0:
		c.received.Store(c.received.Load() + int64(n))
		c.loop.count.BytesIn += int64(n)
		c.loop.count.Spliced += int64(n)
		if c.loop.limits.IdleTimeout > 0 {
			c.active.Store(c.loop.tick)
		}
		h.to.mu.Lock()
		f.holds += n
		h.to.queued += int32(n)
		if int(h.to.queued) >= c.loop.limits.HighWater {
			h.to.full.Store(true)
		}
		h.to.mu.Unlock()
		h.to.flush()
		if h.to.Full() {
			c.Pause()
		}
	case errno == 0:
		h.endSplice(c)
		c.inputEnd()
	case rawio.WouldBlock(errno):
		if room == f.size {
			h.endSplice(c)
		}
		return false
	default:
		h.endSplice(c)
		c.failed("splice", errno)
	}
	return true
}

// endSplice goes back to reading. A kernel pipe that is not empty stays with the other connection.
func (h *pipe) endSplice(c *Conn) {
	c.flags &^= spliced
	h.fast = 0
	f := h.to.extra().inflow.Load()
	if f == nil {
		return
	}
	if f.holds == 0 {
		h.to.extra().inflow.Store(nil)
		c.loop.giveInflow(f)
	}
}

// pushInflow sends what c's kernel pipe holds, and tells whether it is empty now. mu is held.
func (c *Conn) pushInflow() (empty bool, errno syscall.Errno) {
	more := c.more.Load()
	if more == nil {
		return true, 0
	}
	f := more.inflow.Load()
	if f == nil || f.holds == 0 {
		return true, 0
	}
	n, errno := rawio.Splice(f.r, int(c.fd), f.holds)
	if errno != 0 {
		if rawio.WouldBlock(errno) {
			errno = 0
		}
		return false, errno
	}
	f.holds -= n
	c.queued -= int32(n)
	c.moved(n)
	c.out |= progressed
	return f.holds == 0, 0
}

// dropInflow closes c's kernel pipe, with what it holds. mu is held.
func (c *Conn) dropInflow() {
	more := c.more.Load()
	if more == nil {
		return
	}
	if f := more.inflow.Swap(nil); f != nil {
		c.queued -= int32(f.holds)
		f.close()
	}
}

func (f *inflow) close() {
	rawio.Close(f.r)
	rawio.Close(f.w)
}

func (l *loop) takeInflow() *inflow {
	if n := len(l.spares); n > 0 {
		f := l.spares[n-1]
		l.spares = l.spares[:n-1]
		return f
	}
	r, w, size, err := rawio.Pipe(spliceSize)
	if err != nil {
		return nil
	}
	return &inflow{r: r, w: w, size: size}
}

func (l *loop) giveInflow(f *inflow) {
	if len(l.spares) < spareMost {
		l.spares = append(l.spares, f)
	} else {
		f.close()
	}
}

func (l *loop) closeSpares() {
	for _, f := range l.spares {
		f.close()
	}
}
