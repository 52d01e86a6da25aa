package uring

import (
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Config says what ring New makes.
type Config struct {
	// Entries is the length of the submission queue, rounded up to a power of two. Zero means 256.
	Entries int
	// Completions is the length of the completion queue, rounded up to a power of two. Zero means twice Entries.
	// Multishot operations fill it without being asked again: it should hold what one turn of the loop may bring.
	Completions int
	// Flags are of IORING_SETUP_….
	Flags uint32
}

// Ring is one io_uring: a queue of operations to the kernel and a queue of completions from it.
//
// It belongs to one goroutine at a time, and with IORING_SETUP_SINGLE_ISSUER to the thread that called New or Enable.
type Ring struct {
	fd    int
	setup uint32 // IORING_SETUP_… it was made with
	feats uint32 // IORING_FEAT_… the kernel answered

	// How io_uring_enter names the ring: the descriptor, or its registered index.
	enterFD    uintptr
	enterFlags uintptr

	// Submission queue. The kernel reads the entries between head, which it moves, and tail, which we publish.
	sqes   []SQE
	sqMask uint32
	sqHead *uint32
	sqTail *uint32
	sqFlag *uint32
	tail   uint32 // ours: entries filled in, published by the next entering call

	// Completion queue. The kernel moves tail, we move head.
	cqes       []CQE
	cqMask     uint32
	cqHead     *uint32
	cqTail     *uint32
	cqFlag     *uint32
	cqOverflow *uint32

	// What a timed wait points the kernel to; pinned with the ring.
	arg geteventsArg
	ts  timespec

	queues  []byte // the mapping of both queues
	entries []byte // the mapping of sqes
	buffers []*Buffers
	pin     runtime.Pinner
}

// Aside calls f on a thread that ends with it. When a ring is gone, the kernel notifies each thread that made or entered it, and
// that stirs a thread like a signal: see holdPreemption. A thread that is to enter another ring should have had to do with no other.
func Aside(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		f()
	}()
	<-done
}

// New makes a ring. The error says what hinders: see [Error] and [MissingError].
func New(c Config) (*Ring, error) {
	if c.Entries == 0 {
		c.Entries = 256
	}
	if c.Entries < 0 || c.Completions < 0 {
		return nil, fmt.Errorf("io_uring_setup: %d entries and %d completions: neither can be negative", c.Entries, c.Completions)
	}
	p := params{flags: c.Flags}
	if c.Completions > 0 {
		p.flags |= IORING_SETUP_CQSIZE
		p.cqEntries = uint32(c.Completions)
	}
	fd, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, uintptr(c.Entries), uintptr(unsafe.Pointer(&p)), 0)
	if errno != 0 {
		return nil, setupError(errno, c)
	}
	r := &Ring{fd: int(fd), enterFD: fd, setup: p.flags, feats: p.features}
	r.pin.Pin(r)
	if err := r.mapQueues(&p); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// mapQueues maps what the kernel allocated. Both queues are in one mapping since Linux 5.4 (IORING_FEAT_SINGLE_MMAP),
// which is older than anything else that is worth having a ring for.
func (r *Ring) mapQueues(p *params) (err error) {
	if p.features&ioringFeatSingleMmap == 0 {
		return &MissingError{OneMapping}
	}
	size := max(p.sqOff.array+p.sqEntries*4, p.cqOff.cqes+p.cqEntries*uint32(unsafe.Sizeof(CQE{})))
	const prot, flags = unix.PROT_READ | unix.PROT_WRITE, unix.MAP_SHARED | unix.MAP_POPULATE
	if r.queues, err = unix.Mmap(r.fd, ioringOffSQRing, int(size), prot, flags); err != nil {
		return os.NewSyscallError("mmap of a ring's queues", err)
	}
	if r.entries, err = unix.Mmap(r.fd, ioringOffSQEs, int(p.sqEntries)*int(unsafe.Sizeof(SQE{})), prot, flags); err != nil {
		return os.NewSyscallError("mmap of a ring's entries", err)
	}
	word := func(offset uint32) *uint32 { return (*uint32)(unsafe.Pointer(&r.queues[offset])) }

	r.sqes = unsafe.Slice((*SQE)(unsafe.Pointer(&r.entries[0])), p.sqEntries)
	r.sqMask, r.sqHead, r.sqTail, r.sqFlag = *word(p.sqOff.ringMask), word(p.sqOff.head), word(p.sqOff.tail), word(p.sqOff.flags)
	r.cqes = unsafe.Slice((*CQE)(unsafe.Pointer(&r.queues[p.cqOff.cqes])), p.cqEntries)
	r.cqMask, r.cqHead, r.cqTail, r.cqFlag = *word(p.cqOff.ringMask), word(p.cqOff.head), word(p.cqOff.tail), word(p.cqOff.flags)
	r.cqOverflow = word(p.cqOff.overflow)

	// The queue proper holds indices of entries. We use the entries in turn, so that index i is entry i for good.
	for i := range p.sqEntries {
		*word(p.sqOff.array + i*4) = i
	}
	return nil
}

