package socket

import (
	"slices"
	"sync"
	"time"
)

// A turn lets the blocking calls of one direction go one at a time, in the order in which they came. The zero turn is
// free. Any goroutine may take it; whoever took it passes it on.
type turn struct {
	mu    sync.Mutex
	taken bool
	queue []chan struct{} // of those that wait, each closed when its turn has come
}

// take waits for the turn, for at most timeout unless that is negative. It reports false when the time ran out. A call
// that waited gets the time at which its timeout ends; a call that did not gets the zero time and saves the clock.
func (t *turn) take(timeout time.Duration) (until time.Time, ok bool) {
	t.mu.Lock()
	if !t.taken {
		t.taken = true
		t.mu.Unlock()
		return time.Time{}, true
	}
	if timeout >= 0 {
		until = time.Now().Add(timeout)
	}
	mine := make(chan struct{})
	t.queue = append(t.queue, mine)
	t.mu.Unlock()
	if timeout < 0 {
		<-mine
		return until, true
	}
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-mine:
		return until, true
	case <-timer.C:
		return until, !t.leave(mine)
	}
}

// leave takes a call out of the queue. It reports false when the turn has come to it after all.
func (t *turn) leave(mine chan struct{}) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := slices.Index(t.queue, mine)
	if i < 0 {
		return false
	}
	t.queue = slices.Delete(t.queue, i, i+1)
	return true
}

// pass gives the turn to the next call in the queue.
func (t *turn) pass() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.queue) == 0 {
		t.taken = false
		return
	}
	close(t.queue[0])
	t.queue = slices.Delete(t.queue, 0, 1)
}
