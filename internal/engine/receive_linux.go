package engine

import (
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/switchboard-go/switchboard/internal/rawio"
	"github.com/switchboard-go/switchboard/internal/uring"
)

// How a line's input comes. Bytes keep their order because at most one way is open at a time: whoever reads directly does so
// only when nothing was begun whose bytes could be on their way.
//
//	state      what brings input                          goes to
//	quiet      nothing                                    receiving, looking: beginInput, when it is watched for Read
//	receiving  the ring receives, again and again         quiet: its last completion. starved: that was ENOBUFS
//	looking    the ring waits for input, once             quiet: its completion; then the owner reads
//	starved    the owner reads in the next Wait           quiet: feed, when the owner has read
//
// receiving and looking are cancelled when the line is no longer watched for Read. They end with their last completion all
// the same, and until then nothing else begins.
const (
	inputQuiet = iota
	inputReceiving
	inputLooking
	inputStarved
)

// A lineState is what the completion engine does for a line. Its zero value: nothing.
type lineState struct {
	input uint8 // see inputQuiet
	side  uint8 // see sideNothing
	flags lineFlags
}

type lineFlags uint8

const (
	cancelling lineFlags = 1 << iota // receiving or looking is being cancelled
	flooding                         // it brings more than is good for the others: it is read once a turn
	ended                            // the peer's end of output was received
	polling                          // the ring waits for room for output
	batched                          // the batch has bytes of it
	serialised                       // it has a serial number
)

func (s *lineState) set(f lineFlags)   { s.flags |= f }
func (s *lineState) clear(f lineFlags) { s.flags &^= f }

// beginInput has the kernel receive for l. A line that floods is only waited for, and then read: left alone, the kernel goes
// on receiving for it while there are buffers. (To receive once, into the same buffers, is not possible: the kernel tells of
// it later than of what it receives again and again, and the order tells which bytes are whose.)
func (e *completion) beginInput(l *Line) {
	e.flying++
	if l.state.flags&flooding != 0 {
		l.state.input = inputLooking
		e.next().Poll(int(l.FD), unix.POLLIN, e.id(kindLook, l))
	} else {
		l.state.input = inputReceiving
		e.receive(l)
	}
}

func (e *completion) receive(l *Line) {
	sqe := e.next()
	if e.ring == nil { // it is made anew before the backlog is loaded; which ring it is does not matter to an entry
		*sqe = uring.SQE{Opcode: uring.IORING_OP_RECV, Flags: uring.IOSQE_BUFFER_SELECT, IoPrio: uring.IORING_RECV_MULTISHOT,
			FD: l.FD, UserData: e.id(kindReceive, l)}
		return
	}
	e.ring.Receive(sqe, int(l.FD), e.id(kindReceive, l))
}

// cancelInput ends receiving or looking.
func (e *completion) cancelInput(l *Line) {
	kind := kindReceive
	switch {
	case l.state.flags&cancelling != 0:
		return
	case l.state.input == inputLooking:
		kind = kindLook
	case l.state.input != inputReceiving:
		return
	}
	l.state.set(cancelling)
	e.next().Cancel(e.id(kind, l), userData(kindNobody, 0, 0))
}

// received passes on what came for l, which is nil if it is gone.
func (e *completion) received(l *Line, cqe uring.CQE, p []byte) {
	defer e.goOn(l) // also if the owner does not return
	if l == nil {
		return
	}
	if !cqe.More() {
		l.state.input = inputQuiet
		l.state.clear(cancelling)
	}
	switch errno := syscall.Errno(-cqe.Res); {
	case cqe.Res > 0:
		e.bound(l, cqe)
		e.owner.Received(l, p)
	case cqe.Res == 0 && e.broken(l):
	case cqe.Res == 0:
		l.state.set(ended)
		e.owner.InputEnded(l)
	case errno == unix.ENOBUFS, errno == unix.ENOMEM:
		// It may have been another's flood that took them all, and will be again: this one is not left to chance.
		l.state.input = inputStarved
		e.figures.Starved++
		e.starved.Push(l)
	case errno == unix.ECANCELED, rawio.WouldBlock(errno):
	default:
		e.owner.Failed(l, "read", errno)
	}
}

// goOn ends what a completion began: its buffer is given back, and l's input begins anew in the next turn if it has ended and
// is wanted. l is nil if it is gone.
func (e *completion) goOn(l *Line) {
	e.letGo()
	if l != nil && l.state.input == inputQuiet && l.Watches(Read) {
		e.again.Push(l)
	}
}

// looked has the owner read l, which floods, because there is something, or because it is waited for no longer.
func (e *completion) looked(l *Line) {
	l.state.input = inputQuiet
	l.state.clear(cancelling)
	defer e.goOn(l)
	if l.Watches(Read) && !e.broken(l) && e.owner.Readable(l, e.spare) < len(e.spare) && l.state.flags&serialised != 0 {
		l.state.clear(flooding)
	}
}

// bound sees to it that a line which brings more than ReadBuffer in one turn brings so much a turn from then on, until it
// brings less.
func (e *completion) bound(l *Line, cqe uring.CQE) {
	if l != e.last {
		e.last, e.row = l, 0
	}
	e.row += int(max(cqe.Res, 0))
	if e.row > e.config.ReadBuffer && l.state.flags&flooding == 0 {
		e.cancelInput(l)
		l.state.set(flooding)
	}
}

// feed has the owner read for the lines that the buffers had run out for, and tells whether there were any.
func (e *completion) feed() bool {
	if e.starved.Len() == 0 {
		return false
	}
	e.owner.Woken()
	for l, ok := e.starved.Next(); ok; l, ok = e.starved.Next() {
		if l.state.input != inputStarved { // it is gone
			continue
		}
		l.state.input = inputQuiet
		if l.Watches(Read) {
			e.again.Push(l) // before the owner, who may not return
			if !e.broken(l) {
				e.owner.Readable(l, e.spare)
			}
		}
	}
	return true
}

// letGo gives back the buffer that the owner had last.
func (e *completion) letGo() {
	if e.ring != nil && e.former == 0 {
		e.ring.Release(e.held)
	}
	e.held = uring.CQE{}
}
