package socket

import (
	"runtime"
	"syscall"

	"github.com/switchboard-go/switchboard/internal/poller"
)

// Close closes the socket: close(2). Calls that wait in other goroutines return net.ErrClosed, and so does a second
// Close. The system still sends the bytes that it has taken. But if received bytes were not read, the system discards
// them and may reset the connection.
func (s *Socket) Close() error {
	if !s.end() {
		return s.fail("close", errClosed)
	}
	s.mu.Lock()
	file := s.file
	s.file = nil
	s.mu.Unlock()
	if file != nil {
		file.remove()
	}
	return s.fail("close", s.release())
}

// Detach closes the Socket but not its descriptor, which the caller then owns. fd is the number that FD returned,
// unless a call had to wait in this Socket or a deadline was set: then it is a duplicate with a new number.
// O_NONBLOCK is cleared if the Socket was in blocking mode, and set otherwise. Inheritance stays as it was. The
// socket file of a server stays.
func (s *Socket) Detach() (fd int, err error) {
	if !s.acquire() {
		return -1, s.fail("detach", errClosed)
	}
	s.mu.Lock()
	unparked := s.parked.Load() == nil && s.end()
	s.mu.Unlock()
	if unparked {
		s.awaitCalls()
		fd = s.fd
	} else {
		fd, err = s.detachParked()
		s.release()
	}
	if err == nil && s.Timeout() < 0 {
		if err = sysSetNonblock(fd, false); err != nil {
			sysClose(fd)
		}
	}
	if err != nil {
		return -1, s.fail("detach", err)
	}
	return fd, nil
}

// awaitCalls waits until the calls that have begun before end let go of the descriptor. They hold its number still, and none
// of them waits. What stays is the open descriptor, which Close would release, and the caller's own use of it.
func (s *Socket) awaitCalls() {
	for s.life.Load() > 2+2+1 {
		runtime.Gosched()
	}
}

// detachParked closes the socket and returns a duplicate of its descriptor, because the poller forgets a
// descriptor only when it closes it.
func (s *Socket) detachParked() (fd int, err error) {
	if fd, err = sysDup(s.fd); err != nil {
		return -1, err
	}
	on, err := sysInheritable(s.fd)
	if err == nil && on {
		err = sysSetInheritable(fd, true)
	}
	if err == nil && !s.end() {
		err = errClosed
	}
	if err != nil {
		sysClose(fd)
		return -1, err
	}
	// The last release closes the poller's descriptor, and waits for the calls in the poller. It must be Detach's: the
	// duplicate has the mode of the descriptor, and in blocking mode such a call would never return.
	s.awaitCalls()
	s.release()
	return fd, nil
}

// adopt makes the Socket of a descriptor that is non-blocking and close-on-exec.
func adopt(fd, family, typ, proto int) *Socket {
	poller.Open() // now, as there may be no descriptors for it when a call first has to wait
	s := &Socket{fd: fd, family: family, typ: typ, proto: proto}
	s.life.Store(2)
	s.timeout.Store(-1)
	runtime.SetFinalizer(s, (*Socket).Close)
	return s
}

// use makes one system call that never waits.
func (s *Socket) use(call func(fd int) error) error {
	if !s.acquire() {
		return errClosed
	}
	defer s.release()
	for {
		if err := call(s.fd); err != syscall.EINTR {
			return err
		}
	}
}

// closed also holds for the zero Socket, which New did not make.
func (s *Socket) closed() bool { return isClosed(s.life.Load()) }

func isClosed(life int32) bool { return life&1 != 0 || life == 0 }

// acquire keeps the descriptor open until release, so that its number cannot come to mean another file. It reports
// false after Close.
func (s *Socket) acquire() bool {
	for {
		n := s.life.Load()
		if isClosed(n) {
			return false
		}
		if s.life.CompareAndSwap(n, n+2) {
			return true
		}
	}
}

// end marks the socket closed; the caller then owes the release of the open descriptor. It reports false if it was.
func (s *Socket) end() bool {
	for {
		n := s.life.Load()
		if isClosed(n) {
			return false
		}
		if s.life.CompareAndSwap(n, n+1) {
			runtime.SetFinalizer(s, nil)
			return true
		}
	}
}

// release undoes acquire. The last one after Close closes the descriptor.
func (s *Socket) release() error {
	if s.life.Add(-2) != 1 {
		return nil
	}
	if p := s.parked.Load(); p != nil {
		return p.fd.Close()
	}
	return sysClose(s.fd)
}
