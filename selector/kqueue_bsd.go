//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package selector

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

const hasKqueue = true

// The events buffer begins small, as most loops are mostly idle, and doubles whenever it comes back full.
const (
	firstEvents = 64
	mostEvents  = 1024
)

// kqueue keeps the registrations in the kernel: a filter for each descriptor and event. The kernel drops them when the
// descriptor is closed, whoever else still holds the file.
type kqueue struct {
	fd     int
	wakeFD wakeFile
	events []unix.Kevent_t
	n      int           // events found
	places []int32       // by descriptor: where in Selector.ready it may be
	left   unix.Timespec // the timeout, here so that it is not allocated
}

// NewKqueue opens a Selector on kqueue(2), which macOS and the BSDs have: elsewhere the error wraps
// errors.ErrUnsupported.
func NewKqueue() (*Selector, error) { return newSelector(openKqueue) }

func openKqueue() (mechanism, error) {
	fd, err := unix.Kqueue()
	if err != nil {
		return nil, os.NewSyscallError("kqueue", err)
	}
	unix.CloseOnExec(fd) // a forked child does not inherit a kqueue, so no lock is needed
	wake, err := openWakeFile()
	if err != nil {
		unix.Close(fd)
		return nil, os.NewSyscallError("pipe", err)
	}
	m := &kqueue{fd: fd, wakeFD: wake, events: make([]unix.Kevent_t, firstEvents)}
	if err := m.add(wake.readFD(), Read, 0); err != nil {
		m.close()
		return nil, err
	}
	return m, nil
}

func (m *kqueue) name() string { return "kqueue" }
func (m *kqueue) live() bool   { return true }

func (m *kqueue) add(fd int, ev Events, _ uint64) error {
	if grow := fd + 1 - len(m.places); grow > 0 {
		m.places = append(m.places, make([]int32, grow)...)
	}
	return m.modify(fd, 0, ev, 0)
}

func (m *kqueue) modify(fd int, old, ev Events, _ uint64) error {
	if err := checkHangup("kqueue", ev, false); err != nil {
		return err
	}
	if ev&Except != 0 && !hasExcept {
		return fmt.Errorf("kqueue on %s tells nothing of Except, use poll or select: %w", runtime.GOOS, errors.ErrUnsupported)
	}
	var changes [3]unix.Kevent_t
	n := kqueueChanges(&changes, fd, old, ev)
	_, err := unix.Kevent(m.fd, changes[:n], nil, nil)
	if err != nil {
		// The kernel stops at the change that fails, with those before it made.
		m.revert(fd, ev, old)
		return os.NewSyscallError("kevent", err)
	}
	return nil
}

func (m *kqueue) remove(fd int, ev Events, closing bool) {
	if !closing {
		m.revert(fd, ev, 0)
	}
}

// revert makes what is waited for on fd old again, as far as the descriptor is still open.
func (m *kqueue) revert(fd int, ev, old Events) {
	var changes [3]unix.Kevent_t
	n := kqueueChanges(&changes, fd, ev, old)
	for i := range n {
		unix.Kevent(m.fd, changes[i:i+1], nil, nil)
	}
}

// kqueueChanges are those that lead from old to ev.
func kqueueChanges(changes *[3]unix.Kevent_t, fd int, old, ev Events) (n int) {
	for i, filter := range [...]int{unix.EVFILT_READ, unix.EVFILT_WRITE, filterExcept} {
		bit := Events(1 << i)
		if (old^ev)&bit == 0 || bit == Except && !hasExcept {
			continue
		}
		flags := unix.EV_ADD
		if ev&bit == 0 {
			flags = unix.EV_DELETE
		}
		unix.SetKevent(&changes[n], fd, filter, flags)
		if bit == Except {
			changes[n].Fflags = noteUrgent
		}
		n++
	}
	return n
}

func (m *kqueue) prepare() {}

func (m *kqueue) ask() error { return m.kevent(0) }

// wait lends a thread to the kernel. The scheduler takes its processor back.
func (m *kqueue) wait(deadline time.Time) error { return m.kevent(until(deadline)) }

func (m *kqueue) kevent(timeout time.Duration) error {
	var left *unix.Timespec
	if timeout >= 0 {
		m.left = unix.NsecToTimespec(int64(timeout))
		left = &m.left
	}
	n, err := unix.Kevent(m.fd, nil, m.events, left)
	if err == unix.EINTR {
		n, err = 0, nil
	}
	m.n = n
	return os.NewSyscallError("kevent", err)
}

func (m *kqueue) take(s *Selector) {
	for i := range m.events[:m.n] {
		fd := int(m.events[i].Ident)
		if fd == m.wakeFD.readFD() {
			m.wakeFD.drain()
			continue
		}
		e := s.keys.at(fd)
		if e == nil {
			m.revert(fd, allEvents, 0) // forgotten, and still open
			continue
		}
		if e = s.current(fd); e == nil {
			continue
		}
		ev := kqueueEvent(int(m.events[i].Filter))
		if at := int(m.places[fd]); at < len(s.ready) && s.ready[at].Key.FD == fd {
			s.ready[at].Events |= ev & e.events() // each filter tells for itself
			continue
		}
		m.places[fd] = int32(len(s.ready))
		s.found(fd, e, ev)
	}
	if m.n == len(m.events) && m.n < mostEvents {
		m.events = make([]unix.Kevent_t, 2*m.n)
	}
}

func kqueueEvent(filter int) Events {
	switch {
	case filter == unix.EVFILT_READ:
		return Read
	case filter == unix.EVFILT_WRITE:
		return Write
	case hasExcept && filter == filterExcept:
		return Except
	}
	return 0
}

func (m *kqueue) wake() error { return m.wakeFD.ring() }

func (m *kqueue) close() error {
	m.wakeFD.close()
	return unix.Close(m.fd)
}
