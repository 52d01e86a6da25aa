package chat

import "sync"

// mostSaid is how many messages of pages are known again.
const mostSaid = 10_000

// A once knows messages again that were given to the Log. A page that comes back before the Log has its message says it once
// more. Any goroutine may call its methods.
type once struct {
	mu   sync.Mutex
	said map[string]bool
	list []string
	next int // the oldest of list, when it is full
}

// first notes a message, and tells whether it was not said before.
func (o *once) first(id string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.said[id] {
		return false
	}
	if o.said == nil {
		o.said = map[string]bool{}
	}
	o.said[id] = true
	if len(o.list) < mostSaid {
		o.list = append(o.list, id)
	} else {
		delete(o.said, o.list[o.next])
		o.list[o.next] = id
		o.next = (o.next + 1) % mostSaid
	}
	return true
}

// failed forgets a message that was not taken.
func (o *once) failed(id string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.said, id)
}
