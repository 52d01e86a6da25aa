//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package selector

import (
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// kqueue keeps the registrations in the kernel: a filter for each descriptor and event. The kernel drops them when the
// descriptor is closed, whoever else still holds the file.
//
// Its system calls are behind kqueueKernel, and compile everywhere: the tests put a kernel of their own there.
type kqueue struct {
	kernel  kqueueKernel
	fd      int
	wakeFD  wakeFile
	events  []kevent
	buffer  buffer // sizes events
	n       int    // events found
	places  places
	states  []kqueueState // by descriptor
	urgent  []int         // those reported for Except, which is not level-triggered by itself
	changes [6]kevent     // here so that they are not allocated
}

type kqueueState struct {
	ended     Events // Read, Write: the directions that are over, as their filters have told
	forgotten Events // of a registration that was forgotten: filters may be left, unless the descriptor was closed
}

const bothEnded = Read | Write

// A kqueueKernel is the calls of kqueue(2).
type kqueueKernel interface {
	kqueue() (kq int, err error)
	// kevent makes the changes in their order, and stops with an error at one that fails. Then it waits for events, if
	// there is room for any: as long as timeout says, negative without end. A signal ends the wait with nothing.
	kevent(kq int, changes, events []kevent, timeout time.Duration) (n int, err error)
	close(kq int) error
	hasExcept() bool // whether there is EVFILT_EXCEPT
}

// A kevent is struct kevent. Its filter is EVFILT_READ, EVFILT_WRITE or EVFILT_EXCEPT by the name of the condition.
type kevent struct {
	fd     int
	filter Events
	flags  uint16
	fflags uint32
	data   int64
}

// From <sys/event.h>, the same on every system.
const (
	evAdd     = 0x1
	evDelete  = 0x2
	evEnable  = 0x4
	evClear   = 0x20
	evEOF     = 0x8000
	noteLowat = 0x1
	noteOOB   = 0x2 // except on OpenBSD
)

func openKqueueOf(kernel kqueueKernel) (mechanism, error) {
	fd, err := kernel.kqueue()
	if err != nil {
		return nil, os.NewSyscallError("kqueue", err)
	}
	wake, err := openWakeFile()
	if err != nil {
		kernel.close(fd)
		return nil, os.NewSyscallError("pipe", err)
	}
	m := &kqueue{kernel: kernel, fd: fd, wakeFD: wake, events: make([]kevent, firstEvents)}
	m.changes[0] = kevent{fd: wake.readFD(), filter: Read, flags: evAdd}
	if err := m.change(1); err != nil {
		m.close()
		return nil, os.NewSyscallError("kevent", err)
	}
	return m, nil
}

func (m *kqueue) name() string  { return "kqueue" }
func (m *kqueue) live() bool    { return true }
func (m *kqueue) excepts() bool { return m.kernel.hasExcept() }

func (m *kqueue) add(fd int, ev Events, _ uint64) error {
	if err := m.check(ev); err != nil {
		return err
	}
	var status unix.Stat_t
	if err := unix.Fstat(fd, &status); err != nil {
		return os.NewSyscallError("fstat", err)
	}
	if kind := status.Mode & unix.S_IFMT; kind == unix.S_IFREG || kind == unix.S_IFDIR {
		return fmt.Errorf("kqueue takes no regular files or directories, which are always ready: %w", unix.EPERM)
	}
	m.places.grow(fd)
	if grow := fd + 1 - len(m.states); grow > 0 {
		m.states = append(m.states, make([]kqueueState, grow)...)
	}
	// A filter that is there already keeps its trigger.
	if left := m.states[fd].forgotten; left != 0 && (left|ev)&(Hangup|Except) != 0 {
		m.deleteFilters(fd, allEvents)
	}
	m.states[fd] = kqueueState{}
	return m.turn(fd, 0, ev)
}

func (m *kqueue) modify(fd int, old, ev Events, _ uint64) error {
	if err := m.check(ev); err != nil {
		return err
	}
	err := m.turn(fd, old, ev)
	if errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("the descriptor was closed while registered, and is another's now; unregister it first: %w", err)
	}
	return err
}

