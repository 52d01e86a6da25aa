package socket

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"strings"
	"syscall"
)

// ServerOptions change what CreateServer does. The zero value and nil are the usual server.
type ServerOptions struct {
	// Backlog is how many connections may wait to be accepted; 0 is the most that the system allows.
	Backlog int

	// ReusePort lets several servers, each with this option, listen on the same port (see SetReusePort).
	ReusePort bool

	// DualStack makes a server on an IPv6 address, [::] as a rule, serve IPv4 too.
	DualStack bool
}

// CreateServer makes a stream socket that listens on the address: host:port, or a Unix socket as ParseAddr reads it.
//
// A host that is a name stands for its first IPv4 address, or its first IPv6 address when it has no other. Without a
// host (":7007") the server listens on all addresses, IPv4 and IPv6 where the system can; "0.0.0.0:7007" is IPv4 alone
// and "[::]:7007" is IPv6 alone, unless DualStack is set. Port 0 lets the system choose; LocalAddr tells which.
// A server can be started again while connections of the one before are in TIME_WAIT (SO_REUSEADDR).
//
// A socket file that no server answers at is replaced; one that is in use, or a file that is not a
// socket, is left alone, and the error is EADDRINUSE. Close removes the file.
func CreateServer(address string, options *ServerOptions) (*Socket, error) {
	if options == nil {
		options = &ServerOptions{}
	}
	if port, ok := strings.CutPrefix(address, ":"); ok {
		return listenEverywhere(port, options)
	}
	a, err := resolveOne(address)
	if err != nil {
		return nil, failed("bind", address, err)
	}
	if a.Family() == AF_UNIX {
		return listenUnix(a, options)
	}
	if options.DualStack && a.Family() != AF_INET6 {
		return nil, failed("bind", address, invalid(syscall.EAFNOSUPPORT, "a dual-stack server needs an IPv6 address"))
	}
	return listenInet(a, options, options.DualStack)
}

// listenEverywhere listens on IPv6 and IPv4 with one socket, or on IPv4 alone where that cannot be.
func listenEverywhere(port string, options *ServerOptions) (*Socket, error) {
	any6, err := ParseAddr("[::]:" + port)
	if err != nil {
		any6, err = resolveOne("[::]:" + port)
	}
	if err != nil {
		return nil, failed("bind", ":"+port, err)
	}
	s, err := listenInet(any6, options, true)
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.EAFNOSUPPORT) ||
		errors.Is(err, syscall.EADDRNOTAVAIL) {
		if options.DualStack {
			return nil, err
		}
		any4, _ := ParseAddr(fmt.Sprintf("0.0.0.0:%d", any6.Port()))
		return listenInet(any4, options, false)
	}
	return s, err
}

func listenInet(a Addr, options *ServerOptions, dualStack bool) (*Socket, error) {
	s, err := New(a.Family(), SOCK_STREAM, 0)
	if err != nil {
		return nil, err
	}
	// On Windows this would let another program take the port over.
	if runtime.GOOS != "windows" {
		err = s.SetReuseAddr(true)
	}
	if err == nil && options.ReusePort {
		err = s.SetReusePort(true)
	}
	if err == nil && a.Family() == AF_INET6 {
		err = s.setDualStack(dualStack)
	}
	if err == nil {
		err = s.Bind(a)
	}
	if err == nil {
		err = s.Listen(options.backlog())
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func (s *Socket) setDualStack(on bool) error {
	if on && runtime.GOOS == "openbsd" {
		return s.fail("set dual-stack", fmt.Errorf("openbsd does not have it: %w", errors.ErrUnsupported))
	}
	return s.SetV6Only(!on)
}

// backlog is a number that every system cuts down to its own limit, where none was given.
func (o *ServerOptions) backlog() int {
	if o.Backlog > 0 {
		return o.Backlog
	}
	return 1<<16 - 1
}

// resolveOne returns the address to listen on.
func resolveOne(address string) (Addr, error) {
	a, err := ParseAddr(address)
	if err == nil {
		return a, nil
	}
	host, service, splitErr := net.SplitHostPort(address)
	if splitErr != nil || host == "" {
		return Addr{}, err
	}
	list, err := GetAddrInfo(context.Background(), host, service, &AddrInfo{Type: SOCK_STREAM})
	if err != nil {
		return Addr{}, err
	}
	for _, i := range list {
		if i.Family == AF_INET {
			return i.Addr, nil
		}
	}
	return list[0].Addr, nil
}
