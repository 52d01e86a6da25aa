package socket

import (
	"net"
	"syscall"
)

func (s *Socket) netConn() (net.Conn, error) {
	d, err := s.dupBlocking()
	if err != nil {
		return nil, err
	}
	return &conn{d}, nil
}

func (s *Socket) netListener() (net.Listener, error) {
	d, err := s.dupBlocking()
	if err != nil {
		return nil, err
	}
	return &listener{d}, nil
}

func (s *Socket) dupBlocking() (*Socket, error) {
	d, err := s.Dup()
	if err != nil {
		return nil, cause(err)
	}
	return d, d.SetBlocking(true)
}

// A conn is a Socket with the addresses that package net wants.
type conn struct{ *Socket }

func (c *conn) LocalAddr() net.Addr {
	a, _ := c.Socket.LocalAddr()
	return c.netAddr(a)
}

func (c *conn) RemoteAddr() net.Addr {
	a, _ := c.PeerAddr()
	return c.netAddr(a)
}

func (c *conn) SyscallConn() (syscall.RawConn, error) { return rawConn{c.Socket}, nil }

func (c *conn) CloseWrite() error { return c.Shutdown(SHUT_WR) }

// A listener is a Socket that accepts connections of package net.
type listener struct{ sock *Socket }

func (l *listener) Accept() (net.Conn, error) {
	s, _, err := l.sock.Accept()
	if err != nil {
		return nil, err
	}
	return &conn{s}, nil
}

func (l *listener) Close() error { return l.sock.Close() }

func (l *listener) Addr() net.Addr {
	a, _ := l.sock.LocalAddr()
	return l.sock.netAddr(a)
}

func (l *listener) SyscallConn() (syscall.RawConn, error) { return rawConn{l.sock}, nil }

// A rawConn lets others use the handle of a Socket.
type rawConn struct{ sock *Socket }

func (r rawConn) Control(f func(fd uintptr)) error {
	return r.sock.use(func(fd int) error {
		f(uintptr(fd))
		return nil
	})
}

func (r rawConn) Read(f func(fd uintptr) (done bool)) error { return r.wait(reading, f) }

func (r rawConn) Write(f func(fd uintptr) (done bool)) error { return r.wait(writing, f) }

func (r rawConn) wait(dir direction, f func(fd uintptr) (done bool)) error {
	c := newCall(func(_ *call, fd int) error {
		if f(uintptr(fd)) {
			return nil
		}
		return syscall.EAGAIN
	})
	defer c.free()
	return r.sock.do(dir, c, r.sock.Timeout())
}

func (s *Socket) netAddr(a Addr) net.Addr {
	switch {
	case a.Family() == AF_UNIX:
		return &net.UnixAddr{Name: a.Path(), Net: "unix"}
	case s.typ == SOCK_DGRAM:
		return net.UDPAddrFromAddrPort(a.AddrPort())
	}
	return net.TCPAddrFromAddrPort(a.AddrPort())
}
