package socket

import (
	"errors"
	"fmt"
	"net"
	"os"
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

// Conn returns a connection of package net on the same communication. Both must be closed, in any order.
func (s *Socket) Conn() (net.Conn, error) {
	f, err := s.dupFile()
	if err != nil {
		return nil, s.fail("conn", err)
	}
	defer f.Close()
	c, err := net.FileConn(f)
	return c, s.fail("conn", err)
}

// Listener returns a listener of package net on the same listening socket. Both must be closed, in any order.
func (s *Socket) Listener() (net.Listener, error) {
	on, err := s.OptionBool(SOL_SOCKET, SO_ACCEPTCONN)
	if err != nil {
		return nil, err
	}
	if !on {
		return nil, s.fail("listener", invalid(syscall.EINVAL, "the socket does not listen"))
	}
	f, err := s.dupFile()
	if err != nil {
		return nil, s.fail("listener", err)
	}
	defer f.Close()
	l, err := net.FileListener(f)
	return l, s.fail("listener", err)
}

func (s *Socket) dupFile() (f *os.File, err error) {
	err = s.use(func(old int) error {
		fd, err := sysDup(old)
		if err == nil {
			f = os.NewFile(uintptr(fd), "socket")
		}
		return err
	})
	return f, err
}
