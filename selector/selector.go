package selector

import (
	"errors"
	"fmt"
	"iter"
	"math"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/switchboard-go/switchboard/internal/poller"
)

// Events is a set of conditions for which a descriptor can be ready.
//
// Hangup is for a connection whose input has ended, or that should not be read for a while: nothing else then reports
// a reset. It can be registered alone or with others. It does not report a half-close, after which the peer still
// receives. A hangup lasts: call Unregister or Modify after it.
//
// An error or a hangup also makes a descriptor ready for Read and Write, and for Except if that is registered alone.
type Events uint32

const (
	Read   Events = 1 << iota // a read will not block: bytes, a connection to accept, end of stream, or an error
	Write                     // a write will not block: room in the buffer, a connect that has ended, or an error
	Except                    // the third list of select(2): urgent (out-of-band) data on a TCP socket
	Hangup                    // the peer has reset the connection, or both directions are over

	allEvents    = Read | Write | Except | Hangup
	bitsOfEvents = 4
)

// String lists the set as "read|write|except|hangup"; the empty set is "none".
func (e Events) String() string {
	var names []string
	for i, name := range [...]string{"read", "write", "except", "hangup"} {
		if e&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	if rest := e &^ allEvents; rest != 0 {
		names = append(names, fmt.Sprintf("%#x", uint32(rest)))
	}
	if names == nil {
		return "none"
	}
	return strings.Join(names, "|")
}

// A Key is the registration of a descriptor.
type Key struct {
	FD     int
	Events Events // what is waited for
	Data   any    // the caller's own; the Selector only keeps it
}

// A Ready reports the events for which a registered descriptor is ready.
type Ready struct {
	Key    Key    // as it was registered when the event was taken
	Events Events // a part of Key.Events, never empty
}

// What is wrong with a call. They come wrapped with the call and the descriptor; compare with errors.Is.
var (
	ErrRegistered    = errors.New("already registered")
	ErrNotRegistered = errors.New("not registered")
	ErrClosed        = errors.New("selector closed")
	ErrNoEvents      = errors.New("no events to wait for: give Read, Write, Except or Hangup")
)

// A Selector waits for many descriptors at once. New makes one. The zero Selector is not usable.
//
// Only one goroutine at a time may call Select. Any goroutine may call every other method, also while Select waits,
// and their changes take effect at once. Readiness is level-triggered: Select reports it again until its cause is
// gone.
type Selector struct {
	mechanism mechanism

	// The registrations
	mu    sync.Mutex // guards what is below and the mechanism's registrations
	keys  table
	stamp uint64 // of the last Register or Modify; never goes back
	asked uint64 // the stamp when the mechanism last began to look

	// The one Select that may run
	turn  sync.Mutex // held throughout Select
	state atomic.Uint32
	ready []Ready
	room  buffer // sizes ready
}

// newSelector opens Go's poller first: who waits parks there, and a server may be out of descriptors by then.
func newSelector(open func() (mechanism, error)) (*Selector, error) {
	if err := poller.Open(); err != nil {
		return nil, os.NewSyscallError("pipe", err)
	}
	m, err := open()
	if err != nil {
		return nil, err
	}
	return &Selector{mechanism: m}, nil
}

// Mechanism returns the name of the mechanism: "epoll", "kqueue", "afd", "poll" or "select".
func (s *Selector) Mechanism() string { return s.mechanism.name() }

// Register starts to wait for the events ev of fd. Every Key of fd has data. The caller still owns the descriptor. It
// should be in non-blocking mode, because readiness can pass before the caller acts on it.
//
// Errors: ErrRegistered, ErrNoEvents, ErrClosed, EBADF for a descriptor that is not open, EPERM for a file that the
// mechanism cannot wait for (a regular file with epoll), errors.ErrUnsupported if it does not have Except or Hangup.
func (s *Selector) Register(fd int, ev Events, data any) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.check(fd, ev); err != nil {
		return callError("register", fd, err)
	}
	if s.keys.at(fd) != nil {
		return callError("register", fd, ErrRegistered)
	}
	if err := s.mechanism.add(fd, ev, s.stamp+1); err != nil {
		return callError("register", fd, err)
	}
	s.stamp++
	s.keys.set(fd, ev, data, s.stamp)
	return s.changed()
}

// Modify replaces the events and the data of fd. If ev does not change it needs no system call.
func (s *Selector) Modify(fd int, ev Events, data any) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.check(fd, ev); err != nil {
		return callError("modify", fd, err)
	}
	e := s.keys.at(fd)
	if e == nil {
		return callError("modify", fd, ErrNotRegistered)
	}
	if e.events() == ev {
		e.data = data
		return nil
	}
	if err := s.mechanism.modify(fd, e.events(), ev, s.stamp+1); err != nil {
		return callError("modify", fd, err)
	}
	s.stamp++
	s.keys.set(fd, ev, data, s.stamp)
	return s.changed()
}

// Unregister stops waiting for fd and returns its registration. fd may be closed already.
func (s *Selector) Unregister(fd int) (Key, error) { return s.drop("unregister", fd, false) }

// Forget is Unregister for a descriptor that the caller closes immediately afterwards. epoll and kqueue learn of the
// close themselves, so Forget needs no system call. If the descriptor stays open, Select wastes time on it but works.
func (s *Selector) Forget(fd int) (Key, error) { return s.drop("forget", fd, true) }

func (s *Selector) drop(call string, fd int, closing bool) (Key, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key, err := s.lookup(fd)
	if err != nil {
		return Key{}, callError(call, fd, err)
	}
	s.mechanism.remove(fd, key.Events, closing)
	s.keys.clear(fd)
	return key, nil
}

// Lookup returns the registration of fd, or ErrNotRegistered.
func (s *Selector) Lookup(fd int) (Key, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key, err := s.lookup(fd)
	if err != nil {
		return Key{}, callError("lookup", fd, err)
	}
	return key, nil
}

func (s *Selector) lookup(fd int) (Key, error) {
	if s.state.Load() == closed {
		return Key{}, ErrClosed
	}
	e := s.keys.at(fd)
	if e == nil {
		return Key{}, ErrNotRegistered
	}
	return Key{fd, e.events(), e.data}, nil
}

// Keys iterates over the registrations, sorted by descriptor. The loop body may change registrations. The iteration
// may or may not include descriptors that are registered meanwhile.
func (s *Selector) Keys() iter.Seq[Key] {
	return func(yield func(Key) bool) {
		for fd := 0; ; fd++ {
			s.mu.Lock()
			fd = s.keys.next(fd)
			key, err := s.lookup(fd)
			s.mu.Unlock()
			if err != nil || !yield(key) {
				return
			}
		}
	}
}

// Len returns the number of registered descriptors.
func (s *Selector) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keys.len
}

func (s *Selector) check(fd int, ev Events) error {
	switch {
	case s.state.Load() == closed:
		return ErrClosed
	case fd < 0 || fd > math.MaxInt32:
		return fmt.Errorf("not a descriptor: %w", syscall.EBADF)
	case ev&^allEvents != 0:
		return fmt.Errorf("unknown events %v: %w", ev&^allEvents, syscall.EINVAL)
	case ev == 0:
		return ErrNoEvents
	}
	return nil
}

func callError(call string, fd int, err error) error { return fmt.Errorf("%s %d: %w", call, fd, err) }
