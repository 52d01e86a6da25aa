//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package selector

import (
	"time"

	"golang.org/x/sys/unix"
)

const hasKqueue = true

// NewKqueue makes a Selector on kqueue(2) of macOS and the BSDs. On other systems the error wraps
// errors.ErrUnsupported.
func NewKqueue() (*Selector, error) { return newSelector(openKqueue) }

func openKqueue() (mechanism, error) { return openKqueueOf(&systemKqueue{}) }

// systemKqueue is the kqueue of the system. One serves one Selector.
type systemKqueue struct {
	changes [6]unix.Kevent_t
	events  []unix.Kevent_t
	left    unix.Timespec // the timeout, here so that it is not allocated
}

// What kqueue.go says of <sys/event.h> is so.
const (
	_ = uint(evAdd-unix.EV_ADD) + uint(unix.EV_ADD-evAdd)
	_ = uint(evDelete-unix.EV_DELETE) + uint(unix.EV_DELETE-evDelete)
	_ = uint(evEnable-unix.EV_ENABLE) + uint(unix.EV_ENABLE-evEnable)
	_ = uint(evClear-unix.EV_CLEAR) + uint(unix.EV_CLEAR-evClear)
	_ = uint(evEOF-unix.EV_EOF) + uint(unix.EV_EOF-evEOF)
	_ = uint(noteLowat-unix.NOTE_LOWAT) + uint(unix.NOTE_LOWAT-noteLowat)
)

func (k *systemKqueue) kqueue() (int, error) {
	kq, err := unix.Kqueue()
	if err == nil {
		unix.CloseOnExec(kq) // a forked child does not inherit a kqueue, so no lock is needed
	}
	return kq, err
}

func (k *systemKqueue) kevent(kq int, changes, events []kevent, timeout time.Duration) (n int, err error) {
	if len(events) == 0 { // not by the goroutine that waits, perhaps, but under the Selector's lock
		for i := range changes {
			k.change(i, &changes[i])
		}
		_, err := unix.Kevent(kq, k.changes[:len(changes)], nil, nil)
		return 0, err
	}
	if len(k.events) != len(events) {
		k.events = make([]unix.Kevent_t, len(events))
	}
	var left *unix.Timespec
	if timeout >= 0 {
		k.left = unix.NsecToTimespec(int64(timeout))
		left = &k.left
	}
	n, err = unix.Kevent(kq, nil, k.events, left)
	if err == unix.EINTR {
		return 0, nil
	}
	for i := range max(n, 0) {
		e := &k.events[i]
		events[i] = kevent{fd: int(e.Ident), filter: eventOf(int(e.Filter)), flags: uint16(e.Flags)}
	}
	return n, err
}

func (k *systemKqueue) change(i int, c *kevent) {
	filter, fflags := unix.EVFILT_READ, c.fflags
	switch c.filter {
	case Write:
		filter = unix.EVFILT_WRITE
	case Except:
		filter, fflags = filterExcept, noteUrgent
	}
	unix.SetKevent(&k.changes[i], c.fd, filter, int(c.flags))
	k.changes[i].Fflags = fflags
	k.changes[i].Data = c.data
}

func eventOf(filter int) Events {
	switch {
	case filter == unix.EVFILT_READ:
		return Read
	case filter == unix.EVFILT_WRITE:
		return Write
	case hasExceptFilter && filter == filterExcept:
		return Except
	}
	return 0
}

func (k *systemKqueue) close(kq int) error { return unix.Close(kq) }
func (k *systemKqueue) hasExcept() bool    { return hasExceptFilter }
