// Package buffer lends byte buffers to connections for as long as they hold something, in a few sizes.
//
// An idle connection holds no buffer, so what is lent out follows what is in flight, not how many are connected. What
// comes back is kept for the next borrower and left to the garbage collector when nobody borrows for a while.
package buffer

import (
	"math/bits"
	"sync"
)

// Sizes are powers of two from 1 KiB to 1 MiB: a buffer is at most twice what was asked for, so a limit of what is queued is
// one of memory too. On loopback and local networks most messages fit the first.
const (
	smallest = 10 // log2 of the smallest size
	classes  = 11
)

// Min is the size of the smallest buffer, in bytes.
const Min = 1 << smallest

// A Buffer is a slice that its borrower may fill up to its capacity, and a place in a queue.
type Buffer struct {
	B    []byte  // what it holds
	Next *Buffer // the borrower's: the one behind it in a queue

	shared bool // B is others' as well: it is neither changed nor kept
}

var pools [classes]sync.Pool

// class returns the index of the smallest size that holds n bytes, or classes when none does.
func class(n int) int {
	if n <= Min {
		return 0
	}
	return min(bits.Len(uint(n-1))-smallest, classes)
}

// Get lends an empty buffer with room for n bytes at least.
func Get(n int) *Buffer {
	k := class(n)
	if k == classes {
		return &Buffer{B: make([]byte, 0, n)} // too rare and too large to keep
	}
	if b, _ := pools[k].Get().(*Buffer); b != nil {
		return b
	}
	return &Buffer{B: make([]byte, 0, Min<<k)}
}

// Put takes b back. Its bytes may be another's at once.
func Put(b *Buffer) {
	if b.shared {
		return
	}
	size := cap(b.B)
	b.B, b.Next = b.B[:0], nil
	if k := class(size); k < classes && size == Min<<k {
		pools[k].Put(b)
	}
}

// Append appends p to *b, which may be nil, moving to a larger buffer when p does not fit.
func Append(b *Buffer, p []byte) *Buffer {
	if b == nil {
		b = Get(len(p))
	} else if len(b.B)+len(p) > cap(b.B) {
		larger := Get(max(len(b.B)+len(p), min(2*cap(b.B), 1<<20)))
		larger.B = append(larger.B, b.B...)
		larger.Next = b.Next
		Put(b)
		b = larger
	}
	b.B = append(b.B, p...)
	return b
}