func (m *kqueue) check(ev Events) error {
	if ev&Except != 0 && !m.kernel.hasExcept() {
		return fmt.Errorf("kqueue on %s tells nothing of Except, use poll or select: %w", runtime.GOOS, errors.ErrUnsupported)
	}
	return nil
}

func (m *kqueue) remove(fd int, ev Events, closing bool) {
	if closing {
		m.states[fd].forgotten = ev
		return
	}
	m.deleteFilters(fd, ev)
}

// deleteFilters deletes those that there are for ev.
func (m *kqueue) deleteFilters(fd int, ev Events) {
	if !m.kernel.hasExcept() {
		ev &^= Except
	}
	for filter := Read; filter <= Except; filter <<= 1 {
		if filterOf(fd, filter, ev, 0).fd == fd {
			m.changes[0] = kevent{fd: fd, filter: filter, flags: evDelete}
			m.change(1) // fails for one that is not there, or was closed
		}
	}
}

func (m *kqueue) change(n int) error {
	_, err := m.kernel.kevent(m.fd, m.changes[:n], nil, 0)
	return err
}

// turn leads the filters of fd from those of old to those of ev. A number that has become another file's lacks those of
// old: it fails with ENOENT before anything is changed.
func (m *kqueue) turn(fd int, old, ev Events) error {
	err := m.change(m.steps(fd, old, ev))
	if err == nil {
		return nil
	}
	if err != unix.ENOENT && err != unix.EBADF { // the changes before the one that failed are made
		n := m.steps(fd, ev, old)
		for i := range n {
			m.changes[0] = m.changes[i]
			m.change(1)
		}
	}
	return os.NewSyscallError("kevent", err)
}

// steps puts into changes what leads from old to ev.
func (m *kqueue) steps(fd int, old, ev Events) (n int) {
	step := func(c kevent, flags uint16) {
		c.flags |= flags
		m.changes[n] = c
		n++
	}
	ended := m.states[fd].ended
	for filter := Read; filter <= Except; filter <<= 1 {
		if was, is := filterOf(fd, filter, old, ended), filterOf(fd, filter, ev, ended); was == is && was.fd == fd {
			step(kevent{fd: fd, filter: filter}, evEnable) // changes nothing, and fails if it is not there
		}
	}
	for filter := Read; filter <= Except; filter <<= 1 {
		if was, is := filterOf(fd, filter, old, ended), filterOf(fd, filter, ev, ended); was != is && was.fd == fd {
			step(kevent{fd: fd, filter: filter}, evDelete)
		}
	}
	for filter := Read; filter <= Except; filter <<= 1 {
		if was, is := filterOf(fd, filter, old, ended), filterOf(fd, filter, ev, ended); was != is && is.fd == fd {
			step(is, evAdd)
		}
	}
	return n
}

// filterOf is the filter as ev wants it, without fd if it does not.
//
// A hangup is that both directions have ended. Each filter tells of its own direction's end beside its readiness. One that
// is there for the end alone has a low-water mark that no buffer reaches. It is edge-triggered, as one end alone may last
// long, and macOS keeps the mark within the buffer's size. Once both have ended, the filter for writing tells it again
// and again.
func filterOf(fd int, filter, ev, ended Events) kevent {
	switch c := (kevent{fd: fd, filter: filter}); {
	case filter == Except && ev&Except != 0:
		// Edge-triggered, as it holds until the reader has passed the mark in the stream, not only until the urgent byte was read.
		c.flags, c.fflags = evClear, noteOOB
		return c
	case filter == Except:
	case ev&filter != 0, filter == Write && ev&Hangup != 0 && ended == bothEnded:
		return c
	case ev&Hangup != 0:
		c.flags, c.fflags, c.data = evClear, noteLowat, math.MaxInt32
		return c
	}
	return kevent{fd: -1}
}

