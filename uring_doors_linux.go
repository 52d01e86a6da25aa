package switchboard

import (
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// doors are an engine's listeners. The ring only hears that there is a connection, and accept(2) is left to the loop: so
// each connection has its place among MaxConns before it is taken, comes with its address, and none is on its way when
// accepting stops.
//
// The ring hears it of an epoll(7), which does not keep a file open. What a ring itself waits for it does: the kernel takes
// the rings of a process that was killed apart some 5 ms after its death, and so long its port would take connections that
// nobody serves, and be in use for who starts it again.
type doors struct {
	fd      int // the epoll, or -1 before there is a listener
	ajar    []*listener
	knocked []*listener // to be accepted from now
	asked   bool        // the ring waits for the epoll
}

func (d *doors) open(e *completion, ln *listener) (err error) {
	if d.fd < 0 {
		if d.fd, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
			return os.NewSyscallError("epoll_create1", err)
		}
	}
	if err := unix.EpollCtl(d.fd, unix.EPOLL_CTL_ADD, ln.fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(ln.fd)}); err != nil {
		return os.NewSyscallError("epoll_ctl", err)
	}
	d.ajar = append(d.ajar, ln)
	d.ask(e)
	return nil
}

func (d *doors) shut(ln *listener) {
	if i := slices.Index(d.ajar, ln); i >= 0 {
		unix.EpollCtl(d.fd, unix.EPOLL_CTL_DEL, ln.fd, nil)
		d.ajar = slices.Delete(d.ajar, i, i+1)
	}
}

// ask has the ring tell when there is a connection.
func (d *doors) ask(e *completion) {
	if !d.asked && len(d.ajar) > 0 {
		d.asked = true
		e.next().Poll(d.fd, unix.POLLIN, userData(kindAccept, 0, 0))
	}
}

// answer accepts, after the ring has told.
func (d *doors) answer(e *completion) {
	d.asked = false
	d.knocked = append(d.knocked[:0], d.ajar...)
	if len(d.ajar) > 1 {
		d.knocked = slices.DeleteFunc(d.knocked, d.silent())
	}
	for _, ln := range d.knocked {
		ln.acceptReady()
	}
	d.ask(e)
}

// silent returns a function that tells whether nobody waits at a listener, as far as one look tells.
func (d *doors) silent() func(*listener) bool {
	var events [16]unix.EpollEvent // more are told of in the next turn
	n, _ := unix.EpollWait(d.fd, events[:], 0)
	return func(ln *listener) bool {
		return !slices.ContainsFunc(events[:max(n, 0)], func(ev unix.EpollEvent) bool { return int(ev.Fd) == ln.fd })
	}
}

func (d *doors) close() {
	if d.fd >= 0 {
		unix.Close(d.fd)
	}
}
