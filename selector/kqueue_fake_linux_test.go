package selector

import (
	"slices"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The selector's contract is played on kqueue too, with a small kernel that stands in for the calls and looks at Linux's own
// descriptors.
func init() {
	for name, excepts := range map[string]bool{"kqueue-macos": true, "kqueue-freebsd": false} {
		others[name] = func() (*Selector, error) {
			return newSelector(func() (mechanism, error) { return openKqueueOf(newFakeKqueue(excepts)) })
		}
	}
}

// A fakeKqueue is one kqueue as the BSDs' sources have it:
//
//   - a registration (a knote) belongs to a descriptor and a filter, and goes when the descriptor is closed;
//   - EV_ADD of one that is there changes its fflags and data, and not its trigger;
//   - a change without EV_ADD to one that is not there is ENOENT, to a number that is not open EBADF;
//   - the first change that fails ends the call, with those before it made;
//   - EVFILT_READ and EVFILT_WRITE set EV_EOF when their direction is over, whatever the low-water mark;
//   - with EV_CLEAR one is told once, and again after its descriptor's state has changed;
//   - EVFILT_EXCEPT holds from an urgent byte on, and does not care whether that was read.
type fakeKqueue struct {
	excepts bool

	mu     sync.Mutex
	knotes []*knote // those told last are last
	index  map[knoteKey]*knote
	free   []*knote
	urgent map[fileID]*urgency
	polls  []unix.PollFd
}

type knoteKey struct {
	fd     int
	filter Events
}

type knote struct {
	kevent
	file  fileID
	told  condition // when it was last told; for EV_CLEAR
	tells bool      // told is of something
}

// A fileID tells open files apart, as far as the tests use a number again.
type fileID struct{ dev, ino uint64 }

// An urgency is how many urgent bytes have come to a file, and whether the last is unread.
type urgency struct {
	bytes int
	here  bool
}

// A condition is what a knote finds at its descriptor.
type condition struct {
	active, ended bool
	data          int
}

func newFakeKqueue(excepts bool) *fakeKqueue {
	return &fakeKqueue{excepts: excepts, index: make(map[knoteKey]*knote), urgent: make(map[fileID]*urgency)}
}

func (k *fakeKqueue) kqueue() (int, error) { return 1 << 20, nil }
func (k *fakeKqueue) close(int) error      { return nil }
func (k *fakeKqueue) hasExcept() bool      { return k.excepts }

func (k *fakeKqueue) kevent(_ int, changes, events []kevent, timeout time.Duration) (int, error) {
	began := time.Now()
	for i := range changes {
		if err := k.change(&changes[i]); err != nil {
			return 0, err
		}
	}
	for pause := 10 * time.Microsecond; len(events) > 0; pause = min(2*pause, time.Millisecond) {
		if n := k.look(events); n > 0 || timeout >= 0 && time.Since(began) >= timeout {
			return n, nil
		}
		time.Sleep(pause)
	}
	return 0, nil
}

func (k *fakeKqueue) change(c *kevent) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	file, err := identify(c.fd)
	if err != nil {
		return unix.EBADF
	}
	if c.filter == Except && !k.excepts {
		return unix.EINVAL
	}
	key := knoteKey{c.fd, c.filter}
	n := k.index[key]
	if n != nil && n.file != file {
		k.drop(n)
		n = nil
	}
	switch {
	case n == nil && c.flags&evAdd == 0:
		return unix.ENOENT
	case n == nil:
		n = k.newKnote()
		*n = knote{kevent: *c, file: file}
		k.index[key] = n
		k.knotes = append(k.knotes, n)
	case c.flags&evDelete != 0:
		k.drop(n)
	case c.flags&evAdd != 0:
		n.fflags, n.data, n.tells = c.fflags, c.data, false
	}
	return nil
}

func (k *fakeKqueue) newKnote() *knote {
	if len(k.free) == 0 {
		return new(knote)
	}
	n := k.free[len(k.free)-1]
	k.free = k.free[:len(k.free)-1]
	return n
}

func (k *fakeKqueue) drop(n *knote) {
	delete(k.index, knoteKey{n.fd, n.filter})
	for i := range k.knotes {
		if k.knotes[i] == n {
			k.knotes = append(k.knotes[:i], k.knotes[i+1:]...)
			break
		}
	}
	k.free = append(k.free, n)
}

