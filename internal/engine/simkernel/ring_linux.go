package simkernel

import (
	"math/bits"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/switchboard-go/switchboard/internal/engine"
	"github.com/switchboard-go/switchboard/internal/uring"
)

// A ring is io_uring as the completion engine uses it: one issuer, completions run by entering calls alone.
type ring struct {
	k       *Kernel
	sq      []uring.SQE // as long as the queue is
	queued  int
	cq      []uring.CQE
	cqSize  int
	over    []uring.CQE // overflowed
	ops     []*op       // in flight
	buffers buffers
	thread  int // that may enter it, 0 before it is enabled
	waker   waker
	closed  bool
}

// An op is an operation in flight.
type op struct {
	kind      uint8
	file      *file
	user      uint64
	mask      uint32 // of a poll
	cancelled bool
	over      bool
}

// OpenRing implements the ring kernel of package engine. The queues are as long as the seed says, at most as was asked for.
func (k *Kernel) OpenRing(config uring.Config, count, size int, wakerUser uint64) (engine.Ring, error) {
	k.call("io_uring_setup")
	defer k.mu.Unlock()
	if k.chance(k.Faults.NoMemory) {
		return nil, callError("io_uring_setup", syscall.ENOMEM)
	}
	sq, cq := config.Entries, config.Completions
	if k.rng.IntN(2) == 0 {
		sq = min(sq, 1<<k.rng.IntN(6))
	}
	k.Entries = sq
	if k.rng.IntN(2) == 0 {
		cq = min(cq, 2<<k.rng.IntN(6))
	}
	r := &ring{k: k, sq: make([]uring.SQE, 1<<bits.Len(uint(sq-1))), cqSize: cq}
	r.waker.user = wakerUser
	r.buffers.init(k, count, size)
	return r, nil
}

func (r *ring) Enable() error {
	r.k.call("io_uring_register")
	defer r.k.mu.Unlock()
	if r.k.chance(r.k.Faults.NoMemory) {
		return callError("io_uring_register", syscall.ENOMEM)
	}
	r.thread = unix.Gettid()
	return nil
}

func (r *ring) Next() *uring.SQE {
	r.k.mu.Lock()
	defer r.k.mu.Unlock()
	if r.queued == len(r.sq) {
		return nil
	}
	r.queued++
	return &r.sq[r.queued-1]
}

func (r *ring) Queued() int {
	r.k.mu.Lock()
	defer r.k.mu.Unlock()
	return r.queued
}

func (r *ring) Receive(e *uring.SQE, fd int, user uint64) {
	*e = uring.SQE{Opcode: uring.IORING_OP_RECV, Flags: uring.IOSQE_BUFFER_SELECT, IoPrio: uring.IORING_RECV_MULTISHOT,
		FD: int32(fd), UserData: user}
}

func (r *ring) Submit() error {
	r.k.call("io_uring_enter")
	defer r.k.mu.Unlock()
	return r.enter(0, 0)
}

func (r *ring) Wait(n int, d time.Duration) error {
	r.k.call("io_uring_enter, which waits")
	defer r.k.mu.Unlock()
	return r.enter(n, d)
}

// enter is io_uring_enter(2).
func (r *ring) enter(n int, d time.Duration) error {
	if r.closed || r.thread == 0 {
		r.k.violated("io_uring_enter: the ring is closed or not enabled")
		return callError("io_uring_enter", syscall.EBADFD)
	}
	if unix.Gettid() != r.thread {
		r.k.violated("io_uring_enter: the calling thread is not the ring's")
		return callError("io_uring_enter", syscall.EEXIST)
	}
	take := r.queued
	if take > 0 && r.k.chance(r.k.Faults.Outage) {
		r.k.outage = r.k.now + time.Duration(r.k.rng.Int64N(int64(5*time.Second)))
	}
	if take > 0 && (r.k.now < r.k.outage || r.k.chance(r.k.Faults.Refused)) {
		r.k.disturbed++
		switch r.k.rng.IntN(3) {
		case 0:
			return callError("io_uring_enter", syscall.EAGAIN)
		case 1:
			return callError("io_uring_enter", syscall.ENOMEM)
		}
		return nil // EBUSY
	}
	if take > 1 && r.k.chance(r.k.Faults.Part) {
		take = 1 + r.k.rng.IntN(take-1)
	}
	whole := take == r.queued
	for i := range take {
		r.issue(&r.sq[i])
	}
	copy(r.sq, r.sq[take:r.queued])
	r.queued -= take
	r.flush()
	r.run()
	if whole && n > 0 {
		r.k.wait(d, func() bool {
			for len(r.cq) < n && len(r.over) == 0 && r.pending() {
				r.run()
			}
			return len(r.cq) >= n || len(r.over) > 0
		})
	}
	return nil
}

