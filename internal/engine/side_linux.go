package engine

import (
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// What a line is waited for by the side's epoll.
const (
	sideNothing = iota
	sideRoom    // room for output, after the peer has ended its own
	sideHangup  // an error
)

// side is an epoll(7) beside the ring, of which the ring hears. It waits for what a ring cannot wait for well:
//
//   - Listeners. What a ring waits for it keeps open: the kernel takes the rings of a process that was killed apart some
//     5 ms after its death, and so long its port would take connections that nobody serves. The ring only hears that there
//     is a connection, and accept(2) is left to the loop: so each connection has its place among MaxConns before it is
//     taken, comes with its address, and none is on its way when accepting stops.
//   - Lines whose peer has ended its output. The kernel adds POLLRDHUP to every mask of a ring's poll, which is then
//     complete at once and for ever.
type side struct {
	fd        int               // the epoll
	asked     bool              // the ring waits for it
	listeners []*Listener       // by slot; nil: free
	lines     int               // that are in it
	events    []unix.EpollEvent // found, and not dealt with from at on
	at        int
}

const sideEvents = 64 // more are told of in the next turn

// open makes the epoll before anybody needs it: later there may be no descriptor left for it.
func (s *side) open(e *completion) (err error) {
	s.fd, err = e.kernel.EpollCreate()
	return os.NewSyscallError("epoll_create1", err)
}

// control adds, changes or removes a descriptor.
func (s *side) control(e *completion, op, fd int, ev *unix.EpollEvent) error {
	return e.kernel.EpollControl(s.fd, op, fd, ev)
}

// ask has the ring tell when there is something.
func (s *side) ask(e *completion) {
	if !s.asked {
		s.asked = true
		e.next().Poll(s.fd, unix.POLLIN, userData(kindSide, 0, 0))
	}
}

func (e *completion) Listen(ln *Listener) error {
	s := &e.side
	slot := slices.Index(s.listeners, nil)
	if slot < 0 {
		slot = len(s.listeners)
		s.listeners = append(s.listeners, nil)
	}
	if err := s.control(e, unix.EPOLL_CTL_ADD, ln.FD, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(^slot)}); err != nil {
		return os.NewSyscallError("epoll_ctl", err)
	}
	s.listeners[slot], ln.slot = ln, int32(slot)
	s.ask(e)
	return nil
}

func (e *completion) Unlisten(ln *Listener) {
	s := &e.side
	if int(ln.slot) < len(s.listeners) && s.listeners[ln.slot] == ln {
		s.control(e, unix.EPOLL_CTL_DEL, ln.FD, nil)
		s.listeners[ln.slot] = nil
	}
}

// watch waits for l, whose input has ended, as the side does.
func (s *side) watch(e *completion, l *Line, what uint8) error {
	ev := unix.EpollEvent{Fd: l.Index, Pad: int32(l.serial)} // an error and a hang-up are always told of
	if what == sideRoom {
		ev.Events = unix.EPOLLOUT
	}
	op := unix.EPOLL_CTL_ADD
	if l.state.side != sideNothing {
		op = unix.EPOLL_CTL_MOD
	}
	if err := s.control(e, op, int(l.FD), &ev); err != nil {
		return err
	}
	if op == unix.EPOLL_CTL_ADD {
		s.lines++
	}
	l.state.side = what
	s.ask(e)
	return nil
}

func (s *side) forget(e *completion, l *Line) {
	s.control(e, unix.EPOLL_CTL_DEL, int(l.FD), nil)
	l.state.side = sideNothing
	s.lines--
}

// answer looks what there is, after the ring has told.
func (s *side) answer(e *completion) {
	s.asked = false
	if s.lines == 0 && s.at == len(s.events) && len(s.listeners) == 1 && s.listeners[0] != nil { // it can be nobody else
		s.ask(e)
		e.owner.Acceptable(s.listeners[0])
		return
	}
	if s.at == len(s.events) { // else a goroutine that ended early has left some
		s.events, s.at = slices.Grow(s.events[:0], sideEvents)[:sideEvents], 0
		s.events = s.events[:e.kernel.EpollLook(s.fd, s.events)]
	}
	s.ask(e) // before the owner, who may not return
	for s.at < len(s.events) {
		ev := s.events[s.at]
		s.at++
		if ev.Fd < 0 {
			if slot := int(^ev.Fd); slot < len(s.listeners) && s.listeners[slot] != nil {
				e.owner.Acceptable(s.listeners[slot])
			}
			continue
		}
		if l := e.config.Lines.At(int(ev.Fd)); l != nil && int32(l.serial) == ev.Pad && l.state.side != sideNothing {
			s.settle(e, l)
		}
	}
}

// settle tells l's owner what the side found.
func (s *side) settle(e *completion, l *Line) {
	what := l.state.side
	s.forget(e, l)
	switch {
	case what == sideRoom && l.Watches(Write):
		l.wanted &^= Write
		e.owner.Writable(l)
	case what == sideHangup && l.wanted == Hangup:
		hungUp(e.owner, e.kernel, l)
	case l.wanted != 0:
		if err := e.Watch(l, l.wanted); err != nil {
			e.fail(l, err)
		}
	}
}
