package main

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"

	"github.com/switchboard-go/switchboard/socket"
)

// listen makes the socket that a server accepts from, or takes over the one that this process was started with.
func listen(a address) (*socket.Socket, error) {
	if a.network == "systemd" {
		passed, err := passedSockets(a)
		if err == nil && len(passed) != 1 {
			err = fmt.Errorf("listen %s: %d sockets have that name, and one is expected", a, len(passed))
		}
		if err != nil {
			return nil, err
		}
		a = passed[0]
	}
	if a.network != "fd" {
		l, err := socket.CreateServer(a.name, nil)
		if err != nil {
			return nil, listenError(a, err)
		}
		return l, nil
	}
	fd, _ := strconv.Atoi(a.name)
	l, err := socket.FromFD(fd)
	if err != nil {
		return nil, listenError(a, err)
	}
	if listening, err := l.OptionBool(socket.SOL_SOCKET, socket.SO_ACCEPTCONN); err == nil && !listening {
		l.Close()
		return nil, listenError(a, errors.New("it is not a listening socket"))
	}
	return l, nil
}

// listenError says which address it was, why, and what to do.
func listenError(a address, err error) error {
	var why *socket.Error
	if !errors.As(err, &why) {
		return fmt.Errorf("listen %s: %w", a, err)
	}
	hint := why.Hint()
	if host, port, _ := net.SplitHostPort(a.name); errors.Is(err, syscall.EACCES) && a.network == "tcp" {
		n, _ := strconv.Atoi(port)
		hint += "; try " + net.JoinHostPort(host, strconv.Itoa(8000+n))
	}
	if hint == "" {
		return fmt.Errorf("listen %s: %w", a, why.Err)
	}
	return fmt.Errorf("listen %s: %w (%s)", a, why.Err, hint)
}

// whereabouts is the address that a listener really has, in the form that parseAddress reads.
func whereabouts(l *socket.Socket) string {
	at, err := l.LocalAddr()
	if err != nil {
		return err.Error()
	}
	return inWords(at)
}

// inWords is an address in the form that parseAddress reads.
func inWords(at socket.Addr) string {
	if at.Family() == socket.AF_UNIX {
		return address{"unix", at.Path()}.String()
	}
	return at.String()
}
