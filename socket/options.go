package socket

import (
	"errors"
	"fmt"
	"net"
	"runtime"
	"syscall"
	"time"
)

// Option returns an option that is a number: getsockopt(2).
func (s *Socket) Option(level, name int) (value int, err error) {
	err = s.use(func(fd int) (err error) {
		value, err = sysOption(fd, level, name)
		return err
	})
	return value, s.fail("getsockopt", err)
}

// SetOption sets an option that is a number: setsockopt(2).
func (s *Socket) SetOption(level, name, value int) error {
	if err := withoutEffect(level, name); err != nil {
		return s.fail("setsockopt", err)
	}
	return s.setOption("setsockopt", level, name, value)
}

// OptionBool returns an option that is on or off.
func (s *Socket) OptionBool(level, name int) (bool, error) {
	v, err := s.Option(level, name)
	return v != 0, err
}

// SetOptionBool switches an option on or off.
func (s *Socket) SetOptionBool(level, name int, on bool) error {
	return s.SetOption(level, name, number(on))
}

// OptionBytes returns an option that is a structure or a text, of at most size bytes.
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

// SetOptionBytes sets an option that is a structure or a text.
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

// SocketError returns the pending error of the socket and clears it (SO_ERROR): nil when there is none. After a
// non-blocking Connect, once the socket is writable, it tells how that went.
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

// SetReuseAddr lets Bind take an address that connections of an earlier server still have in TIME_WAIT (SO_REUSEADDR).
// On Windows, where every Bind may, it leaves a stream socket as it is: the option of this name would let other programs
// take the port over.
func (s *Socket) SetReuseAddr(on bool) error {
	if !reuseAddrIsSafe && s.typ == SOCK_STREAM {
		return s.fail("set reuse-address", s.use(func(int) error { return nil }))
	}
	return s.setOption("set reuse-address", SOL_SOCKET, SO_REUSEADDR, number(on))
}

// SetReusePort lets several sockets that all set it bind the same address, and the system spreads connections and
// datagrams over them (SO_REUSEPORT; SO_REUSEPORT_LB on FreeBSD).
func (s *Socket) SetReusePort(on bool) error {
	return s.setOption("set reuse-port", SOL_SOCKET, optReusePort, number(on))
}

// SetNoDelay switches Nagle's algorithm off, or on again (TCP_NODELAY): small writes are sent at once. New TCP sockets
// of this package have it as the system does: they do delay.
func (s *Socket) SetNoDelay(on bool) error {
	return s.setOption("set no-delay", IPPROTO_TCP, TCP_NODELAY, number(on))
}

// SetKeepAlive says when TCP asks a silent peer whether it is there still: after Idle, then every Interval, and Count
// questions without an answer end the connection with ETIMEDOUT. It is to be read as in package net: not Enable
// switches it off; 0 means 15 s, 15 s and 9; a negative value leaves what the system has. Parts of a second count as a
// whole one. OpenBSD has the switch alone.
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

// SetUserTimeout says how long bytes may stay without an acknowledgement before the connection ends with ETIMEDOUT
// (TCP_USER_TIMEOUT, RFC 5482; Linux). 0 is the system's own; parts of a millisecond count as a whole one.
func (s *Socket) SetUserTimeout(d time.Duration) error {
	ms := (max(d, 0) + time.Millisecond - 1) / time.Millisecond
	return s.setOption("set user timeout", IPPROTO_TCP, optUserTimeout, int(ms))
}

// SetSendBuffer sets how many bytes the system keeps that were not sent or acknowledged yet (SO_SNDBUF). Linux doubles
// the number for its own needs, and limits it (net.core.wmem_max).
func (s *Socket) SetSendBuffer(bytes int) error {
	return s.setOption("set send buffer", SOL_SOCKET, SO_SNDBUF, bytes)
}

// SetRecvBuffer sets how many bytes the system keeps that were not received yet (SO_RCVBUF); see SetSendBuffer.
// For a TCP window over 64 KiB set it before Listen or Connect.
func (s *Socket) SetRecvBuffer(bytes int) error {
	return s.setOption("set receive buffer", SOL_SOCKET, SO_RCVBUF, bytes)
}

// SetV6Only says whether an AF_INET6 socket that is bound to [::] leaves IPv4 alone (IPV6_V6ONLY). Set it before Bind.
func (s *Socket) SetV6Only(on bool) error {
	return s.setOption("set v6-only", IPPROTO_IPV6, IPV6_V6ONLY, number(on))
}

// SetLinger says what Close does with bytes that were not sent yet (SO_LINGER). Negative, the default: Close returns
// and the system goes on sending. 0: they are thrown away and the peer gets a reset. Else: Close waits until
// they are acknowledged, at most so long, and this wait does occupy a thread. Parts of a second count as a whole one.
func (s *Socket) SetLinger(d time.Duration) error {
	return s.fail("set linger", s.use(func(fd int) error { return sysSetLinger(fd, d >= 0, max(seconds(d), 0)) }))
}

// Linger returns what SetLinger set: -1 when it is off.
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
