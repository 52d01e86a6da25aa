package engine

import (
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/switchboard-go/switchboard/internal/uring"
)

// completion is the engine on io_uring: the kernel receives into the ring's buffers and sends what the turn has written,
// in the one system call that also waits.
//
// The loop's goroutine keeps its thread, which alone may enter the ring: completions are then run where they are wanted
// and nowhere else. Nothing is ever in flight between two turns but receiving and polling: a send does not wait, so when
// the entering call returns its outcome is known, and mostly, when all was taken, not worth a completion.
type completion struct {
	owner   Owner
	kernel  ringKernel
	config  Config
	ring    Ring                 // nil when it could not be made anew
	waker   atomic.Pointer[Ring] // the same, for Wake
	enabled bool

	backlog []uring.SQE     // operations that did not fit into the submission queue, in their order
	done    FIFO[uring.CQE] // completions not dealt with
	fresh   []uring.CQE     // just taken from the ring
	saved   FIFO[[]byte]    // what the first former of them brought, see Evacuate
	former  int             // how many of done are of a ring that is gone
	held    uring.CQE       // whose buffer the owner has
	flying  int             // operations of lines that have not completed for good
	again   FIFO[*Line]     // to watch anew in the next turn
	starved FIFO[*Line]     // to read from in the next turn, as the buffers had run out
	spare   []byte          // to read into
	last    *Line           // that the completion before was for
	row     int             // bytes that it has got in a row
	still   bool            // nothing is begun for lines, see Still
	serial  uint32          // the last one given
	batch   batch
	gather  gather
	side    side
	figures Figures
	thread  atomic.Int32 // that the loop keeps; 0 before it begins
}

// Variables, so that a test can make them small.
var (
	RingEntries     = 2048 // operations that one turn may begin before some wait in the backlog
	RingCompletions = 8192 // and pieces that it may bring; more overflow, which the kernel keeps
	RingBuffers     = 4    // of ReadBuffer bytes each: so much one connection may bring before it can be stopped
)

const (
	shortBatch     = 32                   // operations that are begun in a few microseconds
	restCompletion = 2 * time.Millisecond // who keeps a thread leaves the processor to others at the cost of some microseconds
)

// The user data of an operation is its kind, a serial number and the index of whom it is for. The serial number tells the
// line that an operation was begun for from the one that has its index by then.
const (
	kindNobody  = iota // the completion says nothing
	kindBell           // of Ring.Sleep
	kindSide           // the epoll of the side has something
	kindReceive        // receives, again and again
	kindLook           // waits for input, once
	kindPoll           // waits for room for output, once
	kindSend           // sends; its index is that in the batch

	kindShift   = 60
	serialShift = 32
	serialMask  = 1<<(kindShift-serialShift) - 1
)

func userData(kind int, serial uint32, index int) uint64 {
	return uint64(kind)<<kindShift | uint64(serial&serialMask)<<serialShift | uint64(uint32(index))
}

func newCompletion(k ringKernel, o Owner, c Config) (Engine, error) {
	e := &completion{owner: o, kernel: k, config: c, spare: make([]byte, c.ReadBuffer)}
	if err := e.open(); err != nil {
		return nil, err
	}
	if err := e.side.open(e); err != nil {
		e.ring.Close()
		return nil, err
	}
	var err error
	if e.batch.arena, err = uring.Map(arenaSize); err != nil {
		e.kernel.Close(e.side.fd)
		e.ring.Close()
		return nil, err
	}
	return e, nil
}

func (e *completion) Name() string { return "uring" }

func (e *completion) Figures() Figures { return e.figures }

func (e *completion) Processor() time.Duration {
	thread := e.thread.Load()
	if thread == 0 {
		return 0
	}
	var t unix.Timespec
	const perThread, scheduled = 4, 2 // how the kernel makes a clock of a thread's number: CPUCLOCK_PERTHREAD_MASK, CPUCLOCK_SCHED
	if unix.ClockGettime(^thread<<3|perThread|scheduled, &t) != nil {
		return 0 // the thread has ended
	}
	return time.Duration(t.Nano())
}

func (e *completion) Splices() bool { return false }

func (e *completion) Watch(l *Line, want Events) error {
	if l.state.flags&serialised == 0 {
		e.serial++
		l.serial = e.serial
		l.state.set(serialised)
	}
	l.wanted = want
	if e.still {
		e.again.Push(l)
		return nil
	}
	if want&Read == 0 {
		e.cancelInput(l)
	} else if l.state.input == inputQuiet {
		e.beginInput(l)
	}
	if want&Write != 0 && l.state.flags&polling == 0 && l.state.side != sideRoom {
		if l.state.flags&ended != 0 {
			return e.side.watch(e, l, sideRoom)
		}
		e.pollRoom(l)
	}
	if want == Hangup && l.state.side == sideNothing {
		return e.side.watch(e, l, sideHangup)
	}
	return nil
}

