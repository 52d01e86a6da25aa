package selector

import (
	"fmt"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const hasEpoll = true

// The events buffer begins small, as most loops are mostly idle, and doubles whenever it comes back full.
const (
	firstEvents = 64
	mostEvents  = 1024
)

// epoll keeps the registrations in the kernel, which finds what is ready without looking at the rest.
type epoll struct {
	fd     int
	wakeFD wakeFile
	events []unix.EpollEvent
	n      int // events found
}

// NewEpoll opens a Selector on epoll(7), which only Linux has: elsewhere the error wraps errors.ErrUnsupported.
func NewEpoll() (*Selector, error) { return newSelector(openEpoll()) }

func openEpoll() (mechanism, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	wake, err := openWakeFile()
	if err != nil {
		unix.Close(fd)
		return nil, os.NewSyscallError("eventfd", err)
	}
	m := &epoll{fd: fd, wakeFD: wake, events: make([]unix.EpollEvent, firstEvents)}
	// Edge-triggered, so that each ring is one event and nobody has to drain it.
	event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: -1}
	if err := unix.EpollCtl(fd, unix.EPOLL_CTL_ADD, wake.readFD(), &event); err != nil {
		m.close()
		return nil, os.NewSyscallError("epoll_ctl", err)
	}
	return m, nil
}

func (m *epoll) name() string { return "epoll" }
func (m *epoll) live() bool   { return true }

func (m *epoll) add(fd int, ev Events, stamp uint64) error {
	err := m.control(unix.EPOLL_CTL_ADD, fd, ev, stamp)
	if err == unix.EPERM {
		return fmt.Errorf("epoll takes no regular files or directories, which are always ready: %w", err)
	}
	return err
}

func (m *epoll) modify(fd int, _, ev Events, stamp uint64) error {
	return m.control(unix.EPOLL_CTL_MOD, fd, ev, stamp)
}

func (m *epoll) remove(fd int, _ Events, closing bool) {
	if !closing {
		m.control(unix.EPOLL_CTL_DEL, fd, 0, 0)
	}
}

// control puts the stamp beside the descriptor: epoll registers open files, not numbers, and a file that a forked child
// still holds goes on telling of a number that may long be another file's.
func (m *epoll) control(op, fd int, ev Events, stamp uint64) error {
	return unix.EpollCtl(m.fd, op, fd, &unix.EpollEvent{Events: uint32(pollBits(ev)), Fd: int32(fd), Pad: int32(stamp)})
}

func (m *epoll) prepare() {}

func (m *epoll) wait(timeout time.Duration) error {
	var n uintptr
	var errno unix.Errno
	m.n = 0
	if timeout == 0 {
		// Never waits, so the scheduler need not hear of it.
		n, _, errno = unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(m.fd), uintptr(unsafe.Pointer(&m.events[0])),
			uintptr(len(m.events)), 0, 0, 0)
	} else {
		n, _, errno = unix.Syscall6(unix.SYS_EPOLL_PWAIT, uintptr(m.fd), uintptr(unsafe.Pointer(&m.events[0])),
			uintptr(len(m.events)), uintptr(milliseconds(timeout)), 0, 0)
	}
	if errno == unix.EINTR {
		return nil
	}
	if errno != 0 {
		return os.NewSyscallError("epoll_wait", errno)
	}
	m.n = int(n)
	return nil
}

func (m *epoll) take(s *Selector) {
	for i := range m.events[:m.n] {
		event := &m.events[i]
		if event.Fd < 0 {
			continue // the wake file
		}
		fd := int(event.Fd)
		e := s.keys.at(fd)
		if e == nil || uint32(e.stamp()) != uint32(event.Pad) {
			continue
		}
		s.found(fd, e, pollEvents(int16(event.Events), e.events()))
	}
	if m.n == len(m.events) && m.n < mostEvents {
		m.events = make([]unix.EpollEvent, 2*m.n)
	}
}

func (m *epoll) wake() error { return m.wakeFD.ring() }

func (m *epoll) close() error {
	m.wakeFD.close()
	return unix.Close(m.fd)
}
