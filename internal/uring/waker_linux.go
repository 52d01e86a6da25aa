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

// A Waker lets the goroutine of a ring sleep until there is something to do, and lets others wake it.
//
// There are two ways to sleep. Blocking in the kernel is the cheaper one, but Go's scheduler learns only by and by that
// nobody uses the goroutine's P: where there is no other, timers and other goroutines can be late by milliseconds. Parking
// on Go's own poller keeps nobody waiting, and costs a goroutine that is locked to its thread two changes of thread each
// time. So Sleep parks when the last sleep was long, and blocks when it was short, but does not let all Ps be blocked for long.
//
// What wakes the parked goroutine is an eventfd(2) that the ring signals (IORING_REGISTER_EVENTFD), only while it is
// parked: completions that come while it is at work do not wake the poller for nothing.
type Waker struct {
	ring *Ring
	user uint64

	// Waking: sleeps is set before woken is read, and woken before sleeps is, so that one side sees the other.
	sleeps atomic.Int32 // awake, blocked or parked
	woken  atomic.Bool

	// Blocking: an eventfd on which the ring waits, for Wake. It cannot be that of parking: the kernel does not signal an
	// eventfd from within the wake-up of an eventfd, but some milliseconds later.
	wakeups   *os.File
	wakeFD    int
	listening bool

	// Parking: the eventfd that the ring signals, and Wake.
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

// What a waker's goroutine may be doing.
const (
	awake = iota
	blocked
	parked
)

// blocking counts the wakers that block, each of which keeps one of Go's Ps from the rest of the program.
var blocking atomic.Int32

const (
	// While a P is left for others, a sleep blocks when the last one was shorter than this.
	shortSleep = time.Millisecond
	// When none is left, it must have been shorter than this, about what parking costs,
	veryShortSleep = 50 * time.Microsecond
	// and one of the sleeps of so long parks, for the others' sake.
	blockFor = time.Millisecond
)

// NewWaker makes the ring's waker, of which a ring has one at most. Its own completions carry user as their user data and are
// for Heard. A ring that defers completions must have IORING_SETUP_TASKRUN_FLAG.
func (r *Ring) NewWaker(user uint64) (*Waker, error) {
	if r.setup&(IORING_SETUP_COOP_TASKRUN|IORING_SETUP_DEFER_TASKRUN) != 0 && r.setup&IORING_SETUP_TASKRUN_FLAG == 0 {
		return nil, errors.New("waker of a ring: the ring needs IORING_SETUP_TASKRUN_FLAG to tell what is due")
	}
	w := &Waker{ring: r, user: user, begun: time.Now(), last: shortSleep, looked: -time.Hour}
	w.due = func(uintptr) bool {
		// Asked first, before parking, it must know of something; asked again, the descriptor was signalled.
		again := w.asked
		w.asked = true
		return again || w.woken.Load() || r.Due()
	}
	var signals int
	var err error
	if w.wakeFD, w.wakeups, err = eventfd(); err != nil {
		return nil, err
	}
	if signals, w.signals, err = eventfd(); err != nil {
		w.wakeups.Close()
		return nil, err
	}
	if w.conn, err = w.signals.SyscallConn(); err == nil {
		w.signal(false)
		fd := int32(signals)
		_, err = r.register(ioringRegisterEventfd, unsafe.Pointer(&fd), 1)
		err = os.NewSyscallError("io_uring_register: eventfd", err)
	}
	if err != nil {
		w.wakeups.Close()
		w.signals.Close()
		return nil, err
	}
	return w, nil
}

// Sleep hands the queued entries to the kernel and waits until there are completions, Ring was called since the last Sleep,
// timeout has passed (less than zero: never), or, sometimes, for no reason. A nil error says to look at all of these.
func (w *Waker) Sleep(timeout time.Duration) (err error) {
	if !w.listening {
		if err = w.listen(); err != nil {
			return err
		}
	}
	start := time.Since(w.begun)
	block := w.mayBlock(start)
	if block {
		err = w.block(timeout)
		blocking.Add(-1)
	} else if err = w.setAlarm(start, timeout); err == nil {
		err = w.park()
	}
	w.sleeps.Store(awake)
	w.woken.Store(false)
	end := time.Since(w.begun)
	if w.last = end - start; !block {
		w.woke = end
		w.wakeScheduler()
	}
	return err
}

// mayBlock decides, and counts this waker if it blocks.
func (w *Waker) mayBlock(now time.Duration) bool {
	if w.last >= shortSleep || w.ring.setup&IORING_SETUP_SINGLE_ISSUER == 0 {
		return false // a goroutine that is not locked to its thread parks for little
	}
	if now-w.looked > 100*time.Millisecond {
		w.procs, w.looked = int32(runtime.GOMAXPROCS(0)), now
	}
	if blocking.Add(1) < w.procs || w.last < veryShortSleep && now-w.woke < blockFor {
		return true
	}
	blocking.Add(-1)
	return false
}

// wakeScheduler brings one of Go's idle Ps to its feet, by something to run. It was this goroutine's wake-up that took the one thread
// from Go's poller, and next it may block, which tells the scheduler nothing: timers and connections of the rest of the
// program would wait for the monitor, tens of milliseconds at worst.
func (w *Waker) wakeScheduler() {
	if w.procs > 1 && w.ring.setup&IORING_SETUP_SINGLE_ISSUER != 0 {
		go func() {}()
	}
}

func (w *Waker) block(timeout time.Duration) error {
	w.sleeps.Store(blocked)
	if w.woken.Load() {
		return w.ring.Submit()
	}
	return w.ring.Wait(1, timeout)
}

// setAlarm sees to it that parking ends in time. An alarm that was set for an earlier time stays: a Sleep that ends too soon
// now and then is cheaper than setting a timer each time.
func (w *Waker) setAlarm(now, timeout time.Duration) error {
	if timeout < 0 || w.alarm != 0 && w.alarm <= now+timeout {
		return nil
	}
	w.alarm = now + timeout
	return w.signals.SetReadDeadline(w.begun.Add(w.alarm))
}

// park has the ring signal, and then looks a last time: what the entering call leaves is signalled.
func (w *Waker) park() error {
	w.sleeps.Store(parked)
	w.signal(true)
	defer w.signal(false)
	if err := w.ring.Submit(); err != nil || w.ring.Queued() > 0 { // what was not taken must not wait for what may never come
		return err
	}
	w.asked = false
	switch err := w.conn.Read(w.due); {
	case errors.Is(err, os.ErrDeadlineExceeded):
		w.alarm = 0
		return w.signals.SetReadDeadline(time.Time{})
	case err != nil:
		return os.ErrClosed // the poller's own word for it is not exported
	}
	return nil
}

// signal switches the signals of completions on and off, by a word that the kernel reads before each.
func (w *Waker) signal(on bool) {
	off := uint32(ioringCQEventfdDisabled)
	if on {
		off = 0
	}
	atomic.StoreUint32(w.ring.cqFlag, off)
}

// listen has the ring wait for wakeups. What the eventfd counts is never read: the poll completes with each write to it.
func (w *Waker) listen() error {
	e := w.ring.Next()
	if e == nil {
		if err := w.ring.Submit(); err != nil {
			return err
		}
		if e = w.ring.Next(); e == nil {
			return os.NewSyscallError("io_uring_enter", unix.EAGAIN)
		}
	}
	e.PollMultishot(w.wakeFD, unix.POLLIN, w.user)
	w.listening = true
	return nil
}

// Heard takes a completion of the waker's own.
func (w *Waker) Heard(c CQE) { w.listening = w.listening && c.More() }

// Wake ends the Sleep that is under way, else the next one. Any goroutine may call it. It makes a system call only if the
// goroutine sleeps and has not been woken yet.
func (w *Waker) Wake() error {
	if w.woken.Swap(true) {
		return nil
	}
	var f *os.File
	switch w.sleeps.Load() {
	case blocked:
		f = w.wakeups
	case parked:
		f = w.signals
	default:
		return nil
	}
	one := uint64(1)
	_, err := f.Write((*[8]byte)(unsafe.Pointer(&one))[:])
	return err
}

// Close takes the waker off its ring. A Sleep that is under way must have been woken.
func (w *Waker) Close() error {
	w.ring.register(ioringUnregisterEventfd, nil, 0)
	return errors.Join(w.signals.Close(), w.wakeups.Close())
}

// eventfd makes one that Go's poller knows.
func eventfd() (int, *os.File, error) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return -1, nil, os.NewSyscallError("eventfd", err)
	}
	return fd, os.NewFile(uintptr(fd), "eventfd"), nil
}
