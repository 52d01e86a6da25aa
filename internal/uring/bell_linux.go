package uring

import (
	"errors"
	"os"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Bell is how the goroutine of a ring sleeps until there is something to do, and how others wake it.
//
// There are two ways to sleep. Blocking in the kernel is the cheaper one, but Go's scheduler learns only by and by that
// nobody uses the goroutine's P: where there is no other, timers and other goroutines can be late by milliseconds. Parking
// on Go's own poller keeps nobody waiting, and costs a goroutine that is locked to its thread two changes of thread each
// time. So Sleep parks when the last sleep was long, and blocks when it was short, but does not let all Ps be blocked for long.
//
// What wakes the parked goroutine is an eventfd(2) that the ring signals (IORING_REGISTER_EVENTFD), only while it is
// parked: completions that come while it is at work do not wake the poller for nothing.
type Bell struct {
	ring *Ring
	user uint64

	// Ringing: sleeps is set before rung is read, and rung before sleeps is, so that one side sees the other.
	sleeps atomic.Int32 // awake, blocked or parked
	rung   atomic.Bool

	// Blocking: an eventfd on which the ring waits, for Ring. It cannot be that of parking: the kernel does not signal an
	// eventfd from within the wake-up of an eventfd, but some milliseconds later.
	knocks    *os.File
	knockFD   int
	listening bool

	// Parking: the eventfd that the ring signals, and Ring.
	signals *os.File
	conn    syscall.RawConn
	due     func(fd uintptr) bool
	asked   bool
	alarm   time.Duration // when the read deadline of signals ends a parked Sleep, or 0

	// What Sleep goes by. Times are since begun.
	begun  time.Time
	last   time.Duration // how long the last sleep was
	woke   time.Duration // when the last sleep that parked ended
	procs  int32         // runtime.GOMAXPROCS, of late
	looked time.Duration // when that was asked
}

// What a bell's goroutine may be doing.
const (
	awake = iota
	blocked
	parked
)

// blocking counts the bells that block, each of which keeps one of Go's Ps from the rest of the program.
var blocking atomic.Int32

const (
	// While a P is left for others, a sleep blocks when the last one was shorter than this.
	shortSleep = time.Millisecond
	// When none is left, it must have been shorter than this, about what parking costs,
	veryShortSleep = 50 * time.Microsecond
	// and one of the sleeps of so long parks, for the others' sake.
	blockFor = time.Millisecond
)

// NewBell makes the ring's bell, of which a ring has one at most. Its own completions carry user as their user data and are
// for Heard. A ring that defers completions must have IORING_SETUP_TASKRUN_FLAG.
func (r *Ring) NewBell(user uint64) (*Bell, error) {
	if r.setup&(IORING_SETUP_COOP_TASKRUN|IORING_SETUP_DEFER_TASKRUN) != 0 && r.setup&IORING_SETUP_TASKRUN_FLAG == 0 {
		return nil, errors.New("bell of a ring: the ring needs IORING_SETUP_TASKRUN_FLAG to tell what is due")
	}
	b := &Bell{ring: r, user: user, begun: time.Now(), last: shortSleep, looked: -time.Hour}
	b.due = func(uintptr) bool {
		// Asked first, before parking, it must know of something; asked again, the descriptor was signalled.
		again := b.asked
		b.asked = true
		return again || b.rung.Load() || r.Due()
	}
	var signals int
	var err error
	if b.knockFD, b.knocks, err = eventfd(); err != nil {
		return nil, err
	}
	if signals, b.signals, err = eventfd(); err != nil {
		b.knocks.Close()
		return nil, err
	}
	if b.conn, err = b.signals.SyscallConn(); err == nil {
		b.signal(false)
		fd := int32(signals)
		_, err = r.register(ioringRegisterEventfd, unsafe.Pointer(&fd), 1)
		err = os.NewSyscallError("io_uring_register: eventfd", err)
	}
	if err != nil {
		b.knocks.Close()
		b.signals.Close()
		return nil, err
	}
	return b, nil
}

// Sleep hands the queued entries to the kernel and waits until there are completions, Ring was called since the last Sleep,
// timeout has passed (less than zero: never), or, sometimes, for no reason. A nil error says to look at all of these.
func (b *Bell) Sleep(timeout time.Duration) (err error) {
	if !b.listening {
		if err = b.listen(); err != nil {
			return err
		}
	}
	start := time.Since(b.begun)
	block := b.mayBlock(start)
	if block {
		err = b.block(timeout)
		blocking.Add(-1)
	} else if err = b.setAlarm(start, timeout); err == nil {
		err = b.park()
	}
	b.sleeps.Store(awake)
	b.rung.Store(false)
	end := time.Since(b.begun)
	if b.last = end - start; !block {
		b.woke = end
		b.hail()
	}
	return err
}

// mayBlock decides, and counts this bell if it blocks.
func (b *Bell) mayBlock(now time.Duration) bool {
	if b.last >= shortSleep || b.ring.setup&IORING_SETUP_SINGLE_ISSUER == 0 {
		return false // a goroutine that is not locked to its thread parks for little
	}
	if now-b.looked > 100*time.Millisecond {
		b.procs, b.looked = int32(runtime.GOMAXPROCS(0)), now
	}
	if blocking.Add(1) < b.procs || b.last < veryShortSleep && now-b.woke < blockFor {
		return true
	}
	blocking.Add(-1)
	return false
}

// hail brings one of Go's idle Ps to its feet, by something to run. It was this goroutine's wake-up that took the one thread
// from Go's poller, and next it may block, which tells the scheduler nothing: timers and connections of the rest of the
// program would wait for the monitor, tens of milliseconds at worst.
func (b *Bell) hail() {
	if b.procs > 1 && b.ring.setup&IORING_SETUP_SINGLE_ISSUER != 0 {
		go func() {}()
	}
}

func (b *Bell) block(timeout time.Duration) error {
	b.sleeps.Store(blocked)
	if b.rung.Load() {
		return b.ring.Submit()
	}
	return b.ring.Wait(1, timeout)
}

// setAlarm sees to it that parking ends in time. An alarm that was set for an earlier time stays: a Sleep that ends too soon
// now and then is cheaper than setting a timer each time.
func (b *Bell) setAlarm(now, timeout time.Duration) error {
	if timeout < 0 || b.alarm != 0 && b.alarm <= now+timeout {
		return nil
	}
	b.alarm = now + timeout
	return b.signals.SetReadDeadline(b.begun.Add(b.alarm))
}

// park has the ring signal, and then looks a last time: what the entering call leaves is signalled.
func (b *Bell) park() error {
	b.sleeps.Store(parked)
	b.signal(true)
	defer b.signal(false)
	if err := b.ring.Submit(); err != nil || b.ring.Queued() > 0 { // what was not taken must not wait for what may never come
		return err
	}
	b.asked = false
	switch err := b.conn.Read(b.due); {
	case errors.Is(err, os.ErrDeadlineExceeded):
		b.alarm = 0
		return b.signals.SetReadDeadline(time.Time{})
	case err != nil:
		return os.ErrClosed // the poller's own word for it is not exported
	}
	return nil
}

// signal switches the signals of completions on and off, by a word that the kernel reads before each.
func (b *Bell) signal(on bool) {
	off := uint32(ioringCQEventfdDisabled)
	if on {
		off = 0
	}
	atomic.StoreUint32(b.ring.cqFlag, off)
}

// listen has the ring wait for knocks. What the eventfd counts is never read: the poll completes with each knock.
func (b *Bell) listen() error {
	e := b.ring.Next()
	if e == nil {
		if err := b.ring.Submit(); err != nil {
			return err
		}
		if e = b.ring.Next(); e == nil {
			return os.NewSyscallError("io_uring_enter", unix.EAGAIN)
		}
	}
	e.PollMultishot(b.knockFD, unix.POLLIN, b.user)
	b.listening = true
	return nil
}

// Heard takes a completion of the bell's own.
func (b *Bell) Heard(c CQE) { b.listening = b.listening && c.More() }

// Ring ends the Sleep that is under way, else the next one. Any goroutine may call it. It makes a system call only for who
// sleeps and has not been rung for.
func (b *Bell) Ring() error {
	if b.rung.Swap(true) {
		return nil
	}
	var f *os.File
	switch b.sleeps.Load() {
	case blocked:
		f = b.knocks
	case parked:
		f = b.signals
	default:
		return nil
	}
	one := uint64(1)
	_, err := f.Write((*[8]byte)(unsafe.Pointer(&one))[:])
	return err
}

// Close takes the bell off its ring. A Sleep that is under way must have been rung for.
func (b *Bell) Close() error {
	b.ring.register(ioringUnregisterEventfd, nil, 0)
	return errors.Join(b.signals.Close(), b.knocks.Close())
}

// eventfd makes one that Go's poller knows.
func eventfd() (int, *os.File, error) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return -1, nil, os.NewSyscallError("eventfd", err)
	}
	return fd, os.NewFile(uintptr(fd), "eventfd"), nil
}
