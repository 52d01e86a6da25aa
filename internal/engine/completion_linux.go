package engine

import (
	"runtime"
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
	bell    atomic.Pointer[Ring] // the same, for Wake
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
	serial  uint32          // the last one given
	batch   batch
	gather  gather
	side    side
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
	e := &completion{owner: o, kernel: k, config: c, side: side{fd: -1}, spare: make([]byte, c.ReadBuffer)}
	if err := e.open(); err != nil {
		return nil, err
	}
	var err error
	if e.batch.arena, err = uring.Map(arenaSize); err != nil {
		e.ring.Close()
		return nil, err
	}
	return e, nil
}

// open makes the ring.
func (e *completion) open() (err error) {
	e.ring, err = e.kernel.OpenRing(uring.Config{
		Entries:     RingEntries,
		Completions: RingCompletions,
		Flags: uring.IORING_SETUP_R_DISABLED | uring.IORING_SETUP_SINGLE_ISSUER | uring.IORING_SETUP_DEFER_TASKRUN |
			uring.IORING_SETUP_TASKRUN_FLAG | uring.IORING_SETUP_SUBMIT_ALL | uring.IORING_SETUP_CLAMP,
	}, RingBuffers, e.config.ReadBuffer, userData(kindBell, 0, 0))
	if err != nil {
		e.ring = nil
		return err
	}
	ring := e.ring
	e.bell.Store(&ring)
	return nil
}

func (e *completion) Name() string { return "uring" }

func (e *completion) Splices() bool { return false }

func (e *completion) Watch(l *Line, want Events) error {
	if l.state.flags&serialised == 0 {
		e.serial++
		l.serial = e.serial
		l.state.set(serialised)
	}
	l.wanted = want
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

// next returns an entry for the next operation: of the submission queue, or when that is full, of the backlog. Nothing is
// handed over in the middle of a turn for want of an entry.
func (e *completion) next() *uring.SQE {
	if len(e.backlog) == 0 && e.ring != nil {
		if sqe := e.ring.Next(); sqe != nil {
			return sqe
		}
	}
	e.backlog = append(e.backlog, uring.SQE{})
	return &e.backlog[len(e.backlog)-1]
}

// load moves the backlog into the submission queue, as far as it has room.
func (e *completion) load() {
	n := 0
	for ; n < len(e.backlog); n++ {
		sqe := e.ring.Next()
		if sqe == nil {
			break
		}
		*sqe = e.backlog[n]
	}
	if n > 0 {
		e.backlog = append(e.backlog[:0], e.backlog[n:]...)
	}
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

// bring enters the ring: for what the turn has begun, and to wait.
func (e *completion) bring(timeout time.Duration) error {
	e.batch.lost = false
	switch n := e.gather.worth(e.config); {
	case timeout != 0 && n > 0:
		before := e.done.Len()
		err := e.enter(enterWait, n, gatherWait)
		e.gather.came(e.done.Len()-before >= n)
		if err != nil {
			return err
		}
	case timeout == 0:
		if e.pending() > 0 || e.ring == nil || !e.enabled || e.ring.Due() {
			return e.enter(enterSubmit, 0, 0)
		}
		return nil
	}
	if e.done.Len() > 0 || e.batch.lost {
		return nil
	}
	return e.enter(enterSleep, 0, timeout)
}

// pending returns how many operations are begun and not handed over.
func (e *completion) pending() int {
	if e.ring == nil {
		return len(e.backlog)
	}
	return len(e.backlog) + e.ring.Queued()
}

// begin makes the calling thread the ring's, and makes the ring if there is none.
func (e *completion) begin() error {
	if e.ring == nil {
		if err := e.open(); err != nil {
			return err
		}
	}
	runtime.LockOSThread()
	if err := e.ring.Enable(); err != nil {
		runtime.UnlockOSThread()
		return err
	}
	e.enabled = true
	return nil
}

// How enter enters the ring first.
const (
	enterSubmit = iota // hand over what the turn has begun
	enterWait          // and wait for n completions, at most d
	enterSleep         // and sleep until there is something, at most d
)

func (e *completion) call(how, n int, d time.Duration) error {
	switch {
	case len(e.backlog) > 0 || how == enterSubmit: // there is more to hand over before anybody waits
		if e.ring.Queued() > shortBatch {
			return e.ring.Wait(0, -1) // does not wait, but is worth a word to the scheduler
		}
		return e.ring.Submit()
	case how == enterWait:
		return e.ring.Wait(n, d)
	}
	return e.ring.Sleep(d)
}

// enter enters the ring, and again until all that was begun is handed over and all that overflowed is here.
// It calls no handler. An error says that the kernel took only a part for now: what is left stays begun.
func (e *completion) enter(how, n int, d time.Duration) error {
	if !e.enabled {
		if err := e.begin(); err != nil {
			return err
		}
	}
	for {
		e.load()
		before, had := e.pending(), e.done.Len()
		err := e.call(how, n, d)
		e.collect()
		if e.pending() == 0 {
			if !e.ring.Overflowing() { // what follows must know of every send that failed
				e.batch.over = len(e.batch.parts)
				return err
			}
			if err != nil {
				return err
			}
		} else if err != nil {
			return err
		} else if e.pending() == before && e.done.Len() == had {
			return syscall.EAGAIN // the kernel takes nothing and does not say why
		}
		how = enterSubmit
	}
}

// collect takes what is complete out of the queue.
func (e *completion) collect() {
	e.fresh = e.ring.Collect(e.fresh[:0])
	for _, cqe := range e.fresh {
		switch kind := cqe.UserData >> kindShift; kind {
		case kindSend:
			e.batch.unsent(cqe)
			continue
		case kindReceive, kindLook, kindPoll:
			if !cqe.More() {
				e.flying--
			}
		}
		e.done.Push(cqe)
	}
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

// Wake rings the bell. Any goroutine may call it.
func (e *completion) Wake() {
	if r := e.bell.Load(); r != nil {
		(*r).Wake()
	}
}

func (e *completion) Close() {
	if e.ring != nil {
		if e.pending() > 0 {
			e.enter(enterSubmit, 0, 0) // closes what was released last
		}
		e.ring.Close()
	}
	if e.batch.arena != nil {
		uring.Unmap(e.batch.arena)
	}
	e.side.close(e)
	if e.enabled {
		runtime.UnlockOSThread()
	}
}
