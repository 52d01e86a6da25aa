package uring

import (
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Bell lets the goroutine of a ring park on Go's own poller until completions are due or someone rings. No thread is
// blocked meanwhile, and no system call is made to ring for who is not parked.
//
// It is an eventfd(2) that the ring signals (IORING_REGISTER_EVENTFD) while the bell is armed. Disarmed, as it is while
// the goroutine is at work, completions cost no signal, and do not wake the poller for nothing.
type Bell struct {
	ring   *Ring
	file   *os.File
	conn   syscall.RawConn
	due    func(fd uintptr) bool
	asked  bool
	parked atomic.Bool
	rung   atomic.Bool
}

// NewBell makes the ring's bell, disarmed. A ring has one at most.
func (r *Ring) NewBell() (*Bell, error) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("eventfd", err)
	}
	b := &Bell{ring: r, file: os.NewFile(uintptr(fd), "eventfd of a ring")}
	b.Disarm()
	ev := int32(fd)
	if _, err := r.register(ioringRegisterEventfd, unsafe.Pointer(&ev), 1); err != nil {
		b.file.Close()
		return nil, os.NewSyscallError("io_uring_register: eventfd", err)
	}
	if b.conn, err = b.file.SyscallConn(); err != nil {
		b.Close()
		return nil, fmt.Errorf("eventfd of a ring: %w", err)
	}
	b.due = func(uintptr) bool {
		// Asked first, before parking, there must be a reason not to; asked again, the descriptor was signalled.
		again := b.asked
		b.asked = true
		return again || b.rung.Load() || r.Due()
	}
	return b, nil
}

// Arm has the ring signal completions from now on. What was due before is not signalled: the order is Arm, then an
// entering call, then, if it brought nothing, Wait.
func (b *Bell) Arm() { atomic.StoreUint32(b.ring.cqFlag, 0) }

// Disarm ends that.
func (b *Bell) Disarm() { atomic.StoreUint32(b.ring.cqFlag, ioringCQEventfdDisabled) }

// Wait parks the goroutine until completions are due or Ring was called since the last Wait. The bell must be armed.
func (b *Bell) Wait() error {
	b.asked = false
	b.parked.Store(true)
	err := b.conn.Read(b.due)
	b.parked.Store(false)
	b.rung.Store(false)
	if err != nil {
		return os.ErrClosed // of all that parking can end with, the poller's own word for it is not exported
	}
	return nil
}

// Ring ends the Wait that is under way, else the next one. Any goroutine may call it.
func (b *Bell) Ring() error {
	// The two flags, each set before the other is read, let none of both sides miss the other.
	b.rung.Store(true)
	if !b.parked.Load() {
		return nil
	}
	one := [8]byte{7: 1}
	if *(*byte)(unsafe.Pointer(&[]uint16{1}[0])) == 1 {
		one = [8]byte{0: 1}
	}
	_, err := b.file.Write(one[:])
	return err
}

// Close takes the bell off the ring. A Wait that is under way returns os.ErrClosed.
func (b *Bell) Close() error {
	b.ring.register(ioringUnregisterEventfd, nil, 0)
	return b.file.Close()
}
