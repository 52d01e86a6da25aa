package selector

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const hasEpoll = true

// epoll keeps the registrations in the kernel, which finds what is ready without looking at the rest.
//
// An epoll descriptor can itself be waited for, so a wait parks the goroutine on Go's own poller. Blocking a thread in
// epoll_wait costs the same from eight busy connections up, and less at a single one (4.7 µs instead of 5.6 an echo);
// but it holds the processor (P) until the scheduler takes it away, and a goroutine that the loop has just started waits
// for that: 73 µs instead of 9 with GOMAXPROCS=1.
type epoll struct {
	fd     int
	wakeFD wakeFile
	events []unix.EpollEvent
	buffer buffer // sizes events
	n      int    // events found
	stale  int    // events of former registrations, see takeStale

	// Waiting
	file  *os.File
	park  syscall.RawConn    // of file
	look  func(uintptr) bool // asks; park.Read calls it whenever there may be something, until it is true
	err   error              // of look
	alarm time.Time          // the read deadline of file
}

// NewEpoll makes a Selector on epoll(7) of Linux. On other systems the error wraps errors.ErrUnsupported.
func NewEpoll() (*Selector, error) { return newSelector(openEpoll) }

func openEpoll() (mechanism, error) {
	wake, err := openWakeFile()
	if err != nil {
		return nil, os.NewSyscallError("eventfd", err)
	}
	m := &epoll{wakeFD: wake, events: make([]unix.EpollEvent, firstEvents)}
	m.look = func(uintptr) bool {
		m.err = m.ask()
		return m.n > 0 || m.err != nil
	}
	if err := m.open(); err != nil {
		wake.close()
		return nil, err
	}
	return m, nil
}

// open makes the epoll itself, with the wake file in it. When it fails, m is as it was.
func (m *epoll) open() error {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return os.NewSyscallError("epoll_create1", err)
	}
	// Edge-triggered, so that each ring is one event and nobody has to drain it.
	event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: -1}
	err = errors.Join(
		os.NewSyscallError("epoll_ctl", unix.EpollCtl(fd, unix.EPOLL_CTL_ADD, m.wakeFD.readFD(), &event)),
		os.NewSyscallError("fcntl", unix.SetNonblock(fd, true))) // tells os that it can be waited for
	if err != nil {
		unix.Close(fd)
		return err
	}
	file := os.NewFile(uintptr(fd), "epoll")
	park, err := file.SyscallConn()
	if err == nil {
		err = file.SetReadDeadline(time.Time{})
	}
	if err != nil {
		file.Close()
		return err
	}
	m.fd, m.file, m.park, m.alarm = fd, file, park, time.Time{}
	return nil
}

func (m *epoll) name() string { return "epoll" }
func (m *epoll) live() bool   { return true }

func (m *epoll) add(fd int, ev Events, stamp uint64) error {
	err := m.control(unix.EPOLL_CTL_ADD, fd, ev, stamp)
	switch err {
	case unix.EEXIST: // forgotten and not closed
		return m.control(unix.EPOLL_CTL_MOD, fd, ev, stamp)
	case unix.EPERM:
		return fmt.Errorf("epoll takes no regular files or directories, which are always ready: %w", err)
	}
	return err
}

func (m *epoll) modify(fd int, _, ev Events, stamp uint64) error {
	err := m.control(unix.EPOLL_CTL_MOD, fd, ev, stamp)
	if err == unix.ENOENT {
		return fmt.Errorf("the descriptor was closed while registered, and is another's now; unregister it first: %w", err)
	}
	return err
}

func (m *epoll) remove(fd int, _ Events, closing bool) {
	if !closing {
		m.control(unix.EPOLL_CTL_DEL, fd, 0, 0)
	}
}

// control puts the stamp beside the descriptor: epoll registers open files, not numbers, and a file that a forked child
// still holds goes on telling of a number that may be another file's by now.
func (m *epoll) control(op, fd int, ev Events, stamp uint64) error {
	return unix.EpollCtl(m.fd, op, fd, &unix.EpollEvent{Events: uint32(pollBits(ev)), Fd: int32(fd), Pad: int32(stamp)})
}

func (m *epoll) prepare() {}

// ask never waits, so the scheduler need not hear of it.
func (m *epoll) ask() error {
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(m.fd), uintptr(unsafe.Pointer(&m.events[0])),
		uintptr(len(m.events)), 0, 0, 0)
	if errno != 0 {
		m.n = 0
		return os.NewSyscallError("epoll_wait", errno)
	}
	m.n = int(n)
	return nil
}

func (m *epoll) wait(deadline time.Time) error {
	if err := m.setAlarm(deadline); err != nil {
		return err
	}
	err := m.park.Read(m.look)
	if err == nil {
		return m.err
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	// An alarm in the past ends Read before it looks.
	m.alarm = time.Time{}
	return errors.Join(m.file.SetReadDeadline(time.Time{}), m.ask())
}

// setAlarm sees to it that a wait ends by the deadline. An alarm that was set for an earlier one stays: a wait that ends
// too soon now and then is cheaper than setting a timer each time.
func (m *epoll) setAlarm(deadline time.Time) error {
	if deadline.IsZero() || !m.alarm.IsZero() && m.alarm.Before(deadline) {
		return nil
	}
	m.alarm = deadline
	return m.file.SetReadDeadline(deadline)
}

func (m *epoll) take(s *Selector) {
	stale := m.takeEvents(s)
	for m.n == len(m.events) {
		// There may be more. The kernel tells those first, then the same ones again: begin anew, so that none comes twice.
		m.events = make([]unix.EpollEvent, 2*m.n)
		s.foundNothing()
		if m.ask() != nil {
			return
		}
		stale = m.takeEvents(s) || stale
	}
	if size := m.buffer.size(len(m.events), m.n); size < len(m.events) {
		m.events = make([]unix.EpollEvent, size)
	}
	m.takeStale(s, stale)
}

// takeEvents reports whether some were stale.
func (m *epoll) takeEvents(s *Selector) (stale bool) {
	for i := range m.events[:m.n] {
		event := &m.events[i]
		if event.Fd < 0 {
			continue // the wake file
		}
		fd := int(event.Fd)
		if e := s.keys.at(fd); e != nil && uint32(e.stamp()) == uint32(event.Pad) {
			s.found(fd, e, pollEvents(int16(event.Events), e.events()))
		} else if e != nil || m.control(unix.EPOLL_CTL_DEL, fd, 0, 0) != nil { // else it was forgotten and not closed
			stale = true
			m.stale++
		}
	}
	return stale
}

// takeStale is told whether a look brought events of registrations that are no more. One such look is usual: the close
// came after the event. Many in a row are a file that was closed here and is held open elsewhere; epoll has no call to
// remove it, and its readiness would end every wait. When as many have come as it costs to register everybody anew, an
// epoll without it takes over; when there is no descriptor left to make one, later.
func (m *epoll) takeStale(s *Selector, stale bool) {
	if !stale {
		m.stale = 0
	}
	if m.stale < 16+s.keys.len {
		return
	}
	m.stale = 0
	old := m.file
	if m.open() != nil {
		return
	}
	for fd := s.keys.next(0); fd >= 0; fd = s.keys.next(fd + 1) {
		e := s.keys.at(fd)
		m.control(unix.EPOLL_CTL_ADD, fd, e.events(), e.stamp()) // fails for one closed while registered: epoll had lost it, too
	}
	old.Close()
}

func (m *epoll) wake() error { return m.wakeFD.ring() }

func (m *epoll) close() error { return errors.Join(m.wakeFD.close(), m.file.Close()) }
