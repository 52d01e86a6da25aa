package selector

import (
	"errors"
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sys/windows"

	"github.com/switchboard-go/switchboard/internal/afd"
)

const hasAFD = true

// afdPolling keeps a poll pending for each socket. The kernel completes it when the socket becomes ready, without looking
// at the rest. A poll completes once, so the sockets that were ready are asked about anew before the next look.
type afdPolling struct {
	port    *afd.Port
	sockets map[int]*afdSocket
	unasked []*afdSocket // those to be asked about before the next look
	spare   []*afdSocket // no longer used
	failed  error        // why one of them could not be
	found   []afd.Completion
	buffer  buffer // sizes found
	n       int    // completions found
	looks   uint64 // counts the calls of take
}

// An afdSocket is one registration.
type afdSocket struct {
	fd    int
	base  windows.Handle
	want  Events
	poll  *afd.Poll // its owner is the afdSocket, or nil once it is only to be freed; nil before the first look
	asked uint32    // the events of a pending poll, else zero
	place int       // among the unasked, from one up; zero is not
	again uint64    // the last look in which it was asked about again
}

// NewAFD makes a Selector on polls of the socket driver (AFD) of Windows. On other systems the error wraps
// errors.ErrUnsupported.
func NewAFD() (*Selector, error) { return newSelector(openAFD) }

func openAFD() (mechanism, error) {
	port, err := afd.Open()
	if err != nil {
		return nil, err
	}
	return &afdPolling{port: port, sockets: make(map[int]*afdSocket), found: make([]afd.Completion, firstEvents)}, nil
}

func (m *afdPolling) name() string { return "afd" }

// live says no, so that a wait that is under way is ended, and the next asks about what was changed.
func (m *afdPolling) live() bool { return false }

func (m *afdPolling) add(fd int, ev Events, _ uint64) error {
	base, err := afd.Base(fd)
	if err != nil {
		return notSocket(err)
	}
	k := m.newSocket()
	*k = afdSocket{fd: fd, base: base, want: ev}
	m.sockets[fd] = k
	m.queue(k)
	return nil
}

func (m *afdPolling) newSocket() *afdSocket {
	last := len(m.spare) - 1
	if last < 0 {
		return new(afdSocket)
	}
	k := m.spare[last]
	m.spare = m.spare[:last]
	return k
}

func (m *afdPolling) modify(fd int, _, ev Events, _ uint64) error {
	k := m.sockets[fd]
	if k == nil {
		return fmt.Errorf("the descriptor was closed while registered; unregister it first: %w", syscall.EBADF)
	}
	k.want = ev
	if afdBits(ev)&^k.asked != 0 {
		m.queue(k)
	}
	return nil
}

func (m *afdPolling) queue(k *afdSocket) {
	if k.place == 0 {
		m.unasked = append(m.unasked, k)
		k.place = len(m.unasked)
	}
}

func (m *afdPolling) unqueue(k *afdSocket) {
	if k.place == 0 {
		return
	}
	last := len(m.unasked) - 1
	moved := m.unasked[last]
	m.unasked[k.place-1], moved.place = moved, k.place
	m.unasked[last], k.place = nil, 0
	m.unasked = m.unasked[:last]
}

func (m *afdPolling) remove(fd int, _ Events, closing bool) {
	if k := m.sockets[fd]; k != nil {
		m.drop(k, closing)
	}
}

func (m *afdPolling) drop(k *afdSocket, closing bool) {
	delete(m.sockets, k.fd)
	m.unqueue(k)
	m.abandon(k, closing)
	m.spare = append(m.spare, k)
}

// abandon gives the poll of k up. It is freed when it has completed: by itself, if the socket is being closed.
func (m *afdPolling) abandon(k *afdSocket, closing bool) {
	switch {
	case k.poll == nil:
	case !k.poll.Pending():
		m.port.Free(k.poll)
	default:
		k.poll.Owner = nil
		if !closing {
			k.poll.Cancel()
		}
	}
	k.poll, k.asked = nil, 0
}

