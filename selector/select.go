//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package selector

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

const hasSelect = true

// selecting hands the kernel three sets of bits, one bit for every descriptor number up to the highest.
type selecting struct {
	wakeFD wakeFile
	sets   [3]fdSet // read, write, except: who is registered
	asked  [3]fdSet // the kernel's copy, where it leaves who is ready
	top    int      // one more than the highest registered descriptor
	seen   int      // top at the last prepare
	bad    bool     // the last wait failed for a bad descriptor
}

// An fdSet is as long as it has to be: FD_SETSIZE is a limit of the C library, not of the kernel.
type fdSet []unix.FdSet

func (s fdSet) has(fd int) bool { return s[fd/unix.FD_SETSIZE].IsSet(fd % unix.FD_SETSIZE) }
func (s fdSet) set(fd int)      { s[fd/unix.FD_SETSIZE].Set(fd % unix.FD_SETSIZE) }
func (s fdSet) clear(fd int)    { s[fd/unix.FD_SETSIZE].Clear(fd % unix.FD_SETSIZE) }

// NewSelect makes a Selector on select(2).
func NewSelect() (*Selector, error) { return newSelector(openSelect) }

func openSelect() (mechanism, error) {
	wake, err := openWakeFile()
	if err != nil {
		return nil, os.NewSyscallError("wake file", err)
	}
	m := &selecting{wakeFD: wake}
	if err := m.add(wake.readFD(), Read, 0); err != nil {
		wake.close()
		return nil, err
	}
	return m, nil
}

func (m *selecting) name() string { return "select" }
func (m *selecting) live() bool   { return false }

func (m *selecting) add(fd int, ev Events, _ uint64) error {
	if fd > highestForSelect {
		return fmt.Errorf("select takes descriptors up to %d here, use poll or kqueue: %w", highestForSelect, unix.EINVAL)
	}
	if err := checkHangup("select", ev, false); err != nil {
		return err
	}
	if err := checkOpen(fd); err != nil {
		return err
	}
	for grow := fd/unix.FD_SETSIZE + 1 - len(m.sets[0]); grow > 0; grow-- {
		for i := range m.sets {
			m.sets[i] = append(m.sets[i], unix.FdSet{})
		}
	}
	m.top = max(m.top, fd+1)
	m.put(fd, ev)
	return nil
}

func (m *selecting) modify(fd int, _, ev Events, _ uint64) error {
	if err := checkHangup("select", ev, false); err != nil {
		return err
	}
	m.put(fd, ev)
	return nil
}

// put makes the sets say ev of fd.
func (m *selecting) put(fd int, ev Events) {
	for i, set := range m.sets {
		if ev&(1<<i) != 0 {
			set.set(fd)
		} else {
			set.clear(fd)
		}
	}
}

func (m *selecting) remove(fd int, _ Events, _ bool) {
	m.put(fd, 0)
	for m.top > 0 && !m.sets[0].has(m.top-1) && !m.sets[1].has(m.top-1) && !m.sets[2].has(m.top-1) {
		m.top--
	}
}

func (m *selecting) prepare() {
	for i := range m.sets {
		m.asked[i] = append(m.asked[i][:0], m.sets[i]...)
	}
	m.seen, m.bad = m.top, false
}

func (m *selecting) ask() error { return m.selectFor(0) }

// wait lends a thread to the kernel. The scheduler takes its processor back.
func (m *selecting) wait(deadline time.Time) error { return m.selectFor(until(deadline)) }

func (m *selecting) selectFor(timeout time.Duration) error {
	var left *unix.Timeval
	if timeout >= 0 {
		timeval := unix.NsecToTimeval(int64(timeout + time.Microsecond - 1))
		left = &timeval
	}
	_, err := unix.Select(m.seen, &m.asked[0][0], &m.asked[1][0], &m.asked[2][0], left)
	switch err {
	case nil:
		return nil
	case unix.EBADF:
		m.bad = true
	case unix.EINTR:
	default:
		return os.NewSyscallError("select", err)
	}
	for _, set := range m.asked {
		clear(set) // undefined after an error
	}
	return nil
}

func (m *selecting) take(s *Selector) {
	if m.bad && !m.takeBad(s) {
		return
	}
	for i := range m.asked[0] {
		r, w, x := &m.asked[0][i], &m.asked[1][i], &m.asked[2][i]
		for j := range r.Bits {
			if r.Bits[j]|w.Bits[j]|x.Bits[j] != 0 {
				first := i*unix.FD_SETSIZE + j*unix.NFDBITS
				m.takeWord(s, first, min(first+unix.NFDBITS, m.seen))
			}
		}
	}
}

func (m *selecting) takeWord(s *Selector, first, end int) {
	for fd := first; fd < end; fd++ {
		var ev Events
		for i, set := range m.asked {
			if set.has(fd) {
				ev |= 1 << i
			}
		}
		if ev == 0 {
			continue
		}
		if fd == m.wakeFD.readFD() {
			m.wakeFD.drain()
		} else if e := s.current(fd); e != nil {
			s.found(fd, e, ev)
		}
	}
}

// takeBad finds the descriptors that were closed while registered: the kernel says only that there are some. They are
// ready, as poll has it, and the call that follows says EBADF. Then it asks for the others, and tells whether that went
// well.
func (m *selecting) takeBad(s *Selector) bool {
	m.prepare()
	for fd := s.keys.next(0); fd >= 0; fd = s.keys.next(fd + 1) {
		if checkOpen(fd) == nil {
			continue
		}
		if e := s.current(fd); e != nil {
			s.found(fd, e, e.events())
		}
		for _, set := range m.asked {
			set.clear(fd)
		}
	}
	return m.ask() == nil && !m.bad
}

func (m *selecting) wake() error  { return m.wakeFD.ring() }
func (m *selecting) close() error { return m.wakeFD.close() }
