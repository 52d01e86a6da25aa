package selector

import (
	"os"
	"slices"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
)

const hasSelect = true

var (
	procSelect  = ws2.NewProc("select")
	procGetPeer = ws2.NewProc("getpeername")
)

// selecting hands Winsock three lists of sockets, in which it leaves those that are ready. It takes lists of any length:
// FD_SETSIZE is a limit of the programs that are compiled with it.
type selecting struct {
	wakeFD wakeFile
	keys   []selectKey
	slots  []int32    // by descriptor: its place in keys
	asked  [3]winList // read, write, except
	bad    bool       // the last wait failed for a bad descriptor
	places places

	// The result of getpeername, of which only the error counts
	address [128]byte
	size    int32
}

type selectKey struct {
	fd         int
	ev         Events
	connecting bool // a connect that fails is told in the except list
}

// A winList is an fd_set: how many sockets, then the sockets.
type winList []uintptr

func (l winList) sockets() []uintptr { return l[1 : 1+uint32(l[0])] }

// NewSelect makes a Selector on select(2).
func NewSelect() (*Selector, error) { return newSelector(openSelect) }

func openSelect() (mechanism, error) {
	wake, err := openWakeFile()
	if err != nil {
		return nil, err
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
	if err := checkHangup("select", ev, false); err != nil {
		return err
	}
	if err := checkOpen(fd); err != nil {
		return err
	}
	if grow := fd + 1 - len(m.slots); grow > 0 {
		m.slots = append(m.slots, make([]int32, grow)...)
	}
	m.slots[fd] = int32(len(m.keys))
	m.keys = append(m.keys, selectKey{fd: fd})
	m.places.grow(fd)
	return m.modify(fd, 0, ev, 0)
}

func (m *selecting) modify(fd int, _, ev Events, _ uint64) error {
	if err := checkHangup("select", ev, false); err != nil {
		return err
	}
	k := &m.keys[m.slots[fd]]
	k.ev = ev
	if ev&Write != 0 {
		m.size = int32(len(m.address))
		r, _, err := syscall.SyscallN(procGetPeer.Addr(), uintptr(fd), uintptr(unsafe.Pointer(&m.address)),
			uintptr(unsafe.Pointer(&m.size)))
		k.connecting = int32(r) < 0 && err == windows.WSAENOTCONN
	}
	return nil
}

func (m *selecting) remove(fd int, _ Events, _ bool) {
	last := m.keys[len(m.keys)-1]
	m.keys[m.slots[fd]] = last
	m.slots[last.fd] = m.slots[fd]
	m.keys = m.keys[:len(m.keys)-1]
}

func (m *selecting) prepare() {
	m.bad = false
	for i := range m.asked {
		m.asked[i] = append(m.asked[i][:0], 0)
	}
	for i := range m.keys {
		k := &m.keys[i]
		for i := range m.asked {
			if k.ev&(1<<i) != 0 || Events(1<<i) == Except && k.ev&Write != 0 && k.connecting {
				m.asked[i] = append(m.asked[i], uintptr(k.fd))
			}
		}
	}
	for i := range m.asked {
		m.asked[i][0] = uintptr(len(m.asked[i]) - 1)
	}
}

func (m *selecting) ask() error { return m.selectFor(0) }

// wait lends a thread to the kernel. The scheduler takes its processor back.
func (m *selecting) wait(deadline time.Time) error { return m.selectFor(until(deadline)) }

func (m *selecting) selectFor(timeout time.Duration) error {
	var left *windows.Timeval
	if timeout >= 0 {
		timeval := windows.NsecToTimeval(int64(timeout + time.Microsecond - 1))
		left = &timeval
	}
	r, _, err := syscall.SyscallN(procSelect.Addr(), 0, uintptr(unsafe.Pointer(&m.asked[0][0])),
		uintptr(unsafe.Pointer(&m.asked[1][0])), uintptr(unsafe.Pointer(&m.asked[2][0])), uintptr(unsafe.Pointer(left)))
	if n := int32(r); n > 0 {
		return nil
	} else if n < 0 && err != windows.WSAENOTSOCK {
		return os.NewSyscallError("select", err)
	} else if n < 0 {
		m.bad = true
	}
	for i := range m.asked { // undefined after an error
		m.asked[i][0] = 0
	}
	return nil
}

func (m *selecting) take(s *Selector) {
	if m.bad && !m.takeBad(s) {
		return
	}
	for i := range m.asked {
		for _, socket := range m.asked[i].sockets() {
			fd := int(socket)
			if fd == m.wakeFD.readFD() {
				m.wakeFD.drain()
				continue
			}
			e := s.current(fd)
			if e == nil {
				continue
			}
			ev := Events(1 << i)
			if k := &m.keys[m.slots[fd]]; k.connecting && ev&(Write|Except) != 0 {
				k.connecting = false
				if ev == Except {
					ev = Read | Write // the connect has failed
				}
			}
			s.foundAlso(m.places, fd, e, ev)
		}
	}
}

// takeBad finds the sockets that were closed while registered: Winsock says only that there are some. They are ready, as
// poll has it, and the call that follows says what is wrong. Then it asks for the others, and tells whether that went well.
func (m *selecting) takeBad(s *Selector) bool {
	m.prepare()
	for fd := s.keys.next(0); fd >= 0; fd = s.keys.next(fd + 1) {
		if checkOpen(fd) == nil {
			continue
		}
		if e := s.current(fd); e != nil {
			s.found(fd, e, e.events())
		}
		for i := range m.asked {
			l := m.asked[i]
			if at := slices.Index(l[1:], uintptr(fd)); at >= 0 {
				m.asked[i] = slices.Delete(l, at+1, at+2)
				m.asked[i][0]--
			}
		}
	}
	return m.ask() == nil && !m.bad
}

func (m *selecting) wake() error  { return m.wakeFD.ring() }
func (m *selecting) close() error { return m.wakeFD.close() }
