package zmtp

import (
	"sync"
	"sync/atomic"

	"github.com/switchboard-go/switchboard/internal/buffer"
)

// A chunk is a run of whole messages in the encoding of the wire: as many small ones as fit chunkSize, or a large one.
type chunk struct {
	b      *buffer.Buffer
	shared *share        // other chunks hold b too; nil: none do
	budget *atomic.Int64 // that b counts for, if it waits to be sent and has a limit
	at     int           // bytes of b that were consumed
	n      int32         // messages left
	given  int32         // of one that is being written: bytes that the connection was given
	end    int64         // of a chunk that was written: how many bytes the connection has sent when all of it is
	next   *chunk
}

// A share counts the chunks that hold a buffer.
type share struct {
	refs atomic.Int32
}

// chunkSize is how large a chunk may grow by further small messages: one write's worth.
const chunkSize = 64 << 10

// alone is from what size on a message has a chunk to itself, which then moves without being copied.
const alone = 8 << 10

var chunks = sync.Pool{New: func() any { return new(chunk) }}

// bytes returns what is left of c.
func (c *chunk) bytes() []byte { return c.b.B[c.at:] }

// free gives the chunk's memory back.
func (c *chunk) free() {
	if c.shared == nil || c.shared.refs.Add(-1) == 0 {
		if c.b != nil {
			c.uncount()
			buffer.Put(c.b)
		}
	}
	*c = chunk{}
	chunks.Put(c)
}

// counted has c's buffer count for a budget, which may be nil.
func (c *chunk) counted(budget *atomic.Int64) {
	if c.budget = budget; budget != nil {
		budget.Add(int64(cap(c.b.B)))
	}
}

// uncount undoes counted.
func (c *chunk) uncount() {
	if c.budget != nil {
		c.budget.Add(-int64(cap(c.b.B)))
		c.budget = nil
	}
}

// split returns another chunk with the same bytes.
func (c *chunk) split() *chunk {
	if c.shared == nil {
		c.shared = new(share)
		c.shared.refs.Store(1)
	}
	c.shared.refs.Add(1)
	other := chunks.Get().(*chunk)
	other.b, other.shared, other.budget, other.at, other.n = c.b, c.shared, c.budget, c.at, c.n
	return other
}

// A queue holds messages in chunks. The zero value is an empty queue, which holds no memory.
type queue struct {
	head, tail *chunk
	n          int32 // messages
	size       int32 // bytes
}

// extend returns the chunk that the next size bytes go to, with room for them. budget is nil, or what a queue of messages to be
// sent counts for.
func (q *queue) extend(size int, budget *atomic.Int64) *chunk {
	t := q.tail
	if t != nil && t.shared == nil && size < alone && t.b != nil {
		if len(t.b.B)+size <= cap(t.b.B) {
			return t
		}
		if len(t.b.B)+size <= chunkSize && t.at == 0 && len(t.b.B) < alone*2 {
			larger := buffer.Get(min(4*cap(t.b.B), chunkSize))
			larger.B = append(larger.B, t.b.B...)
			t.uncount()
			buffer.Put(t.b)
			t.b = larger
			t.counted(budget)
			return t
		}
	}
	first := size
	if t != nil && size < alone {
		first = chunkSize // there is more to come
	}
	c := chunks.Get().(*chunk)
	c.b = buffer.Get(first)
	c.counted(budget)
	q.push(c)
	return c
}

// push puts a chunk at the end. Its messages count.
func (q *queue) push(c *chunk) {
	if q.tail == nil {
		q.head = c
	} else {
		q.tail.next = c
	}
	q.tail = c
	q.n += c.n
	q.size += int32(len(c.b.B) - c.at)
}

// unshift puts a chunk at the beginning.
func (q *queue) unshift(c *chunk) {
	c.next = q.head
	q.head = c
	if q.tail == nil {
		q.tail = c
	}
	q.n += c.n
	q.size += int32(len(c.b.B) - c.at)
}

// shift takes the first chunk, nil if there is none.
func (q *queue) shift() *chunk {
	c := q.head
	if c == nil {
		return nil
	}
	q.head = c.next
	if q.head == nil {
		q.tail = nil
	}
	c.next = nil
	q.n -= c.n
	q.size -= int32(len(c.b.B) - c.at)
	return c
}

// add appends a message.
func (q *queue) add(parts [][]byte, size int, budget *atomic.Int64) {
	c := q.extend(size, budget)
	c.b.B = appendParts(c.b.B, parts)
	q.grew(c, 1, size)
}

// addRaw appends n messages as they are on the wire.
func (q *queue) addRaw(p []byte, n int32, budget *atomic.Int64) {
	c := q.extend(len(p), budget)
	c.b.B = append(c.b.B, p...)
	q.grew(c, n, len(p))
}

func (q *queue) grew(c *chunk, n int32, size int) {
	c.n += n
	q.n += n
	q.size += int32(size)
}

// consumed takes the first message, of size bytes, off the first chunk. It returns the chunk if that was its last, for the
// caller to free.
func (q *queue) consumed(size int) (empty *chunk) {
	c := q.head
	if c.n == 1 {
		return q.shift()
	}
	c.at += size
	c.n--
	q.n--
	q.size -= int32(size)
	return nil
}

// clear drops everything and returns how many messages that was.
func (q *queue) clear() (n int) {
	n = int(q.n)
	for c := q.shift(); c != nil; c = q.shift() {
		c.free()
	}
	return n
}
