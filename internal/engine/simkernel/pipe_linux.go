package simkernel

import "syscall"

// A pipe holds bytes in slots: a slot is used up by however few bytes were put into it at once.
type pipe struct {
	k       *Kernel
	buf     []byte
	slots   []int // bytes in each
	most    int   // slots
	readers int
	writers int
}

const slotSize = 4096

// A pipeEnd is what a descriptor of a pipe is.
type pipeEnd struct {
	*pipe
	writes bool
}

func (e *pipeEnd) poll() (m uint32) {
	switch {
	case e.writes && e.readers == 0:
		m |= pollErr | pollOut
	case e.writes && len(e.slots) < e.most:
		m |= pollOut
	case !e.writes && len(e.buf) > 0:
		m |= pollIn
	}
	if !e.writes && e.writers == 0 {
		m |= pollHup
	}
	return m
}

func (e *pipeEnd) release() {
	if e.writes {
		e.writers--
	} else {
		e.readers--
	}
}

// fill moves bytes of s into p.
func (p *pipe) fill(s *sock, n int) (int, syscall.Errno) {
	switch {
	case n == 0:
		return 0, 0
	case p.readers == 0:
		return 0, syscall.EPIPE
	case len(p.slots) == p.most:
		return 0, syscall.EAGAIN
	case len(s.in) == 0:
		var none [1]byte
		return s.recv(none[:]) // the end, an error or EAGAIN
	}
	moved := 0
	for n > 0 && len(s.in) > 0 && len(p.slots) < p.most {
		piece := min(n, len(s.in), slotSize<<p.k.rng.IntN(4)) // a slot takes a whole piece of memory, of one page or more
		if p.k.rng.IntN(8) == 0 {                             // as the segment came
			piece = 1 + p.k.rng.IntN(piece)
		}
		p.buf = append(p.buf, s.in[:piece]...)
		p.slots = append(p.slots, piece)
		s.consume(piece)
		n, moved = n-piece, moved+piece
		if p.k.chance(p.k.Faults.Short) {
			break
		}
	}
	return moved, 0
}

// drain moves bytes of p into s.
func (p *pipe) drain(s *sock, n int) (int, syscall.Errno) {
	switch {
	case n == 0:
		return 0, 0
	case len(p.buf) == 0 && p.writers == 0:
		return 0, 0
	case len(p.buf) == 0:
		return 0, syscall.EAGAIN
	}
	sent, errno := s.send(p.buf[:min(n, len(p.buf))])
	p.buf = p.buf[sent:]
	for left := sent; left > 0; {
		piece := min(left, p.slots[0])
		p.slots[0] -= piece
		left -= piece
		if p.slots[0] == 0 {
			p.slots = p.slots[1:]
		}
	}
	return sent, errno
}
