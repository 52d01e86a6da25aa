package uring

import (
	"errors"
	"os"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Bell is how the goroutine of a ring sleeps until there is something to do, and how others wake it.
//
// There are two ways to sleep. Blocking in the kernel is the cheaper one, but Go's scheduler learns only by and by that
// nobody uses the goroutine's P: timers and other goroutines can be late by milliseconds. Parking on Go's own poller keeps
// nobody waiting, and costs a goroutine that is locked to its thread two changes of thread each time. So Sleep blocks when
// the last sleep was short and parks when it was long, and now and then in any case.
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

	// What Sleep goes by.
	last   time.Duration // how long the last sleep was
	blocks int           // how many sleeps blocked since one parked
}

const (
	awake = iota
	blocked
	parked
)

const (
	// A goroutine that is back so soon has most likely kept its P: Go's monitor looks for those who block at most every
	// 20 µs, and takes their P the second time it finds them in the same system call.
	shortSleep = 20 * time.Microsecond
	// blocksInARow bounds how long the rest of the program may have to wait for that P.
	blocksInARow = 16
)

// NewBell makes the ring's bell, of which a ring has one at most. Its own completions carry user as their user data and are
// for Heard. A ring that defers completions must have IORING_SETUP_TASKRUN_FLAG.
func (r *Ring) NewBell(user uint64) (*Bell, error) {
	if r.setup&(IORING_SETUP_COOP_TASKRUN|IORING_SETUP_DEFER_TASKRUN) != 0 && r.setup&IORING_SETUP_TASKRUN_FLAG == 0 {
		return nil, errors.New("bell of a ring: the ring needs IORING_SETUP_TASKRUN_FLAG to tell what is due")
	}
	b := &Bell{ring: r, user: user, last: time.Hour}
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
// or, sometimes, for no reason. A nil error says to look at all of these.
func (b *Bell) Sleep() (err error) {
	if !b.listening {
		if err = b.listen(); err != nil {
			return err
		}
	}
	start := time.Now()
	if b.last < shortSleep && b.blocks < blocksInARow && b.ring.setup&IORING_SETUP_SINGLE_ISSUER != 0 {
		b.blocks++
		err = b.block()
	} else {
		b.blocks = 0
		err = b.park()
	}
	b.sleeps.Store(awake)
	b.rung.Store(false)
	b.last = time.Since(start)
	return err
}

func (b *Bell) block() error {
	b.sleeps.Store(blocked)
	if b.rung.Load() {
		return b.ring.Submit()
	}
	return b.ring.Wait(1, -1)
}

// park has the ring signal, and then looks a last time: what the entering call leaves is signalled.
func (b *Bell) park() error {
	b.sleeps.Store(parked)
	b.signal(true)
	defer b.signal(false)
	if err := b.ring.Submit(); err != nil {
		return err
	}
	b.asked = false
	if err := b.conn.Read(b.due); err != nil {
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
