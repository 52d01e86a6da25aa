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
// A server can be started again while connections of the one before are in TIME_WAIT (SO_REUSEADDR). On Windows no other
// program can take the port over (SO_EXCLUSIVEADDRUSE).
//
// A socket file that no server answers at is replaced; one that is in use, or a file that is not a
// socket, is left alone, and the error is EADDRINUSE. Close removes the file.
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