// look tells the active knotes, those that were not told for long first.
func (k *fakeKqueue) look(events []kevent) (n int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.dropClosed()
	k.polls = k.polls[:0]
	for _, note := range k.knotes {
		bits := int16(unix.POLLIN | unix.POLLRDHUP)
		switch note.filter {
		case Write:
			bits = unix.POLLOUT | unix.POLLRDHUP
		case Except:
			bits = unix.POLLPRI
		}
		k.polls = append(k.polls, unix.PollFd{Fd: int32(note.fd), Events: bits})
	}
	for part := range slices.Chunk(k.polls, 1000) { // poll takes no more than the process may open files
		for {
			if _, err := unix.Poll(part, 0); err == nil {
				break
			} else if err != unix.EINTR {
				panic(err)
			}
		}
	}
	told := 0 // of knotes, those that were told are moved behind the others
	for i := range k.polls {
		note := k.knotes[i-told]
		c := note.look(k.polls[i].Revents)
		if note.filter == Except {
			c = k.lookForUrgent(note.file, k.polls[i].Revents)
		}
		if !c.active {
			note.tells = false
			continue
		}
		if n == len(events) || note.flags&evClear != 0 && note.tells && c == note.told {
			continue
		}
		note.told, note.tells = c, true
		events[n] = kevent{fd: note.fd, filter: note.filter}
		if c.ended {
			events[n].flags = evEOF
		}
		n++
		copy(k.knotes[i-told:], k.knotes[i-told+1:])
		k.knotes[len(k.knotes)-1] = note
		told++
	}
	return n
}

func (k *fakeKqueue) dropClosed() {
	for i := 0; i < len(k.knotes); {
		if file, err := identify(k.knotes[i].fd); err == nil && file == k.knotes[i].file {
			i++
		} else {
			k.drop(k.knotes[i])
		}
	}
}

// look finds the condition, given what poll(2) says.
func (n *knote) look(bits int16) (c condition) {
	const gone = unix.POLLERR | unix.POLLHUP
	switch n.filter {
	case Read:
		if size, offset, regular := regularFile(n.fd); regular {
			return condition{active: offset < size}
		}
		c.ended = bits&(gone|unix.POLLRDHUP) != 0
		if bits&unix.POLLIN != 0 {
			c.data = max(readable(n.fd), 1) // one connection, where there are no bytes
			if c.ended && readable(n.fd) == 0 {
				c.data = 0
			}
		}
	case Write:
		c.ended = bits&gone != 0 || endedByUs(n.fd)
		if bits&unix.POLLOUT != 0 {
			c.data = 1 // no buffer has room for a low-water mark of all there is
		}
	}
	lowest := 1
	if n.fflags&noteLowat != 0 {
		lowest = int(n.data)
	}
	c.active = c.ended || c.data >= lowest
	return c
}

// lookForUrgent finds a condition that is there once an urgent byte has come, and changes when the next one comes.
func (k *fakeKqueue) lookForUrgent(file fileID, bits int16) condition {
	u := k.urgent[file]
	if u == nil {
		u = new(urgency)
		k.urgent[file] = u
	}
	here := bits&unix.POLLPRI != 0
	if here && !u.here {
		u.bytes++
	}
	u.here = here
	return condition{active: u.bytes > 0, data: u.bytes}
}

func identify(fd int) (fileID, error) {
	var status unix.Stat_t
	err := unix.Fstat(fd, &status)
	return fileID{uint64(status.Dev), status.Ino}, err
}

func regularFile(fd int) (size, offset int64, regular bool) {
	var status unix.Stat_t
	if unix.Fstat(fd, &status) != nil || status.Mode&unix.S_IFMT != unix.S_IFREG {
		return 0, 0, false
	}
	offset, _ = unix.Seek(fd, 0, 1)
	return status.Size, offset, true
}

func readable(fd int) int {
	n, _ := unix.IoctlGetInt(fd, unix.TIOCINQ)
	return n
}

// endedByUs reports whether writing was shut down here, which poll(2) does not tell: sending nothing does.
func endedByUs(fd int) bool {
	if typ, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE); err != nil || typ != unix.SOCK_STREAM {
		return false
	}
	if listens, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN); err != nil || listens != 0 {
		return false
	}
	_, _, errno := unix.Syscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&nothing)), 0,
		unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
	return errno == unix.EPIPE
}

var nothing byte
