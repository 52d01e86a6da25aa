package engine

import (
	"time"

	"golang.org/x/sys/unix"

	"github.com/switchboard-go/switchboard/internal/uring"
)

// A ringKernel is a Kernel that has io_uring.
type ringKernel interface {
	Kernel

	// OpenRing makes a ring with count provided buffers of size bytes, which fill up by pieces (uring.Incremental), and its
	// waker, whose completions have the user data waker. The ring is disabled until Enable.
	OpenRing(config uring.Config, count, size int, waker uint64) (Ring, error)

	// EpollCreate, EpollControl and EpollLook are epoll_create1(2), epoll_ctl(2) and epoll_wait(2) that does not wait.
	EpollCreate() (int, error)
	EpollControl(epfd, op, fd int, ev *unix.EpollEvent) error
	EpollLook(epfd int, events []unix.EpollEvent) int
}

// A Ring is a uring.Ring with its buffers and its waker, whose methods it has where nothing else is said.
type Ring interface {
	// Enable makes the calling thread the one that may enter the ring.
	Enable() error

	Next() *uring.SQE
	Queued() int
	Submit() error
	Wait(n int, d time.Duration) error

	// Collect takes the completions out of the queue and appends them to into.
	Collect(into []uring.CQE) []uring.CQE

	Overflowing() bool
	Due() bool

	// Receive fills in an entry that receives on fd into the buffers, again and again.
	Receive(e *uring.SQE, fd int, user uint64)
	Bytes(c uring.CQE) []byte
	Release(c uring.CQE)

	// Sleep waits until there are completions or Wake is called, at most d unless that is negative. Heard takes a completion
	// of the waker's.
	Sleep(d time.Duration) error
	Wake()
	Heard(c uring.CQE)

	Close()
}

// systemRing is the kernel's.
type systemRing struct {
	*uring.Ring
	buffers *uring.Buffers
	waker   *uring.Waker
}

func (system) OpenRing(config uring.Config, count, size int, waker uint64) (r Ring, err error) {
	uring.Aside(func() { r, err = openRing(config, count, size, waker) })
	return r, err
}

func openRing(config uring.Config, count, size int, waker uint64) (Ring, error) {
	ring, err := uring.New(config)
	if err != nil {
		return nil, err
	}
	r := &systemRing{Ring: ring}
	if r.buffers, err = ring.NewBuffers(0, count, size, uring.Incremental); err == nil {
		r.waker, err = ring.NewWaker(waker)
	}
	if err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

func (r *systemRing) Enable() error {
	if err := r.Ring.Enable(); err != nil {
		return err
	}
	return r.RegisterFD()
}

func (r *systemRing) Collect(into []uring.CQE) []uring.CQE {
	for c := range r.Completions {
		into = append(into, c)
	}
	return into
}

func (r *systemRing) Receive(e *uring.SQE, fd int, user uint64) { e.RecvMultishot(fd, r.buffers, user) }
func (r *systemRing) Bytes(c uring.CQE) []byte                  { return r.buffers.Bytes(c) }
func (r *systemRing) Release(c uring.CQE)                       { r.buffers.Release(c) }
func (r *systemRing) Sleep(d time.Duration) error               { return r.waker.Sleep(d) }
func (r *systemRing) Wake()                                     { r.waker.Wake() }
func (r *systemRing) Heard(c uring.CQE)                         { r.waker.Heard(c) }

func (r *systemRing) Close() {
	if r.waker != nil {
		r.waker.Close()
	}
	r.Ring.Close()
}

func (system) EpollCreate() (int, error) { return unix.EpollCreate1(unix.EPOLL_CLOEXEC) }

func (system) EpollControl(epfd, op, fd int, ev *unix.EpollEvent) error {
	return unix.EpollCtl(epfd, op, fd, ev)
}

func (system) EpollLook(epfd int, events []unix.EpollEvent) int {
	n, _ := unix.EpollWait(epfd, events, 0)
	return max(n, 0)
}
