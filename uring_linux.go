package switchboard

import (
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/switchboard-go/switchboard/internal/rawio"
	"github.com/switchboard-go/switchboard/internal/uring"
	"github.com/switchboard-go/switchboard/selector"
)

// completion is the engine on io_uring: the kernel receives into the ring's buffers and sends what the turn has written,
// in the one system call that also waits.
//
// The loop's goroutine keeps its thread, which alone may enter the ring: completions are then run where they are wanted
// and nowhere else. Nothing is ever in flight between two turns but receiving and polling: a send does not wait, so when
// the entering call returns its outcome is known, and mostly, when all was taken, not worth a completion.
type completion struct {
	loop    *loop
	ring    *uring.Ring
	buffers *uring.Buffers
	bell    *uring.Bell
	enabled bool

	done    fifo[uring.CQE] // completions not yet dealt with
	held    uring.CQE       // the one whose bytes a handler has, or had when it panicked
	batch   []sending       // what is sent with the next entering call
	arena   []byte          // its bytes: memory that the collector knows nothing of
	used    int
	again   fifo[*Conn] // to receive from anew in the next turn
	starved fifo[*Conn] // to read from in the next turn, as the buffers had run out
	spare   []byte      // to read into
	last    *Conn       // that the completion before was for
	row     int         // bytes that it has got in a row
	crowd   crowd
	doors   doors
	serial  uint32 // the last one given
}

// Variables, so that a test can make them small.
var (
	ringEntries     = 2048 // operations that one turn may begin
	ringCompletions = 8192 // and pieces that it may bring; more overflow, which the kernel keeps
	ringBuffers     = 4    // of ReadBuffer bytes each: so much one connection may bring before it can be stopped
)

const (
	arenaSize  = 256 << 10
	shortBatch = 32       // operations that are begun in a few microseconds
	restAfter  = 2        // milliseconds: who keeps a thread leaves the processor to others at the cost of some microseconds
	batchMost  = 16 << 10 // bytes of one connection in a batch: with more, a call of its own costs nothing
)

// The user data of an operation is its kind, a serial number and the index of whom it is for. The serial number tells the
// connection that an operation was begun for from the one that has its index now.
const (
	kindNobody = iota // the completion says nothing
	kindBell
	kindAccept
	kindReceive
	kindLook
	kindPoll
	kindSend

	kindShift   = 60
	serialShift = 32
	serialMask  = 1<<(kindShift-serialShift) - 1
)

func userData(kind int, serial uint32, index int) uint64 {
	return uint64(kind)<<kindShift | uint64(serial&serialMask)<<serialShift | uint64(uint32(index))
}

func newCompletion(l *loop) (engine, error) {
	ring, err := uring.New(uring.Config{
		Entries:     ringEntries,
		Completions: ringCompletions,
		Flags: uring.IORING_SETUP_R_DISABLED | uring.IORING_SETUP_SINGLE_ISSUER | uring.IORING_SETUP_DEFER_TASKRUN |
			uring.IORING_SETUP_TASKRUN_FLAG | uring.IORING_SETUP_SUBMIT_ALL | uring.IORING_SETUP_CLAMP,
	})
	if err != nil {
		return nil, err
	}
	e := &completion{loop: l, ring: ring, doors: doors{fd: -1}, spare: make([]byte, l.limits.ReadBuffer)}
	if e.buffers, err = ring.NewBuffers(0, ringBuffers, l.limits.ReadBuffer, uring.Incremental); err != nil {
		e.close()
		return nil, err
	}
	if e.arena, err = uring.Map(arenaSize); err != nil {
		e.close()
		return nil, err
	}
	if e.bell, err = ring.NewBell(userData(kindBell, 0, 0)); err != nil {
		e.close()
		return nil, err
	}
	return e, nil
}

func (e *completion) name() string { return "uring" }

func (e *completion) listen(ln *listener) error { return e.doors.open(e, ln) }

func (e *completion) unlisten(ln *listener) { e.doors.shut(ln) }

func (e *completion) watch(c *Conn, want selector.Events) error {
	if c.ring&serialised == 0 {
		e.serial++
		c.serial = e.serial
		c.ring |= serialised
	}
	c.wanted = uint8(want)
	switch {
	case want&selector.Read == 0:
		e.stopReceiving(c)
	case c.ring&receiving == 0:
		e.receive(c)
	}
	if want&selector.Write != 0 && c.ring&polling == 0 {
		c.ring |= polling
		e.next().Poll(int(c.fd), unix.POLLOUT, e.id(kindPoll, c))
	}
	return nil
}

func (e *completion) id(kind int, c *Conn) uint64 { return userData(kind, c.serial, int(c.index)) }