func (m *afdPolling) prepare() {
	m.failed = nil
	for len(m.unasked) > 0 && m.failed == nil {
		k := m.unasked[len(m.unasked)-1]
		err := m.askAbout(k)
		if err == nil {
			m.unqueue(k)
			continue
		}
		if errors.Is(err, windows.ERROR_INVALID_HANDLE) { // closed while registered
			m.drop(k, false)
			continue
		}
		m.failed = fmt.Errorf("descriptor %d: %w", k.fd, err)
	}
}

// askAbout makes the poll of k pending, for what is wanted.
func (m *afdPolling) askAbout(k *afdSocket) error {
	if k.asked != 0 { // for less
		m.abandon(k, false)
	}
	if k.poll == nil {
		var err error
		if k.poll, err = m.port.NewPoll(k); err != nil {
			return err
		}
	}
	bits := afdBits(k.want)
	if err := k.poll.Arm(k.base, bits); err != nil {
		return err
	}
	k.asked = bits
	return nil
}

func (m *afdPolling) ask() error { return m.look(0) }

// wait lends a thread to the kernel. The scheduler takes its processor back.
func (m *afdPolling) wait(deadline time.Time) error { return m.look(until(deadline)) }

func (m *afdPolling) look(timeout time.Duration) (err error) {
	if m.failed != nil {
		return m.failed
	}
	m.n, err = m.port.Wait(m.found, timeout)
	return err
}

func (m *afdPolling) take(s *Selector) {
	m.looks++
	for {
		again := m.takeCompletions(s)
		if m.n == len(m.found) {
			m.found = make([]afd.Completion, 2*m.n)
			again = true
		} else if size := m.buffer.size(len(m.found), m.n); size < len(m.found) {
			m.found = make([]afd.Completion, size)
		}
		if !again || m.look(0) != nil {
			return
		}
	}
}

// takeCompletions reports whether one told only what is not wanted any more: asked about again, the socket may be ready.
func (m *afdPolling) takeCompletions(s *Selector) (again bool) {
	for i := range m.found[:m.n] {
		poll := m.port.Poll(&m.found[i])
		if poll == nil {
			continue // a wake-up
		}
		k, _ := poll.Owner.(*afdSocket)
		if k == nil {
			m.port.Free(poll)
			continue
		}
		k.asked = 0
		switch {
		case poll.Events()&afd.LocalClose != 0:
			m.drop(k, true)
		case afdEvents(poll.Events(), k.want) == 0:
			m.queue(k)
			if k.again != m.looks && m.askAbout(k) == nil { // else prepare learns why
				m.unqueue(k)
				k.again, again = m.looks, true
			}
		default:
			m.queue(k)
			s.found(k.fd, s.keys.at(k.fd), afdEvents(poll.Events(), k.want))
		}
	}
	return again
}

func (m *afdPolling) wake() error  { return m.port.Wake() }
func (m *afdPolling) close() error { return m.port.Close() }

// afdBits are the events of AFD for ev. Errors and the close of the socket are always waited for.
func afdBits(ev Events) uint32 {
	bits := uint32(afd.Abort | afd.ConnectFail | afd.LocalClose)
	if ev&Read != 0 {
		bits |= afd.Receive | afd.Accept | afd.Disconnect
	}
	if ev&Write != 0 {
		bits |= afd.Send
	}
	if ev&Except != 0 {
		bits |= afd.Expedited
	}
	return bits
}

// afdEvents is what bits mean to somebody who waits for asked, as pollEvents has it.
func afdEvents(bits uint32, asked Events) (ev Events) {
	if bits&(afd.Receive|afd.Accept|afd.Disconnect) != 0 {
		ev |= Read
	}
	if bits&afd.Send != 0 {
		ev |= Write
	}
	if bits&afd.Expedited != 0 {
		ev |= Except
	}
	if bits&(afd.Abort|afd.ConnectFail) != 0 {
		if asked == Except {
			return Except
		}
		ev |= Read | Write | Hangup
	}
	return ev & asked
}
