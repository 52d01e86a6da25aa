package socket

import (
	"errors"
	"fmt"
	"net"
	"runtime"
	"syscall"
	"time"
)

// Option returns the value of an integer option: getsockopt(2).
func (s *Socket) Option(level, name int) (value int, err error) {
	err = s.use(func(fd int) (err error) {
		value, err = sysOption(fd, level, name)
		return err
	})
	return value, s.fail("getsockopt", err)
}

// SetOption sets an integer option: setsockopt(2).
func (s *Socket) SetOption(level, name, value int) error {
	if err := withoutEffect(level, name); err != nil {
		return s.fail("setsockopt", err)
	}
	return s.setOption("setsockopt", level, name, value)
}

// OptionBool returns whether an option is on.
func (s *Socket) OptionBool(level, name int) (bool, error) {
	v, err := s.Option(level, name)
	return v != 0, err
}

// SetOptionBool switches an option on or off.
func (s *Socket) SetOptionBool(level, name int, on bool) error {
	return s.SetOption(level, name, number(on))
}

// OptionBytes returns the value of an option that is a structure or text. size is the length of the buffer for it, in
// bytes.
func (s *Socket) OptionBytes(level, name, size int) (value []byte, err error) {
	err = s.use(func(fd int) error {
		p := make([]byte, max(size, 0))
		n, err := sysOptionBytes(fd, level, name, p)
		value = p[:min(n, len(p))]
		return err
	})
	if err != nil {
		return nil, s.fail("getsockopt", err)
	}
	return value, nil
}

// SetOptionBytes sets an option that is a structure or text. It does not keep value.
func (s *Socket) SetOptionBytes(level, name int, value []byte) error {
	if err := withoutEffect(level, name); err != nil {
		return s.fail("setsockopt", err)
	}
	return s.fail("setsockopt", s.use(func(fd int) error { return sysSetOptionBytes(fd, level, name, value) }))
}

// withoutEffect refuses the options that the system would take and nobody would see: a descriptor of this package is
// non-blocking, and so the system never waits for it.
func withoutEffect(level, name int) error {
	if level != SOL_SOCKET {
		return nil
	}
	switch name {
	case SO_RCVTIMEO:
		return invalid(syscall.EOPNOTSUPP, "SO_RCVTIMEO would have no effect: use SetTimeout or SetReadDeadline")
	case SO_SNDTIMEO:
		return invalid(syscall.EOPNOTSUPP, "SO_SNDTIMEO would have no effect: use SetTimeout or SetWriteDeadline")
	}
	return nil
}

// SocketError returns and clears the pending error of the socket, nil if there is none (SO_ERROR). When the socket is
// writable after a non-blocking Connect, it is the outcome of that Connect.
func (s *Socket) SocketError() error {
	errno, err := s.Option(SOL_SOCKET, SO_ERROR)
	if err != nil {
		return err
	}
	s.mu.Lock()
	op := "getsockopt"
	if s.connecting {
		op = "connect"
	}
	s.connecting = false
	s.mu.Unlock()
	if errno != 0 {
		return s.fail(op, syscall.Errno(errno))
	}
	return nil
}

// SetReuseAddr lets Bind take an address while connections of an earlier server are in TIME_WAIT (SO_REUSEADDR). On
// Windows, where that is always possible, it does nothing on stream sockets: the option of this name would let other
// programs take the port over.
func (s *Socket) SetReuseAddr(on bool) error {
	if !reuseAddrIsSafe && s.typ == SOCK_STREAM {
		return s.fail("set reuse-address", s.use(func(int) error { return nil }))
	}
	return s.setOption("set reuse-address", SOL_SOCKET, SO_REUSEADDR, number(on))
}

// SetReusePort lets several sockets that all set it bind the same address (SO_REUSEPORT; SO_REUSEPORT_LB on FreeBSD).
// The system distributes connections and datagrams over them.
func (s *Socket) SetReusePort(on bool) error {
	return s.setOption("set reuse-port", SOL_SOCKET, optReusePort, number(on))
}

// SetNoDelay turns Nagle's algorithm off or on (TCP_NODELAY). With on true the system sends small writes at once. New
// TCP sockets have the default of the system, which delays them.
func (s *Socket) SetNoDelay(on bool) error {
	return s.setOption("set no-delay", IPPROTO_TCP, TCP_NODELAY, number(on))
}

