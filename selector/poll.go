//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd || windows

package selector

import (
	"os"
	"runtime"
	"time"
)

const (
	hasPoll = true
	// pollHangs: a poll for nothing tells of a hangup. FreeBSD and NetBSD do not wake it; macOS and Windows call a
	// half-close one.
	pollHangs = runtime.GOOS == "linux"
)

// poll hands the kernel the whole list of descriptors at each wait.
type poll struct {
	wakeFD wakeFile
	fds    []pollFD // the wake file, then the registered, without gaps
	slots  []int32  // by descriptor: its place in fds
	asked  []pollFD // the kernel's copy, which a change of fds must not touch while a wait is under way
	fresh  bool     // asked is as fds
	n      int      // how many of asked are ready
}

// NewPoll makes a Selector on poll(2), on Windows WSAPoll.
func NewPoll() (*Selector, error) { return newSelector(openPoll) }

func openPoll() (mechanism, error) {
	wake, err := openWakeFile()
	if err != nil {
		return nil, os.NewSyscallError("wake file", err)
	}
	return &poll{wakeFD: wake, fds: []pollFD{newPollFD(wake.readFD(), pollIn)}}, nil
}

func (m *poll) name() string { return "poll" }
func (m *poll) live() bool   { return false }

func (m *poll) add(fd int, ev Events, _ uint64) error {
	if err := checkHangup("poll", ev, pollHangs); err != nil {
		return err
	}
	if err := checkOpen(fd); err != nil {
		return err
	}
	if grow := fd + 1 - len(m.slots); grow > 0 {
		m.slots = append(m.slots, make([]int32, grow)...)
	}
	m.slots[fd] = int32(len(m.fds))
	m.fds = append(m.fds, newPollFD(fd, pollBits(ev)))
	m.fresh = false
	return nil
}

func (m *poll) modify(fd int, _, ev Events, _ uint64) error {
	if err := checkHangup("poll", ev, pollHangs); err != nil {
		return err
	}
	m.fds[m.slots[fd]].Events = pollBits(ev)
	m.fresh = false
	return nil
}

func (m *poll) remove(fd int, _ Events, _ bool) {
	last := m.fds[len(m.fds)-1]
	m.fds[m.slots[fd]] = last
	m.slots[last.Fd] = m.slots[fd]
	m.fds = m.fds[:len(m.fds)-1]
	m.fresh = false
}

func (m *poll) prepare() {
	if !m.fresh {
		m.asked = append(m.asked[:0], m.fds...)
		m.fresh = true
	}
}

func (m *poll) ask() error { return m.poll(0) }

// wait lends a thread to the kernel. The scheduler takes its processor back.
func (m *poll) wait(deadline time.Time) error { return m.poll(until(deadline)) }

func (m *poll) poll(timeout time.Duration) error {
	n, err := pollFor(m.asked, timeout)
	m.n = n
	return os.NewSyscallError("poll", err)
}

func (m *poll) take(s *Selector) {
	for i := 0; m.n > 0; i++ {
		p := &m.asked[i]
		if p.Revents == 0 {
			continue
		}
		m.n--
		if int(p.Fd) == m.wakeFD.readFD() {
			m.wakeFD.drain()
		} else if e := s.current(int(p.Fd)); e != nil {
			s.found(int(p.Fd), e, pollEvents(p.Revents, e.events()))
		}
	}
}

func (m *poll) wake() error  { return m.wakeFD.ring() }
func (m *poll) close() error { return m.wakeFD.close() }

// milliseconds rounds up: a timeout that ends early makes the caller spin.
func milliseconds(d time.Duration) int {
	if d < 0 {
		return -1
	}
	return int((d + time.Millisecond - 1) / time.Millisecond)
}

// pollBits are the bits that poll and epoll have in common for ev.
func pollBits(ev Events) (bits int16) {
	if ev&Read != 0 {
		bits |= pollIn
	}
	if ev&Write != 0 {
		bits |= pollOut
	}
	if ev&Except != 0 {
		bits |= pollPri
	}
	return bits
}

// pollEvents is what bits mean to somebody who waits for asked. An error, a hangup or a bad descriptor is readiness
// for reading and writing alike, as the call that follows says what is wrong. Poll reports these asked or not, so who
// waits only for Except gets them as that: they would end every wait without a result otherwise.
func pollEvents(bits int16, asked Events) (ev Events) {
	if bits&pollIn != 0 {
		ev |= Read
	}
	if bits&pollOut != 0 {
		ev |= Write
	}
	if bits&pollPri != 0 {
		ev |= Except
	}
	if bits&(pollErr|pollHup|pollNval) != 0 {
		if asked == Except {
			return Except
		}
		ev |= Read | Write | Hangup
	}
	return ev & asked
}

// pollAsked is the reverse of pollBits.
func pollAsked(bits int16) (ev Events) {
	return pollEvents(bits, allEvents)
}
