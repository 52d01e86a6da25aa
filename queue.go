package switchboard

import "github.com/switchboard-go/switchboard/internal/buffer"

// A queue is bytes in order, in borrowed buffers: none when it is empty.
type queue struct {
	head, tail *buffer.Buffer
	headSent   int32 // bytes of head that are taken out already
	queued     int32 // bytes in it; a Conn counts its inflow as well
}

// enqueue copies p to the end.
func (q *queue) enqueue(p []byte) {
	if len(p) == 0 {
		return
	}
	if q.tail == nil || len(q.tail.B)+len(p) > cap(q.tail.B) {
		b := buffer.Get(max(len(p), min(int(q.queued), 16<<10))) // a queue that grows takes fewer and larger ones
		if q.tail == nil {
			q.head = b
		} else {
			q.tail.Next = b
		}
		q.tail = b
	}
	q.tail.B = append(q.tail.B, p...)
	q.queued += int32(len(p))
}

// putBack makes p the beginning again.
func (q *queue) putBack(p []byte) {
	b := buffer.Append(nil, p)
	if q.head != nil {
		b = buffer.Append(b, q.head.B[q.headSent:])
		b.Next = q.head.Next
		buffer.Put(q.head)
	}
	if q.tail == nil || q.tail == q.head {
		q.tail = b
	}
	q.head, q.headSent = b, 0
	q.queued += int32(len(p))
}

// dequeue drops the first n bytes.
func (q *queue) dequeue(n int) {
	q.queued -= int32(n)
	for n > 0 {
		b := q.head
		left := len(b.B) - int(q.headSent)
		if n < left {
			q.headSent += int32(n)
			return
		}
		n -= left
		q.head, q.headSent = b.Next, 0
		buffer.Put(b)
	}
	if q.head == nil {
		q.tail = nil
	}
}
