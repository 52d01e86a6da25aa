package socket

import (
	"errors"
	"fmt"
	"net"
	"syscall"
)

// FromConn returns a Socket on the same communication as a connection of package net. Both must be closed, in any
// order. A connection that is not a socket's own, such as a *tls.Conn, gives an error.
func FromConn(c net.Conn) (*Socket, error) { return fromNet("fromconn", c) }

// FromListener returns a Socket on the same listening socket as a listener of package net. Both must be closed, in any
// order; a *net.UnixListener removes its socket file when it is closed itself (see its SetUnlinkOnClose).
func FromListener(l net.Listener) (*Socket, error) { return fromNet("fromlistener", l) }

func fromNet(op string, v any) (*Socket, error) {
	c, ok := v.(syscall.Conn)
	if !ok {
		return nil, failed(op, "", fmt.Errorf("%T has no descriptor: %w", v, errors.ErrUnsupported))
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, failed(op, "", err)
	}
	fd, dupErr := -1, error(nil)
	if err := raw.Control(func(old uintptr) { fd, dupErr = sysDup(int(old)) }); err != nil {
		return nil, failed(op, "", err)
	}
	if dupErr != nil {
		return nil, failed(op, "", dupErr)
	}
	s, err := FromFD(fd)
	if err != nil {
		sysClose(fd)
		return nil, err
	}
	return s, nil
}

// Conn returns a connection of package net on the same communication. Both must be closed, in any order. On Windows,
// where package net takes no sockets of others, it is a connection of this package.
func (s *Socket) Conn() (net.Conn, error) {
	c, err := s.netConn()
	return c, s.fail("conn", err)
}

// Listener returns a listener of package net on the same listening socket. Both must be closed, in any order. On Windows
// it is one of this package, as with Conn.
func (s *Socket) Listener() (net.Listener, error) {
	on, err := s.OptionBool(SOL_SOCKET, SO_ACCEPTCONN)
	if err != nil {
		return nil, err
	}
	if !on {
		return nil, s.fail("listener", invalid(syscall.EINVAL, "the socket does not listen"))
	}
	l, err := s.netListener()
	return l, s.fail("listener", err)
}
