package uring

import (
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Consumption is how the kernel uses up the buffers of a [Buffers].
type Consumption uint8

const (
	// Whole buffers: each piece received takes one, however small it is.
	Whole Consumption = iota
	// Incremental: a buffer is filled piece by piece to its end (IOU_PBUF_RING_INC, Linux 6.12). Few large buffers then
	// serve small and large messages alike, without waste.
	Incremental
	// Bundles: a piece takes whole buffers, as many as it needs (IORING_RECVSEND_BUNDLE, Linux 6.10).
	Bundles
)

// Buffers is a ring of buffers that the kernel takes from when data has come, not before: connections share it, and idle
// ones hold nothing (IORING_REGISTER_PBUF_RING, Linux 5.19). It belongs to the goroutine of its Ring.
type Buffers struct {
	group  uint16
	ioPrio uint16 // what a receive into it must say
	mode   Consumption
	size   int

	memory []byte // the buffers, one after the other
	shared []byte // the mapping of ring
	ring   []buf
	tail   uint16  // ours: buffers given, published by give
	at     []place // where each buffer is, by number
}

// place is the state of one buffer.
type place struct {
	taken uint32 // bytes that completions told of
	held  uint32 // of those, pieces that are not yet released
	slot  uint16 // its index in the ring
	done  bool   // the kernel has used it up
}

// NewBuffers registers count buffers of size bytes as the group with that number, free in this ring. count must be a power
// of two, at most 32768. All of them are with the kernel at once.
func (r *Ring) NewBuffers(group uint16, count, size int, mode Consumption) (*Buffers, error) {
	if count < 1 || count > 1<<15 || count&(count-1) != 0 || size < 1 || size > 1<<30 {
		return nil, fmt.Errorf("provided buffers: %d of %d bytes: want a power of two up to 32768, each of 1 byte to 1 GiB", count, size)
	}
	reg := bufReg{ringEntries: uint32(count), bgid: group}
	b := &Buffers{group: group, mode: mode, size: size, at: make([]place, count)}
	switch mode {
	case Incremental:
		reg.flags = ioringPbufRingInc
	case Bundles:
		if r.feats&ioringFeatRecvsendBundle == 0 {
			return nil, &MissingError{RecvBundle}
		}
		b.ioPrio = IORING_RECVSEND_BUNDLE
	}
	var err error
	if b.memory, err = Map(count * size); err != nil {
		return nil, err
	}
	if b.shared, err = Map(count * int(unsafe.Sizeof(buf{}))); err != nil {
		b.unmap()
		return nil, err
	}
	b.ring = unsafe.Slice((*buf)(unsafe.Pointer(&b.shared[0])), count)
	reg.ringAddr = address(unsafe.Pointer(&b.shared[0]))
	if _, err := r.register(ioringRegisterPbufRing, unsafe.Pointer(&reg), 1); err != nil {
		b.unmap()
		return nil, buffersError(err, mode)
	}
	for id := range b.at {
		b.give(uint16(id))
	}
	b.publish()
	r.buffers = append(r.buffers, b)
	return b, nil
}

// Received yields the bytes that a completion brought, in order: one slice, or with Bundles one for each buffer. They are
// the caller's until Release. Each completion that has a buffer must be asked for once, in the order in which they came:
// of a buffer that fills up by pieces, nothing else tells where the next piece begins.
func (b *Buffers) Received(c CQE) func(yield func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for rest, id := int(c.Res), c.first(); rest > 0; id = b.next(id) {
			p := b.take(id, rest, c)
			rest -= len(p)
			if !yield(p) {
				for ; rest > 0; rest -= len(p) {
					id = b.next(id)
					p = b.take(id, rest, c)
				}
				return
			}
		}
	}
}

// Bytes is Received for buffers that are not Bundles: there is one slice. It is nil for a completion without a buffer.
func (b *Buffers) Bytes(c CQE) []byte {
	if c.Flags&IORING_CQE_F_BUFFER == 0 || c.Res <= 0 {
		return nil
	}
	return b.take(c.first(), int(c.Res), c)
}

// take is the next piece of buffer id, of at most n bytes.
func (b *Buffers) take(id uint16, n int, c CQE) []byte {
	at := &b.at[id]
	start := int(at.taken)
	n = min(n, b.size-start)
	at.taken += uint32(n)
	at.held++
	offset := int(id)*b.size + start
	return b.memory[offset : offset+n : offset+n]
}

// next is the buffer behind id in the ring: the one that a bundle goes on in.
func (b *Buffers) next(id uint16) uint16 {
	return b.ring[int(b.at[id].slot+1)&(len(b.ring)-1)].bid
}

// Release gives back what a completion brought. A buffer goes to the kernel again when it is used up and each of its
// pieces is released. A completion without a buffer has nothing to give.
func (b *Buffers) Release(c CQE) {
	if c.Flags&IORING_CQE_F_BUFFER == 0 {
		return
	}
	given := b.tail
	rest := int(c.Res)
	for id := c.first(); ; {
		following := b.next(id) // before give may write over the slot
		rest -= b.size
		b.drop(id, c)
		if b.mode != Bundles || rest <= 0 {
			break
		}
		id = following
	}
	if b.tail != given {
		b.publish()
	}
}

func (b *Buffers) drop(id uint16, c CQE) {
	at := &b.at[id]
	if at.held > 0 {
		at.held--
	}
	if b.mode != Incremental || c.Flags&IORING_CQE_F_BUF_MORE == 0 {
		at.done = true
	}
	if at.done && at.held == 0 {
		b.give(id)
	}
}

// give puts buffer id, whole, behind the ones that the kernel has.
func (b *Buffers) give(id uint16) {
	slot := b.tail & uint16(len(b.ring)-1)
	e := &b.ring[slot]
	e.addr, e.len, e.bid = address(unsafe.Pointer(&b.memory[int(id)*b.size])), uint32(b.size), id
	b.at[id] = place{slot: slot}
	b.tail++
}

// publish shows the kernel what give gave. The tail is 16 bits in the last word of entry 0, for which there is no atomic
// store; the other half of that word is entry 0's number, which only we write too, so the word is stored whole.
// Release: the kernel that sees the tail sees the entries before it.
func (b *Buffers) publish() {
	halves := [2]uint16{b.ring[0].bid, b.tail}
	atomic.StoreUint32((*uint32)(unsafe.Pointer(&b.ring[0].bid)), *(*uint32)(unsafe.Pointer(&halves)))
}

// Size is the length of one buffer in bytes: the most that a piece can have, without Bundles.
func (b *Buffers) Size() int { return b.size }

func (b *Buffers) unmap() {
	for _, m := range []*[]byte{&b.memory, &b.shared} {
		if *m != nil {
			Unmap(*m)
			*m = nil
		}
	}
}

func buffersError(err error, mode Consumption) error {
	switch {
	case err == unix.EINVAL && mode == Incremental:
		return &MissingError{IncrementalBuffers}
	case err == unix.EINVAL:
		return &MissingError{BufferRing}
	case err == unix.ENOMEM:
		return noMemory("io_uring_register: provided buffers")
	}
	return os.NewSyscallError("io_uring_register: provided buffers", err)
}

// first is the number of the first buffer of a completion that has one.
func (c CQE) first() uint16 { return uint16(c.Flags >> IORING_CQE_BUFFER_SHIFT) }