// FD is the ring's descriptor. It is readable, as poll(2) has it, while completions wait.
func (r *Ring) FD() int { return r.fd }

// Entries is the length of the submission queue.
func (r *Ring) Entries() int { return len(r.sqes) }

// Enable lets a ring begin that was made with IORING_SETUP_R_DISABLED. With IORING_SETUP_SINGLE_ISSUER the calling thread
// becomes the one that may enter it: a ring can so be made, and its errors told, before the thread exists that will use it.
// From then on the thread is preempted only where its goroutine calls a function, and should end with the goroutine.
func (r *Ring) Enable() error {
	_, err := r.register(ioringRegisterEnable, nil, 0)
	if err == nil && r.setup&IORING_SETUP_SINGLE_ISSUER != 0 {
		holdPreemption()
	}
	return os.NewSyscallError("io_uring_register: enable", err)
}

// RegisterFD makes entering cheaper: the kernel then finds the ring by an index of the calling thread, without counting
// references (IORING_REGISTER_RING_FDS, Linux 5.18). Only the calling thread may enter the ring from then on.
func (r *Ring) RegisterFD() error {
	up := rsrcUpdate{offset: ^uint32(0), data: uint64(r.fd)} // offset -1: any free index
	n, err := r.register(ioringRegisterRingFDs, unsafe.Pointer(&up), 1)
	if err != nil || n != 1 {
		return os.NewSyscallError("io_uring_register: ring descriptor", err)
	}
	r.enterFD, r.enterFlags = uintptr(up.offset), ioringEnterRegisteredRing
	return nil
}

// Close cancels what is in flight, waits until the kernel is done with its memory, and ends the ring and its buffers. Only
// a zero-copy send may outlast it, until its bytes are acknowledged: wait for its last completion first. The thread that
// called RegisterFD, if one did, must be the one to call Close.
func (r *Ring) Close() error {
	if r.fd < 0 {
		return unix.EBADF
	}
	// Closing alone would cancel too, but at the kernel's leisure, with the buffers unmapped and maybe mapped anew below it.
	all := syncCancel{fd: -1, flags: IORING_ASYNC_CANCEL_ALL | IORING_ASYNC_CANCEL_ANY, timeout: timespec{sec: 1}}
	r.register(ioringRegisterSyncCancel, unsafe.Pointer(&all), 1) // an error: there was nothing to cancel
	// The registered index and the mappings hold the ring too: it is let go of, and what it does ends, with the last.
	if r.enterFlags != 0 {
		up := rsrcUpdate{offset: uint32(r.enterFD)}
		r.register(ioringUnregisterRingFDs, unsafe.Pointer(&up), 1)
	}
	for _, m := range [][]byte{r.queues, r.entries} {
		if m != nil {
			unix.Munmap(m)
		}
	}
	err := os.NewSyscallError("close of a ring", unix.Close(r.fd))
	for _, b := range r.buffers {
		b.unmap()
	}
	r.pin.Unpin()
	*r = Ring{fd: -1}
	return err
}

func (r *Ring) register(op uintptr, arg unsafe.Pointer, n uintptr) (int, error) {
	res, _, errno := unix.Syscall6(unix.SYS_IO_URING_REGISTER, uintptr(r.fd), op, uintptr(arg), n, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(res), nil
}

// Overflowing tells that completions found the queue full. The kernel keeps them (IORING_FEAT_NODROP) and the next entering
// call brings them, in order, at some cost: where it is often so, the queue is too short.
func (r *Ring) Overflowing() bool { return atomic.LoadUint32(r.sqFlag)&ioringSQCQOverflow != 0 }

// Lost counts completions that are gone for good, for want of memory to keep them. It should be 0.
func (r *Ring) Lost() int { return int(atomic.LoadUint32(r.cqOverflow)) }
