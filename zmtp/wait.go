package zmtp

import (
	"context"
	"os"
	"sync"
	"time"
)

// A waiter is a goroutine that waits for a socket, or for one of several.
type waiter struct {
	woken chan struct{} // holds one
}

var idleWaiters = sync.Pool{New: func() any { return &waiter{make(chan struct{}, 1)} }}

// waiters are those who wait for one thing. They belong to their socket's mu.
type waiters struct{ list []*waiter }

func (w *waiters) add(who *waiter) { w.list = append(w.list, who) }

// remove takes who from the list and tells whether it was there.
func (w *waiters) remove(who *waiter) bool {
	for i, other := range w.list {
		if other == who {
			copy(w.list[i:], w.list[i+1:])
			w.list[len(w.list)-1] = nil
			w.list = w.list[:len(w.list)-1]
			return true
		}
	}
	return false
}

// wake wakes the n that have waited longest.
func (w *waiters) wake(n int) {
	n = min(n, len(w.list))
	if n == 0 {
		return
	}
	for _, who := range w.list[:n] {
		select {
		case who.woken <- struct{}{}:
		default:
		}
	}
	rest := copy(w.list, w.list[n:])
	clear(w.list[rest:])
	w.list = w.list[:rest]
}

// wait waits in w until woken, or for ctx or d. s.mu is held, but not while it waits. Who is woken must look whether what
// it waited for is still there; if it was and is not taken, the next is to be woken.
func (s *Socket) wait(ctx context.Context, w *waiters, d *deadline) error {
	who := idleWaiters.Get().(*waiter)
	w.add(who)
	s.mu.Unlock()
	var err error
	select {
	case <-who.woken:
	case <-d.passed():
		err = os.ErrDeadlineExceeded
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	s.mu.Lock()
	if err != nil && !w.remove(who) {
		<-who.woken
		w.wake(1) // it was woken as well, and leaves that to another
	}
	idleWaiters.Put(who)
	return err
}

// A deadline is a time after which calls wait no longer.
type deadline struct {
	mu    sync.Mutex
	timer *time.Timer
	past  chan struct{} // closed when it has passed; nil: never used
}

// set makes it t, never if that is the zero time.
func (d *deadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil && !d.timer.Stop() {
		<-d.past // the timer is about to close it
	}
	d.timer = nil
	if d.past == nil {
		d.past = make(chan struct{})
	}
	over := isClosed(d.past)
	if left := time.Until(t); !t.IsZero() && left <= 0 {
		if !over {
			close(d.past)
		}
		return
	} else if over {
		d.past = make(chan struct{})
	}
	if !t.IsZero() {
		past := d.past
		d.timer = time.AfterFunc(time.Until(t), func() { close(past) })
	}
}

func isClosed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// passed returns a channel that is closed when the deadline passes.
func (d *deadline) passed() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.past == nil {
		d.past = make(chan struct{})
	}
	return d.past
}

// over tells whether it has passed.
func (d *deadline) over() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.past != nil && isClosed(d.past)
}

// SetSendDeadline sets the time at which Send fails with os.ErrDeadlineExceeded, including calls that wait already.
// The zero Time means no deadline.
func (s *Socket) SetSendDeadline(t time.Time) { s.sendDeadline.set(t) }

// SetRecvDeadline sets the time at which Recv fails with os.ErrDeadlineExceeded, including calls that wait already.
// The zero Time means no deadline.
func (s *Socket) SetRecvDeadline(t time.Time) { s.recvDeadline.set(t) }

// SetDeadline calls SetSendDeadline and SetRecvDeadline.
func (s *Socket) SetDeadline(t time.Time) {
	s.sendDeadline.set(t)
	s.recvDeadline.set(t)
}
