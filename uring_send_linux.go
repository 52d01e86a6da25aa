package switchboard

import (
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/switchboard-go/switchboard/internal/rawio"
	"github.com/switchboard-go/switchboard/internal/uring"
)

// sending is one connection's part of a batch.
type sending struct {
	c    *Conn
	p    []byte
	lost bool
}

// send puts what c has queued into the batch, and more. c.mu is held.
func (e *completion) send(c *Conn, more []byte) syscall.Errno {
	queued := int(c.queued)
	n := queued + len(more)
	if n > batchMost || n > len(e.arena)-e.used {
		one := [1][]byte{more}
		return c.transmit(one[:])
	}
	sqe := e.next() // first of all: it may have to submit the batch, whose memory is used anew then
	p := e.arena[e.used : e.used : e.used+n]
	for b, skip := c.head, int(c.headSent); b != nil; b, skip = b.Next, 0 {
		p = append(p, b.B[skip:]...)
	}
	p = append(p, more...)
	e.used += n
	c.dequeue(queued)
	c.moved(n)
	c.out |= inBatch
	sqe.Send(int(c.fd), p, unix.MSG_DONTWAIT|unix.MSG_WAITALL, userData(kindSend, 0, len(e.batch)))
	sqe.Quiet()
	e.batch = append(e.batch, sending{c: c, p: p})
	return 0
}

// submit has the kernel take the batch now.
func (e *completion) submit() { e.enter(e.submission) }

// collect takes what is complete out of the queue.
func (e *completion) collect() {
	for cqe := range e.ring.Completions {
		if cqe.UserData>>kindShift == kindSend {
			e.unsent(&e.batch[uint32(cqe.UserData)], cqe)
		} else {
			e.done.items = append(e.done.items, cqe)
		}
	}
}

// endBatch lets those send again whose output the kernel has dealt with.
func (e *completion) endBatch() {
	for i := range e.batch {
		s := &e.batch[i]
		c := s.c
		c.mu.Lock()
		c.out &^= inBatch
		c.mu.Unlock()
		if s.lost && c.state != stateGone {
			c.later(0)
		}
	}
	clear(e.batch)
	e.batch, e.used = e.batch[:0], 0
}

// unsent puts back into the queue what the kernel did not take.
func (e *completion) unsent(s *sending, cqe uring.CQE) {
	rest := s.p[max(int(cqe.Res), 0):]
	c := s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	s.lost = true
	if c.out&closed != 0 {
		return
	}
	c.sent -= int64(len(rest))
	c.putBack(rest)
	if errno := syscall.Errno(-cqe.Res); cqe.Res < 0 && !rawio.WouldBlock(errno) {
		c.breakOff("write", errno)
	} else {
		c.out |= blocked | progressed
	}
}
