package socket

import (
	"os"
	"syscall"
	"time"
)

// Connect connects the socket to a peer: connect(2). A datagram socket then sends to this peer and receives only from
// it.
//
// In non-blocking mode Connect usually returns ErrInProgress. Wait until the socket is writable; SocketError then
// returns the outcome. A second Connect before that returns EALREADY. In blocking mode Connect waits for a connect
// that is in progress. After a timeout the system continues to connect: close the socket.
func (s *Socket) Connect(to Addr) error {
	if err := to.unfit(s.family); err != nil {
		return failed("connect", to.String(), err)
	}
	s.mu.Lock()
	again := s.connected && s.typ != SOCK_DGRAM && !s.closed()
	s.mu.Unlock()
	if again {
		// Linux would say so only from the third time on, when it was left to connect by itself.
		return failed("connect", to.String(), syscall.EISCONN)
	}
	err := s.connect(to)
	if err == nil || err == ErrInProgress {
		s.mu.Lock()
		s.name, s.connecting, s.connected = to, err != nil, err == nil
		s.mu.Unlock()
	}
	return failed("connect", to.String(), err)
}

func (s *Socket) connect(to Addr) error {
	begun, timeout := false, s.Timeout()
	c := newCall(func(_ *call, fd int) error {
		if begun {
			return connected(fd)
		}
		err := sysConnect(fd, to)
		if err == syscall.EALREADY && timeout == 0 {
			return err
		}
		switch err {
		// An interrupted connect goes on by itself; asking for it again would be an error (POSIX, connect).
		case syscall.EINPROGRESS, syscall.EALREADY, syscall.EINTR:
			begun = true
			if timeout == 0 {
				return syscall.EAGAIN
			}
			// On loopback it is done by now, and there is nothing to wait for.
			return connected(fd)
		}
		return err
	})
	defer c.free()
	if s.family == AF_UNIX && timeout != 0 {
		return s.connectUnix(c, timeout)
	}
	err := s.do(writing, c, timeout)
	if begun && err == syscall.EAGAIN {
		return ErrInProgress
	}
	return err
}

// connectUnix connects to a Unix socket. When its backlog is full, Linux says EAGAIN and gives nothing to wait for, so
// this asks again at growing intervals.
func (s *Socket) connectUnix(c *call, timeout time.Duration) error {
	start := time.Now()
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		if timeout > 0 {
			pause = min(pause, max(timeout-time.Since(start), 1))
		}
		err := s.do(writing, c, pause)
		if err != os.ErrDeadlineExceeded || s.expired(writing) || timeout > 0 && time.Since(start) >= timeout {
			return err
		}
	}
}

// connected tells how a connect that was begun stands: EAGAIN while it goes on.
func connected(fd int) error {
	errno, err := sysOption(fd, SOL_SOCKET, SO_ERROR)
	if err == nil && errno == 0 {
		// Only a peer's address tells that it is done: the absence of an error may also be a wake-up without a reason.
		_, _, err = sysPeerAddr(fd)
	}
	return connectOutcome(errno, err)
}

// connectOutcome is what a connect has come to: errno is what SO_ERROR told, and err what that or the question for the
// peer's address failed with.
//
// SO_ERROR must be asked first. After a refused connect the question for the peer is ENOTCONN on Linux, and EINVAL on
// macOS, where the socket counts as shut down: taken alone, neither tells a refusal from a connect that goes on.
func connectOutcome(errno int, err error) error {
	switch {
	case errno != 0:
		return syscall.Errno(errno)
	case err == syscall.ENOTCONN:
		return syscall.EAGAIN
	case err == syscall.EINVAL:
		// macOS: shut down already, and somebody else took the reason.
		return syscall.ECONNABORTED
	}
	return err
}
