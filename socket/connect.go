package socket

import (
	"os"
	"syscall"
	"time"
)

// Connect connects the socket with a peer: connect(2). A datagram socket then sends to this peer, and receives from
// it alone. In non-blocking mode the error is ErrInProgress as a rule: when the socket has become writable,
// SocketError tells how it went. After a timeout the system goes on trying: Close the socket.
func (s *Socket) Connect(to Addr) error {
	if err := to.unfit(s.family); err != nil {
		return failed("connect", to.String(), err)
	}
	err := s.connect(to)
	if err == nil || err == ErrInProgress {
		s.setName(to)
	}
	return failed("connect", to.String(), err)
}

func (s *Socket) connect(to Addr) error {
	begun := false
	c := newCall(func(_ *call, fd int) error {
		if begun {
			return connected(fd)
		}
		err := sysConnect(fd, to)
		switch err {
		// An interrupted connect goes on by itself; asking for it again would be an error (POSIX, connect).
		case syscall.EINPROGRESS, syscall.EALREADY, syscall.EINTR:
			begun = true
			return syscall.EAGAIN
		}
		return err
	})
	defer c.free()
	timeout := s.Timeout()
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
	if err != nil {
		return err
	}
	if errno != 0 {
		return syscall.Errno(errno)
	}
	// No error yet may also be a wake-up without a reason: only a peer's address tells that it is done.
	if _, _, err := sysPeerAddr(fd); err == syscall.ENOTCONN {
		return syscall.EAGAIN
	} else if err != syscall.EINVAL {
		return err
	}
	return nil
}