// SetKeepAlive sets when TCP probes a silent peer: after Idle, then every Interval. After Count probes without an
// answer the connection ends with ETIMEDOUT. As in package net, Enable false turns probes off, 0 means 15 s, 15 s and
// 9, and a negative value keeps the system's own. Fractions of a second are rounded up. OpenBSD can only turn probes
// on and off.
func (s *Socket) SetKeepAlive(k net.KeepAliveConfig) error {
	const op = "set keep-alive"
	if err := s.setOption(op, SOL_SOCKET, SO_KEEPALIVE, number(k.Enable)); err != nil || !k.Enable {
		return err
	}
	count := k.Count
	if count == 0 {
		count = 9
	}
	for _, o := range [...]struct{ name, value int }{
		{optKeepIdle, keepAliveSeconds(k.Idle)},
		{optKeepInterval, keepAliveSeconds(k.Interval)},
		{optKeepCount, count},
	} {
		if o.value < 0 {
			continue
		}
		if err := s.setOption(op, IPPROTO_TCP, o.name, o.value); err != nil {
			return err
		}
	}
	return nil
}

func keepAliveSeconds(d time.Duration) int {
	if d == 0 {
		return 15
	}
	return seconds(d)
}

// SetUserTimeout sets how long sent bytes may stay unacknowledged before the connection ends with ETIMEDOUT
// (TCP_USER_TIMEOUT, RFC 5482; Linux). 0 means the default of the system. Fractions of a millisecond are rounded up.
func (s *Socket) SetUserTimeout(d time.Duration) error {
	ms := (max(d, 0) + time.Millisecond - 1) / time.Millisecond
	return s.setOption("set user timeout", IPPROTO_TCP, optUserTimeout, int(ms))
}

// SetSendBuffer sets the size of the system's send buffer in bytes (SO_SNDBUF): for bytes that are not sent or not
// acknowledged yet. Linux doubles the number for its own needs, and limits it (net.core.wmem_max).
func (s *Socket) SetSendBuffer(bytes int) error {
	return s.setOption("set send buffer", SOL_SOCKET, SO_SNDBUF, bytes)
}

// SetRecvBuffer sets the size of the system's receive buffer in bytes (SO_RCVBUF). See SetSendBuffer. Set it before
// Listen or Connect to get a TCP window above 64 KiB.
func (s *Socket) SetRecvBuffer(bytes int) error {
	return s.setOption("set receive buffer", SOL_SOCKET, SO_RCVBUF, bytes)
}

// SetV6Only sets whether an AF_INET6 socket that is bound to [::] takes IPv6 only, not IPv4 (IPV6_V6ONLY). Call it
// before Bind.
func (s *Socket) SetV6Only(on bool) error {
	return s.setOption("set v6-only", IPPROTO_IPV6, IPV6_V6ONLY, number(on))
}

// SetLinger sets what Close does with unsent bytes (SO_LINGER). With a negative d, the default, Close returns at once
// and the system continues to send. With 0 the bytes are discarded and the peer gets a reset. With a positive d Close
// waits until the peer has acknowledged them, at most d, and occupies a thread. Fractions of a second are rounded up.
func (s *Socket) SetLinger(d time.Duration) error {
	return s.fail("set linger", s.use(func(fd int) error { return sysSetLinger(fd, d >= 0, max(seconds(d), 0)) }))
}

// Linger returns the value of SetLinger, -1 if it is off.
func (s *Socket) Linger() (d time.Duration, err error) {
	err = s.use(func(fd int) error {
		on, sec, err := sysLinger(fd)
		d = time.Duration(sec) * time.Second
		if !on {
			d = -1
		}
		return err
	})
	return d, s.fail("get linger", err)
}

// lacking stands in for the number of an option that the platform does not have.
const lacking = -1

func (s *Socket) setOption(op string, level, name, value int) error {
	if name == lacking {
		return s.fail(op, unsupported())
	}
	return s.fail(op, s.use(func(fd int) error { return sysSetOption(fd, level, name, value) }))
}

func unsupported() error {
	return fmt.Errorf("%s does not have it: %w", runtime.GOOS, errors.ErrUnsupported)
}

func number(on bool) int {
	if on {
		return 1
	}
	return 0
}

// seconds rounds up; negative stays negative.
func seconds(d time.Duration) int {
	if d < 0 {
		return -1
	}
	return int((d + time.Second - 1) / time.Second)
}
