package selector

import (
	"errors"
	"fmt"
	"time"
)

// Selector.state tells whether a Select is waiting, so that Wake costs a system call only then.
const (
	idle    uint32 = iota // no Select is waiting: a Wake marks it woken and is done
	waiting               // a Select waits or is about to: a Wake marks it woken and writes the wake file
	woken                 // whoever waits or comes next returns: further Wakes have nothing to do
	closed                // for good
)

var errBusy = errors.New("select: another goroutine is in Select of this selector")

// Select waits until a registered descriptor is ready, Wake is called, or the timeout has passed. It returns one
// Ready for each ready descriptor, in no order. A negative timeout means no limit. 0 means that Select does not wait.
// Other timeouts are rounded up to the resolution of the mechanism: Select never returns early.
//
// After a Wake or the timeout the result is empty and the error is nil. A Wake before Select makes that Select return
// without waiting. The result is valid until the next Select. While it waits, Select holds no processor (P) of the Go
// scheduler. Signals do not end it. The error is ErrClosed, also if Close is called meanwhile, or that of the
// mechanism's system call.
func (s *Selector) Select(timeout time.Duration) ([]Ready, error) {
	if !s.turn.TryLock() {
		if s.state.Load() == closed {
			return nil, fmt.Errorf("select: %w", ErrClosed)
		}
		return nil, errBusy
	}
	defer s.turn.Unlock()
	if size := s.room.size(cap(s.ready), len(s.ready)); size < cap(s.ready) {
		s.ready = make([]Ready, 0, size)
	}
	s.foundNothing()

	if s.state.CompareAndSwap(woken, idle) || timeout == 0 {
		err := s.begin()
		if err == nil {
			err = s.finish(s.mechanism.ask())
		}
		return s.ready, err
	}
	var deadline time.Time
	if timeout > 0 {
		deadline = time.Now().Add(timeout)
	}
	var err error
	for err == nil && len(s.ready) == 0 && s.state.CompareAndSwap(idle, waiting) {
		if err = s.begin(); err == nil {
			err = s.finish(s.mechanism.wait(deadline))
		}
		if !s.state.CompareAndSwap(waiting, idle) || len(s.ready) == 0 && until(deadline) == 0 {
			break
		}
	}
	s.state.CompareAndSwap(woken, idle)
	if err == nil {
		err = s.closedError()
	}
	return s.ready, err
}

// begin comes before the mechanism looks, finish after it has looked and said err.
func (s *Selector) begin() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.closedError(); err != nil {
		return err
	}
	s.asked = s.stamp
	s.mechanism.prepare()
	return nil
}

func (s *Selector) finish(err error) error {
	if err != nil {
		return fmt.Errorf("select: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.closedError(); err != nil {
		return err
	}
	s.mechanism.take(s)
	return nil
}

// current returns the registration of fd if it is the one that the mechanism was looking at. A newer one may belong
// to another file under the same number; what is ready now is still ready at the next look.
func (s *Selector) current(fd int) *entry {
	if e := s.keys.at(fd); e != nil && e.stamp() <= s.asked {
		return e
	}
	return nil
}

// foundNothing begins the result anew, and lets go of the callers' data.
func (s *Selector) foundNothing() {
	clear(s.ready)
	s.ready = s.ready[:0]
}

// found adds to the result that fd, whose entry is e, is ready.
func (s *Selector) found(fd int, e *entry, ev Events) {
	if ev &= e.events(); ev != 0 {
		s.ready = append(s.ready, Ready{Key{fd, e.events(), e.data}, ev})
	}
}

// places is for a mechanism that tells of each event for itself: by descriptor, where in Selector.ready it may be.
type places []int32

func (p *places) grow(fd int) {
	if grow := fd + 1 - len(*p); grow > 0 {
		*p = append(*p, make([]int32, grow)...)
	}
}

// foundAlso is found for such a mechanism.
func (s *Selector) foundAlso(places places, fd int, e *entry, ev Events) {
	if at := int(places[fd]); at < len(s.ready) && s.ready[at].Key.FD == fd {
		s.ready[at].Events |= ev & e.events()
		return
	}
	places[fd] = int32(len(s.ready))
	s.found(fd, e, ev)
}

// Wake makes the waiting Select return. If none waits, the next one does not wait. Several Wakes before that count as
// one. Any goroutine may call it. It needs a system call only while a Select waits.
func (s *Selector) Wake() error {
	for {
		switch s.state.Load() {
		case woken:
			return nil
		case closed:
			return fmt.Errorf("wake: %w", ErrClosed)
		case idle:
			if s.state.CompareAndSwap(idle, woken) {
				return nil
			}
		case waiting:
			if s.state.CompareAndSwap(waiting, woken) {
				return s.wakeMechanism()
			}
		}
	}
}

func (s *Selector) wakeMechanism() error {
	s.mu.Lock() // so that Close does not close the wake file under the write
	defer s.mu.Unlock()
	if s.state.Load() == closed {
		return nil // Close has woken it
	}
	if err := s.mechanism.wake(); err != nil {
		return fmt.Errorf("wake: %w", err)
	}
	return nil
}

// changed makes a wait that is under way take note of a change of the registrations. The caller holds mu.
func (s *Selector) changed() error {
	if s.mechanism.live() || s.state.Load() != waiting {
		return nil
	}
	return s.mechanism.wake()
}

// Close releases the system resources of the Selector. The registered descriptors stay open. A waiting Select returns
// ErrClosed, and Close returns after it. Later calls return ErrClosed.
func (s *Selector) Close() error {
	s.mu.Lock()
	if s.state.Swap(closed) == closed {
		s.mu.Unlock()
		return fmt.Errorf("close: %w", ErrClosed)
	}
	err := s.mechanism.wake()
	s.keys = table{}
	s.mu.Unlock()

	s.turn.Lock()
	defer s.turn.Unlock()
	s.ready = nil
	return errors.Join(err, s.mechanism.close())
}

func (s *Selector) closedError() error {
	if s.state.Load() == closed {
		return fmt.Errorf("select: %w", ErrClosed)
	}
	return nil
}
