package socket

import (
	"errors"
	"fmt"
	"net"
	"syscall"
)

// FromConn returns a Socket that shares the connection of a net.Conn: it duplicates the descriptor. Close both, in
// any order. A net.Conn that is not directly on a socket, such as a *tls.Conn, is an error.
func FromConn(c net.Conn) (*Socket, error) { return fromNet("fromconn", c) }

// FromListener returns a Socket that shares the listening socket of a net.Listener: it duplicates the descriptor.
// Close both, in any order. A *net.UnixListener removes its socket file when it is closed (see its SetUnlinkOnClose).
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

// Conn returns a net.Conn that shares the connection: it duplicates the descriptor. Close both, in any order. On
// Windows, where package net takes no foreign sockets, it is a net.Conn of this package.
func (s *Socket) Conn() (net.Conn, error) {
	c, err := s.netConn()
	return c, s.fail("conn", err)
}

// Listener returns a net.Listener that shares the listening socket: it duplicates the descriptor. Close both, in any
// order. On Windows it is a net.Listener of this package.
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
