package simkernel

import "github.com/switchboard-go/switchboard/internal/uring"

// buffers are provided buffers that fill up by pieces.
type buffers struct {
	k      *Kernel
	size   int
	memory [][]byte
	given  []uint16 // with the kernel, the first of which is being filled
	filled int      // bytes of that
	pieces [][]span // of each buffer: told of and not asked for
	held   []int    // of each: pieces that the program has
	usedUp []bool
}

type span struct{ from, to int }

func (b *buffers) init(k *Kernel, count, size int) {
	*b = buffers{k: k, size: size, memory: make([][]byte, count), pieces: make([][]span, count), held: make([]int, count),
		usedUp: make([]bool, count)}
	for i := range b.memory {
		b.memory[i] = make([]byte, size)
		b.given = append(b.given, uint16(i))
	}
}

func (b *buffers) none() bool { return len(b.given) == 0 }

// head is the room that is left in the buffer being filled.
func (b *buffers) head() []byte { return b.memory[b.given[0]][b.filled:] }

// use takes n bytes of it, and returns what the completion says of the buffer.
func (b *buffers) use(n int) uint32 {
	id := b.given[0]
	b.pieces[id] = append(b.pieces[id], span{b.filled, b.filled + n})
	flags := uint32(uring.IORING_CQE_F_BUFFER) | uint32(id)<<uring.IORING_CQE_BUFFER_SHIFT
	if b.filled += n; b.filled < b.size {
		return flags | uring.IORING_CQE_F_BUF_MORE
	}
	b.given, b.filled = b.given[1:], 0
	return flags
}

// poison makes of what nobody has any longer what nobody expects.
func (b *buffers) poison() {
	for _, m := range b.memory {
		for i := range m {
			m[i] = 0xee
		}
	}
}

func (r *ring) Bytes(c uring.CQE) []byte {
	r.k.mu.Lock()
	defer r.k.mu.Unlock()
	b := &r.buffers
	id, ok := c.Buffer()
	if !ok || c.Res <= 0 {
		return nil
	}
	if len(b.pieces[id]) == 0 {
		r.k.violated("provided buffers: buffer %d is asked for once more than it was told of", id)
		return nil
	}
	p := b.pieces[id][0]
	if p.to-p.from != int(c.Res) {
		r.k.violated("provided buffers: pieces of buffer %d are asked for in another order than they came in", id)
	}
	b.pieces[id] = b.pieces[id][1:]
	b.held[id]++
	return b.memory[id][p.from:p.to:p.to]
}

func (r *ring) Release(c uring.CQE) {
	r.k.mu.Lock()
	defer r.k.mu.Unlock()
	b := &r.buffers
	id, ok := c.Buffer()
	if !ok {
		return
	}
	if b.held[id]--; b.held[id] < 0 {
		r.k.violated("provided buffers: buffer %d is released once more than it was asked for", id)
	}
	if c.Flags&uring.IORING_CQE_F_BUF_MORE == 0 {
		b.usedUp[id] = true
	}
	if b.usedUp[id] && b.held[id] == 0 {
		for i := range b.memory[id] {
			b.memory[id][i] = 0xee
		}
		b.usedUp[id] = false
		b.given = append(b.given, id)
	}
}
