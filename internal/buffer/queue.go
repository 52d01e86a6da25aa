package buffer

// A Queue is bytes in order, in borrowed buffers: none when it is empty. Its zero value is empty.
type Queue struct {
	head, tail *Buffer
	skip       int32 // bytes of head that are taken out already
	size       int32
}

// Len returns how many bytes are in q.
func (q *Queue) Len() int { return int(q.size) }

// Room returns how many bytes the buffers of q have room for: what it holds of memory.
func (q *Queue) Room() (n int) {
	for b := q.head; b != nil; b = b.Next {
		n += cap(b.B)
	}
	return n
}

// Add copies p to the end.
func (q *Queue) Add(p []byte) {
	if len(p) == 0 {
		return
	}
	if q.tail == nil || len(q.tail.B)+len(p) > cap(q.tail.B) {
		b := Get(max(len(p), min(int(q.size), 16<<10))) // a queue that grows takes fewer and larger ones
		if q.tail == nil {
			q.head = b
		} else {
			q.tail.Next = b
		}
		q.tail = b
	}
	q.tail.B = append(q.tail.B, p...)
	q.size += int32(len(p))
}

// AddShared adds p to the end without copying it: p must never change again.
func (q *Queue) AddShared(p []byte) {
	if len(p) == 0 {
		return
	}
	b := &Buffer{B: p[:len(p):len(p)], shared: true}
	if q.tail == nil {
		q.head = b
	} else {
		q.tail.Next = b
	}
	q.tail = b
	q.size += int32(len(p))
}

// PutBackShared is PutBack without copying p, which must never change again.
func (q *Queue) PutBackShared(p []byte) {
	if len(p) == 0 {
		return
	}
	if q.head == nil {
		q.tail = nil
		q.AddShared(p)
		return
	}
	q.head.B, q.skip = q.head.B[q.skip:], 0
	q.head = &Buffer{B: p[:len(p):len(p)], Next: q.head, shared: true}
	q.size += int32(len(p))
}

// PutBack makes p, which was taken out last, the beginning again.
func (q *Queue) PutBack(p []byte) {
	if len(p) == 0 {
		return
	}
	b := Append(nil, p)
	if q.head == nil {
		q.tail = b
	}
	if q.skip > 0 { // what is left of the first buffer moves into the new one
		first := q.head
		b = Append(b, first.B[q.skip:])
		b.Next = first.Next
		if q.tail == first {
			q.tail = b
		}
		Put(first)
	} else {
		b.Next = q.head
	}
	q.head, q.skip = b, 0
	q.size += int32(len(p))
}

// Drop takes the first n bytes out. q must have so many.
func (q *Queue) Drop(n int) {
	q.size -= int32(n)
	for n > 0 {
		b := q.head
		left := len(b.B) - int(q.skip)
		if n < left {
			q.skip += int32(n)
			return
		}
		n -= left
		q.head, q.skip = b.Next, 0
		Put(b)
	}
	if q.head == nil {
		q.tail = nil
	}
}

// First returns the first bytes of q that lie in one piece, nil if it is empty. They are q's.
func (q *Queue) First() []byte {
	if q.head == nil {
		return nil
	}
	return q.head.B[q.skip:]
}

// Pieces appends q's bytes to all, piece by piece, as far as its capacity lasts.
func (q *Queue) Pieces(all [][]byte) [][]byte {
	skip := q.skip
	for b := q.head; b != nil && len(all) < cap(all); b = b.Next {
		all = append(all, b.B[skip:])
		skip = 0
	}
	return all
}

// AppendTo copies the first n bytes of q to the end of p, or all if it has fewer.
func (q *Queue) AppendTo(p []byte, n int) []byte {
	skip := q.skip
	for b := q.head; b != nil && n > 0; b = b.Next {
		part := b.B[skip:]
		part = part[:min(len(part), n)]
		p = append(p, part...)
		n -= len(part)
		skip = 0
	}
	return p
}