// release has the kernel end what it does for c, and then close the descriptor. In this order, and behind what was begun for
// c and not handed over yet: it is not another's before all that is done. A completion that was on its way finds nobody of
// its serial number.
func (e *completion) release(c *Conn) {
	e.stopReceiving(c)
	if c.ring&polling != 0 {
		e.next().Cancel(e.id(kindPoll, c), 0)
	}
	c.ring, c.wanted = 0, 0
	if c.fd >= 0 {
		sqe := e.next()
		sqe.Close(int(c.fd), userData(kindNobody, 0, 0))
		sqe.Quiet()
	}
}

// next returns an entry for the next operation.
func (e *completion) next() *uring.SQE {
	for {
		if sqe := e.ring.Next(); sqe != nil {
			return sqe
		}
		e.enter(e.submission)
	}
}

func (e *completion) wait(timeout time.Duration) error {
	e.letGo()
	if e.feed() {
		timeout = 0
	}
	for c, ok := e.again.next(); ok; c, ok = e.again.next() {
		if c.state != stateGone && c.watches(selector.Read) && c.ring&receiving == 0 {
			e.receive(c)
		}
	}
	e.loop.rest(restAfter)
	var err error
	switch n := e.crowd.worth(e.loop); {
	case timeout != 0 && n > 0:
		err = e.enter(func() error { return e.ring.Wait(n, crowdWait) })
		e.crowd.came(len(e.done.items) >= n)
	case timeout == 0 && (e.ring.Queued() > 0 || e.ring.Due()):
		err = e.enter(e.submission)
	}
	if timeout != 0 && err == nil && len(e.done.items) == 0 && len(e.loop.list) == 0 {
		err = e.enter(func() error { return e.bell.Sleep(timeout) })
	}
	e.loop.woken()
	e.crowd.turn(e.done.items)
	for cqe, ok := e.done.next(); ok; cqe, ok = e.done.next() {
		e.settle(cqe)
	}
	e.last = nil
	return err
}

// begin makes the calling thread the ring's.
func (e *completion) begin() error {
	runtime.LockOSThread()
	if err := e.ring.Enable(); err != nil {
		return err
	}
	if err := e.ring.RegisterFD(); err != nil {
		return err
	}
	e.enabled = true
	return nil
}

// submission hands over what the turn has begun.
func (e *completion) submission() error {
	if e.ring.Queued() > shortBatch {
		return e.ring.Wait(0, -1) // does not wait, but is worth a word to the scheduler
	}
	return e.ring.Submit()
}

// enter makes the entering call, and collects what is complete. It calls no handler.
func (e *completion) enter(call func() error) error {
	if !e.enabled {
		if err := e.begin(); err != nil {
			return err
		}
	}
	err := call()
	e.collect()
	for err == nil && e.ring.Overflowing() { // what follows must know of every send that failed
		err = e.ring.Submit()
		e.collect()
	}
	if e.ring.Queued() > 0 {
		return err // the kernel has not taken all: the batch is not over
	}
	e.endBatch()
	return err
}

// settle passes on one completion.
func (e *completion) settle(cqe uring.CQE) {
	index, kind := int(uint32(cqe.UserData)), int(cqe.UserData>>kindShift)
	switch kind {
	case kindBell:
		e.bell.Heard(cqe)
	case kindAccept:
		e.doors.answer(e)
	case kindReceive, kindLook, kindPoll:
		c := e.loop.conns.at(index)
		if c != nil && uint64(c.serial&serialMask) != cqe.UserData>>serialShift&serialMask {
			c = nil
		}
		switch {
		case kind == kindReceive:
			e.received(c, cqe)
		case c == nil:
		case kind == kindLook:
			e.looked(c)
		default:
			e.ready(c)
		}
	}
}

// ready tells c that its descriptor can be written, or that connecting has ended.
func (e *completion) ready(c *Conn) {
	c.ring &^= polling
	c.wanted &^= uint8(selector.Write) // asked for anew if there is still no room
	if c.state == stateConnecting {
		c.connected(rawio.SocketError(int(c.fd)))
	} else {
		c.writable()
	}
}

// wake rings the bell. Any goroutine may call it.
func (e *completion) wake() { e.bell.Ring() }

func (e *completion) close() {
	if e.ring.Queued() > 0 {
		e.enter(e.submission) // closes what was released last
	}
	if e.bell != nil {
		e.bell.Close()
	}
	e.ring.Close()
	if e.arena != nil {
		uring.Unmap(e.arena)
	}
	e.doors.close()
	if e.enabled {
		runtime.UnlockOSThread()
	}
}
