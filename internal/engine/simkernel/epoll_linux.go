package simkernel

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// An epoll is epoll(7).
type epoll struct {
	k     *Kernel
	items []*interest
	turn  int
}

// An interest is a file in an epoll, under the number that it had.
type interest struct {
	fd    int
	file  *file
	event unix.EpollEvent
	gone  bool   // the file was closed for good
	spent bool   // one-shot, and told of
	seen  uint64 // the file's wakes when it was told of last, if edge-triggered
}

const (
	epollET      = 1 << 31
	epollOneShot = unix.EPOLLONESHOT
)

// mask returns what is told of it now.
func (it *interest) mask() uint32 {
	if it.gone || it.spent {
		return 0
	}
	if it.event.Events&epollET != 0 && it.seen == it.file.wakes+1 {
		return 0
	}
	return it.file.object.poll() & (it.event.Events | pollAlways)
}

func (e *epoll) poll() uint32 {
	for _, it := range e.items {
		if it.mask() != 0 {
			return pollIn
		}
	}
	return 0
}

func (e *epoll) release() { e.items = nil }

// control is epoll_ctl(2).
func (e *epoll) control(op, fd int, f *file, ev *unix.EpollEvent) syscall.Errno {
	at := -1
	for i, it := range e.items {
		if it.fd == fd && it.file == f && !it.gone {
			at = i
		}
	}
	switch op {
	case unix.EPOLL_CTL_ADD:
		if at >= 0 {
			return syscall.EEXIST
		}
		if e.k.chance(e.k.Faults.NoMemory) {
			return syscall.ENOMEM
		}
		it := &interest{fd: fd, file: f, event: *ev}
		f.items = append(f.items, it)
		e.items = append(e.items, it)
	case unix.EPOLL_CTL_MOD:
		if at < 0 {
			return syscall.ENOENT
		}
		it := e.items[at]
		it.event, it.spent, it.seen = *ev, false, 0
	case unix.EPOLL_CTL_DEL:
		if at < 0 {
			return syscall.ENOENT
		}
		e.items[at].gone = true
		e.items = append(e.items[:at:at], e.items[at+1:]...)
	default:
		return syscall.EINVAL
	}
	return 0
}

// look is epoll_wait(2) that does not wait. Those that there is no room for come first the next time.
func (e *epoll) look(events []unix.EpollEvent) (n int) {
	kept := e.items[:0]
	for _, it := range e.items {
		if !it.gone {
			kept = append(kept, it)
		}
	}
	clear(e.items[len(kept):])
	e.items = kept
	if len(kept) == 0 {
		return 0
	}
	first := e.turn + e.k.rng.IntN(len(kept))
	for i := range kept {
		it := kept[(first+i)%len(kept)]
		m := it.mask()
		if m == 0 {
			continue
		}
		if n == len(events) {
			e.turn = first + i
			break
		}
		if n > 0 && e.k.chance(e.k.Faults.Later) {
			continue
		}
		events[n] = it.event
		events[n].Events = m
		n++
		it.seen = it.file.wakes + 1
		it.spent = it.event.Events&epollOneShot != 0
	}
	return n
}

// EpollControl implements the ring kernel of package engine.
func (k *Kernel) EpollControl(epfd, op, fd int, ev *unix.EpollEvent) error {
	k.call("epoll_ctl")
	defer k.mu.Unlock()
	e, ok := find[*epoll](k, "epoll_ctl", epfd)
	f := k.lookup("epoll_ctl", fd)
	if !ok || f == nil {
		return syscall.EBADF
	}
	if errno := e.control(op, fd, f, ev); errno != 0 {
		return errno
	}
	return nil
}

// EpollLook implements the ring kernel of package engine.
func (k *Kernel) EpollLook(epfd int, events []unix.EpollEvent) int {
	k.call("epoll_wait")
	defer k.mu.Unlock()
	e, ok := find[*epoll](k, "epoll_wait", epfd)
	if !ok || k.again() {
		return 0
	}
	return e.look(events)
}