// pollRoom has the ring tell when there is room for output.
func (e *completion) pollRoom(l *Line) {
	l.state.set(polling)
	e.flying++
	e.next().Poll(int(l.FD), unix.POLLOUT, e.id(kindPoll, l))
}

func (e *completion) id(kind int, l *Line) uint64 { return userData(kind, l.serial, int(l.Index)) }

// Release has the kernel end what it does for l, and then close the descriptor. In this order, and behind what was begun for
// l and not handed over yet: the number is not another's before all that is done. A completion that was on its way finds
// nobody of its serial number.
func (e *completion) Release(l *Line) {
	e.cancelInput(l)
	if l.state.flags&polling != 0 {
		e.next().Cancel(e.id(kindPoll, l), userData(kindNobody, 0, 0))
	}
	if l.state.side != sideNothing {
		e.side.forget(e, l)
	}
	if l.state.flags&batched != 0 {
		e.batch.forget(l)
	}
	if l.FD >= 0 {
		sqe := e.next()
		sqe.Close(int(l.FD), userData(kindNobody, 0, 0))
		sqe.Quiet()
		l.FD = -1
	}
	l.state, l.wanted = lineState{}, 0
}

func (e *completion) Wait(timeout time.Duration) error {
	e.letGo()
	e.endBatch()
	fed := e.feed()
	for l, ok := e.again.Next(); ok; l, ok = e.again.Next() {
		if l.wanted != 0 {
			if err := e.Watch(l, l.wanted); err != nil {
				e.fail(l, err)
			}
		}
	}
	if fed || e.done.Len() > 0 {
		timeout = 0
	}
	e.owner.Rest(restCompletion)
	err := e.bring(timeout)
	e.owner.Woken()
	e.endBatch()
	e.gather.turn(e.done.Waiting())
	for cqe, ok := e.done.Next(); ok; cqe, ok = e.done.Next() {
		e.settle(cqe)
	}
	e.last = nil
	return err
}

// settle passes on one completion.
func (e *completion) settle(cqe uring.CQE) {
	kind := int(cqe.UserData >> kindShift)
	p := e.bytes(cqe, kind)
	switch kind {
	case kindBell:
		if e.former == 0 {
			e.ring.Heard(cqe)
		}
	case kindSide:
		e.side.answer(e)
	case kindReceive, kindLook, kindPoll:
		l := e.config.Lines.At(int(uint32(cqe.UserData)))
		if l != nil && (uint64(l.serial&serialMask) != cqe.UserData>>serialShift&serialMask || l.state.flags&serialised == 0) {
			l = nil
		}
		switch {
		case kind == kindReceive:
			e.received(l, cqe, p)
		case l == nil:
		case kind == kindLook:
			e.looked(l)
		default:
			e.polled(l, cqe)
		}
	}
}

// bytes returns what a completion brought.
func (e *completion) bytes(cqe uring.CQE, kind int) []byte {
	if e.former > 0 {
		e.former--
		p, _ := e.saved.Next()
		return p
	}
	if kind != kindReceive {
		return nil
	}
	e.held = cqe
	return e.ring.Bytes(cqe)
}

// polled tells l's owner that its descriptor can be written, or that connecting has ended.
//
// The kernel adds POLLRDHUP to every mask. So on a line whose peer has ended its output, a poll for room completes at once
// and says nothing of room: such a line is waited for by the epoll of the side, which does not add that.
func (e *completion) polled(l *Line, cqe uring.CQE) {
	l.state.clear(polling)
	switch {
	case !l.Watches(Write):
	case syscall.Errno(-cqe.Res) == unix.ECANCELED:
		e.again.Push(l)
	case cqe.Res >= 0 && cqe.Res&(unix.POLLOUT|unix.POLLERR|unix.POLLHUP|unix.POLLNVAL) == 0:
		if err := e.side.watch(e, l, sideRoom); err != nil {
			e.fail(l, err)
		}
	default:
		l.wanted &^= Write // asked for anew if there is still no room
		e.owner.Writable(l)
	}
}

// fail tells l's owner that it cannot be watched.
func (e *completion) fail(l *Line, err error) {
	errno, ok := err.(syscall.Errno)
	if !ok {
		errno = syscall.EIO
	}
	e.owner.Failed(l, "epoll_ctl", errno)
}

// Wake ends the wait of the loop. Any goroutine may call it.
func (e *completion) Wake() {
	if r := e.waker.Load(); r != nil {
		(*r).Wake()
	}
}

func (e *completion) Close() {
	if e.pending() > 0 {
		e.exhaust() // what was released last is to be closed
	}
	if e.ring != nil {
		e.ring.Close()
	}
	if e.batch.arena != nil {
		uring.Unmap(e.batch.arena)
	}
	e.kernel.Close(e.side.fd)
}
