package engine

// A FIFO is worked off from the front. What is left when a goroutine ends early stays in it, and its memory is used again.
// Its zero value is empty.
type FIFO[T any] struct {
	items []T
	at    int
}

// Push adds v to the end.
func (q *FIFO[T]) Push(v T) { q.items = append(q.items, v) }

// Next takes the first item out.
func (q *FIFO[T]) Next() (v T, ok bool) {
	if q.at == len(q.items) {
		clear(q.items)
		q.items, q.at = q.items[:0], 0
		return v, false
	}
	v = q.items[q.at]
	q.at++
	return v, true
}

// Refill takes over what *from holds if q is empty, and leaves there an empty slice to fill. It tells whether it did.
func (q *FIFO[T]) Refill(from *[]T) bool {
	if q.at < len(q.items) {
		return false
	}
	clear(q.items)
	q.items, *from, q.at = *from, q.items[:0], 0
	return true
}

// Len returns how many items wait.
func (q *FIFO[T]) Len() int { return len(q.items) - q.at }

// Waiting returns the items that wait. They are q's.
func (q *FIFO[T]) Waiting() []T { return q.items[q.at:] }
