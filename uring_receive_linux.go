package switchboard

import (
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/switchboard-go/switchboard/internal/rawio"
	"github.com/switchboard-go/switchboard/internal/uring"
	"github.com/switchboard-go/switchboard/selector"
)

// receive has the kernel receive for c. A connection that floods is only waited for, and then read: left alone, the kernel
// goes on receiving for it while there are buffers. (To receive once, into the same buffers, is not possible: the kernel
// tells of it later than of what it receives again and again, and the order tells which bytes are whose.)
func (e *completion) receive(c *Conn) {
	c.ring |= receiving
	if c.ring&flooding != 0 {
		c.ring |= looking
		e.next().Poll(int(c.fd), unix.POLLIN, e.id(kindLook, c))
	} else {
		e.next().RecvMultishot(int(c.fd), e.buffers, e.id(kindReceive, c))
	}
}

func (e *completion) stopReceiving(c *Conn) {
	if c.ring&(receiving|cancelling) != receiving {
		return
	}
	c.ring |= cancelling
	kind := kindReceive
	if c.ring&looking != 0 {
		kind = kindLook
	}
	e.next().Cancel(e.id(kind, c), 0)
}

// look tells of what has come that the kernel has not yet received for c. It will be here with the next turn.
func (e *completion) look(c *Conn) bool { return rawio.Waiting(int(c.fd)) > 0 }

// received passes on what came for c, which is nil if it is gone.
func (e *completion) received(c *Conn, cqe uring.CQE) {
	p := e.buffers.Bytes(cqe)
	e.held = cqe
	defer e.letGo()
	if c == nil {
		return
	}
	if !cqe.More() {
		c.ring &^= receiving | cancelling
	}
	switch errno := syscall.Errno(-cqe.Res); {
	case cqe.Res > 0:
		c.receive(p)
	case cqe.Res == 0:
		c.inputEnd()
	case errno == unix.ENOBUFS:
		// It may have been another's flood that took them all, and will be again: this one is not left to chance.
		e.starved.items = append(e.starved.items, c)
		return
	case errno == unix.ECANCELED, rawio.WouldBlock(errno):
	default:
		c.failed("read", errno)
	}
	if c.state == stateGone {
		return
	}
	e.bound(c, cqe)
	if c.ring&receiving == 0 && c.watches(selector.Read) {
		e.again.items = append(e.again.items, c)
	}
}

// looked reads c, which floods, because there is something, or because it is waited for no longer.
func (e *completion) looked(c *Conn) {
	c.ring &^= receiving | cancelling | looking
	if !c.watches(selector.Read) {
		return
	}
	before := c.received.Load()
	c.read(e.spare)
	if c.state == stateGone {
		return
	}
	if c.received.Load()-before < int64(len(e.spare)) {
		c.ring &^= flooding
	}
	if c.ring&receiving == 0 && c.watches(selector.Read) {
		e.again.items = append(e.again.items, c)
	}
}

// bound sees to it that a connection which brings more than ReadBuffer in one turn brings so much a turn from now on, until
// it brings less.
func (e *completion) bound(c *Conn, cqe uring.CQE) {
	if c != e.last {
		e.last, e.row = c, 0
	}
	e.row += int(max(cqe.Res, 0))
	if e.row > e.loop.limits.ReadBuffer && c.ring&flooding == 0 {
		e.stopReceiving(c)
		c.ring |= flooding
	}
}

// feed reads for the connections that the buffers had run out for, and tells whether there were any.
func (e *completion) feed() bool {
	if len(e.starved.items) == 0 {
		return false
	}
	e.loop.woken()
	for c, ok := e.starved.next(); ok; c, ok = e.starved.next() {
		if c.state != stateGone && c.watches(selector.Read) {
			c.read(e.spare)
			e.again.items = append(e.again.items, c)
		}
	}
	return true
}

// letGo gives back the buffer that was last offered.
func (e *completion) letGo() {
	e.buffers.Release(e.held)
	e.held = uring.CQE{}
}
