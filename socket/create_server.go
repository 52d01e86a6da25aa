package socket

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"time"
)

// ServerOptions configure CreateServer. nil means the zero value.
type ServerOptions struct {
	// Backlog is the number of connections that may wait to be accepted. 0 means as many as the system allows.
	Backlog int

	// ReusePort lets several servers that all set it listen on the same port. See Socket.SetReusePort.
	ReusePort bool

	// DualStack lets a server on an IPv6 address, usually [::], accept IPv4 connections too.
	DualStack bool
}

// CreateServer makes a stream socket that listens on an address: host:port, or a Unix socket as ParseAddr reads it.
//
// A host name stands for its first IPv4 address, or for its first IPv6 address if it has no IPv4 address. Without a
// host (":7007") the server listens on all addresses, of IPv4 and, if the system has it, of IPv6. "0.0.0.0:7007" is
// IPv4 only. "[::]:7007" is IPv6 only, unless DualStack is set. For port 0 the system chooses a port, which LocalAddr
// returns.
//
// A server can be restarted while connections of its predecessor are in TIME_WAIT (SO_REUSEADDR). On Windows no other
// program can take the port over (SO_EXCLUSIVEADDRUSE).
//
// CreateServer replaces a socket file on which no server listens. If a server listens there, or the file is not a
// socket, it leaves the file alone and returns EADDRINUSE. Close removes the file.
func CreateServer(address string, options *ServerOptions) (*Socket, error) {
	if options == nil {
		options = &ServerOptions{}
	}
	a, host, service, err := splitAddress(address)
	if err != nil {
		return nil, failed("bind", address, err)
	}
	if !a.IsValid() {
		if a, err = lookupOne(host, service); err != nil {
			return nil, failed("bind", address, err)
		}
	}
	if strings.HasPrefix(address, ":") {
		return listenEverywhere(a.Port(), options)
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
func listenEverywhere(port int, options *ServerOptions) (*Socket, error) {
	all := func(ip netip.Addr) Addr { return InetAddr(netip.AddrPortFrom(ip, uint16(port))) }
	s, err := listenInet(all(netip.IPv6Unspecified()), options, true)
	if err == nil || options.DualStack {
		return s, err
	}
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.EAFNOSUPPORT) ||
		errors.Is(err, syscall.EADDRNOTAVAIL) {
		return listenInet(all(netip.IPv4Unspecified()), options, false)
	}
	return nil, err
}

func listenInet(a Addr, options *ServerOptions, dualStack bool) (*Socket, error) {
	s, err := New(a.Family(), SOCK_STREAM, 0)
	if err != nil {
		return nil, err
	}
	alone := reuseAddrIgnoresWildcard && !options.ReusePort
	switch {
	case alone: // bindAlone sets what it needs
	case reuseAddrIsSafe:
		err = s.SetReuseAddr(true)
	default: // nobody else may take the port over
		err = s.setOption("set exclusive address use", SOL_SOCKET, optExclusive, 1)
	}
	if err == nil && options.ReusePort {
		err = s.SetReusePort(true)
	}
	if err == nil && a.Family() == AF_INET6 {
		err = s.setDualStack(dualStack)
	}
	switch {
	case err != nil:
	case alone:
		err = s.bindAlone(a)
	default:
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

// bindAlone is Bind with SO_REUSEADDR for systems where that also takes a port from a server on other addresses. Without the
// option Bind fails because of such a server, and because of connections of an earlier one; only a server answers.
func (s *Socket) bindAlone(a Addr) error {
	err := s.Bind(a)
	if !errors.Is(err, syscall.EADDRINUSE) || answers(a) {
		return err
	}
	if err := s.SetReuseAddr(true); err != nil {
		return err
	}
	return s.Bind(a)
}

// answers reports whether a server listens at the address, of those of all addresses at loopback. One with a full backlog
// may give no answer, and is there.
func answers(a Addr) bool {
	if ip := a.AddrPort().Addr(); ip.IsUnspecified() {
		loopback := netip.IPv6Loopback()
		if ip.Is4() {
			loopback = netip.AddrFrom4([4]byte{127, 0, 0, 1})
		}
		a = InetAddr(netip.AddrPortFrom(loopback, uint16(a.Port())))
	}
	s, err := New(a.Family(), SOCK_STREAM, 0)
	if err != nil {
		return true
	}
	defer s.Close()
	s.SetTimeout(time.Second)
	err = s.Connect(a)
	if err == nil {
		return !s.isItsOwnPeer()
	}
	return errors.Is(err, os.ErrDeadlineExceeded)
}

func (s *Socket) setDualStack(on bool) error {
	if on && !hasDualStack {
		return s.fail("set dual-stack", unsupported())
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

// splitAddress reads an address that may have a name in place of a number: then the Addr is zero and the host and
// service are to be looked up.
func splitAddress(address string) (a Addr, host, service string, err error) {
	a, err = ParseAddr(address)
	if err == nil {
		return a, "", "", nil
	}
	host, service, splitErr := net.SplitHostPort(address)
	if splitErr != nil || service == "" {
		return Addr{}, "", "", cause(err)
	}
	return Addr{}, host, service, nil
}

// lookupOne returns the address to listen on.
func lookupOne(host, service string) (Addr, error) {
	hints := AddrInfo{Flags: AI_PASSIVE, Type: SOCK_STREAM}
	list, err := hints.resolve(context.Background(), host, service)
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