// flush moves what has overflowed into the queue, as far as that has room.
func (r *ring) flush() {
	n := min(len(r.over), r.cqSize-len(r.cq))
	r.cq = append(r.cq, r.over[:n]...)
	r.over = r.over[n:]
}

// full tells whether a further completion would overflow.
func (r *ring) full() bool { return len(r.over) > 0 || len(r.cq) >= r.cqSize }

func (r *ring) post(c uring.CQE) {
	if r.k.Trace != nil {
		r.k.trace("  completion for %x: %d, flags %x", c.UserData, c.Res, c.Flags)
	}
	if r.full() {
		r.over = append(r.over, c)
	} else {
		r.cq = append(r.cq, c)
	}
}

// Collect implements engine.Ring.
func (r *ring) Collect(into []uring.CQE) []uring.CQE {
	r.k.mu.Lock()
	defer r.k.mu.Unlock()
	into = append(into, r.cq...)
	r.cq = r.cq[:0]
	return into
}

func (r *ring) Overflowing() bool {
	r.k.mu.Lock()
	defer r.k.mu.Unlock()
	return len(r.over) > 0
}

func (r *ring) Due() bool {
	r.k.mu.Lock()
	defer r.k.mu.Unlock()
	return r.due()
}

func (r *ring) due() bool { return len(r.cq) > 0 || len(r.over) > 0 || r.pending() }

// pending tells whether an entering call would complete something.
func (r *ring) pending() bool {
	return r.waker.posted || slices.ContainsFunc(r.ops, func(o *op) bool { return o.ready() })
}

func (r *ring) Close() {
	r.k.call("close of the ring")
	defer r.k.mu.Unlock()
	if r.closed {
		r.k.violated("close: the ring is closed already")
	}
	r.closed = true
	for _, o := range r.ops {
		o.file.unref()
	}
	r.ops = nil
	r.buffers.poison()
}

// A waker is what wakes a ring that sleeps.
type waker struct {
	user      uint64
	woken     bool
	listening bool // the program believes that the ring waits for it
	armed     bool // the ring does
	posted    bool // and has a completion of it
	blocked   bool // the program waits in io_uring_enter
}

func (r *ring) Sleep(d time.Duration) error {
	r.k.call("sleep")
	defer r.k.mu.Unlock()
	w := &r.waker
	if !w.listening {
		w.listening, w.armed = true, true
	}
	if w.woken {
		w.woken = false
		return r.enter(0, 0)
	}
	var err error
	if w.blocked = r.k.rng.IntN(2) == 0; w.blocked {
		err = r.enter(1, d)
	} else if err = r.enter(0, 0); err == nil && r.queued == 0 {
		r.k.wait(d, func() bool { return w.woken || r.due() })
	}
	w.blocked, w.woken = false, false
	return err
}

// Wake may be called from any goroutine. One that blocks is woken by way of the ring alone.
func (r *ring) Wake() {
	r.k.mu.Lock()
	defer r.k.mu.Unlock()
	if r.waker.woken {
		return
	}
	r.waker.woken = true
	r.waker.posted = r.waker.posted || r.waker.blocked && r.waker.armed
}

func (r *ring) Heard(c uring.CQE) {
	r.k.mu.Lock()
	defer r.k.mu.Unlock()
	r.waker.listening = r.waker.listening && c.More()
}