// again makes an edge-triggered filter look anew.
func (m *kqueue) again(fd int, filter Events, e *entry) {
	c := filterOf(fd, filter, e.events(), m.states[fd].ended)
	if c.fd != fd || c.flags&evClear == 0 {
		return
	}
	m.changes[0] = kevent{fd: fd, filter: filter, flags: evDelete}
	m.changes[1] = c
	m.changes[1].flags |= evAdd
	m.change(2) // fails for one that was closed
}

func (m *kqueue) prepare() {
	for _, fd := range m.urgent {
		m.changes[0] = kevent{fd: fd, filter: Except, flags: evDelete} // fails, and stops, if it is not there any more
		m.changes[1] = filterOf(fd, Except, Except, 0)
		m.changes[1].flags |= evAdd
		m.change(2)
	}
	m.urgent = m.urgent[:0]
}

func (m *kqueue) ask() error { return m.look(0) }

// wait lends a thread to the kernel. The scheduler takes its processor back.
func (m *kqueue) wait(deadline time.Time) error { return m.look(until(deadline)) }

func (m *kqueue) look(timeout time.Duration) (err error) {
	m.n, err = m.kernel.kevent(m.fd, nil, m.events, timeout)
	return os.NewSyscallError("kevent", err)
}

func (m *kqueue) take(s *Selector) {
	m.takeEvents(s)
	for m.n == len(m.events) { // there may be more
		m.events = make([]kevent, 2*m.n)
		if m.ask() != nil {
			return
		}
		m.takeEvents(s)
	}
	if size := m.buffer.size(len(m.events), m.n); size < len(m.events) {
		m.events = make([]kevent, size)
	}
}

func (m *kqueue) takeEvents(s *Selector) {
	for i := range m.events[:m.n] {
		event := &m.events[i]
		fd := event.fd
		if fd == m.wakeFD.readFD() {
			m.wakeFD.drain()
			continue
		}
		e := s.keys.at(fd)
		if e == nil {
			m.deleteFilters(fd, allEvents) // forgotten, and still open
			continue
		}
		if s.current(fd) == nil {
			m.again(fd, event.filter, e)
			continue
		}
		ev := event.filter
		if ev == Except {
			if !hasUrgent(fd) {
				continue
			}
			m.urgent = append(m.urgent, fd)
		}
		if event.flags&evEOF != 0 && ev != Except {
			ev |= m.end(fd, event.filter, e.events())
		}
		s.foundAlso(m.places, fd, e, ev)
	}
}

// end notes that a direction has ended, and returns Hangup if both have.
func (m *kqueue) end(fd int, direction, ev Events) Events {
	state := &m.states[fd]
	before := state.ended
	if state.ended |= direction; state.ended != bothEnded {
		return 0
	}
	if before != bothEnded && ev&Hangup != 0 && ev&Write == 0 {
		m.changes[0] = kevent{fd: fd, filter: Write, flags: evDelete}
		m.changes[1] = filterOf(fd, Write, ev, bothEnded)
		m.changes[1].flags |= evAdd
		m.change(2) // fails for one that was closed
	}
	return Hangup
}

func (m *kqueue) wake() error { return m.wakeFD.ring() }

func (m *kqueue) close() error {
	m.wakeFD.close()
	return m.kernel.close(m.fd)
}

// hasUrgent reports whether an urgent byte waits to be received. One that is received in line is never read by itself.
func hasUrgent(fd int) bool {
	var b [1]byte
	_, _, err := unix.Recvfrom(fd, b[:], unix.MSG_OOB|unix.MSG_PEEK)
	if err != unix.EINVAL {
		return err != unix.EAGAIN // announced, and not here yet
	}
	inline, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_OOBINLINE)
	return err == nil && inline != 0
}
