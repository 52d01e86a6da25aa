package socket

import (
	"net/netip"
	"syscall"

	"github.com/switchboard-go/switchboard/internal/winsock"
)

const maxPath = winsock.MaxPath

// A sockaddr is an address as Winsock has it.
type sockaddr struct {
	winsock.Sockaddr
}

func (sa *sockaddr) encode(a Addr) error {
	switch a.Family() {
	case AF_INET, AF_INET6:
		scope, err := scopeOf(a.ip.Zone())
		if err != nil {
			return err
		}
		sa.SetInet(a.AddrPort(), scope)
		return nil
	case AF_UNIX:
		if a.IsAbstract() {
			return invalid(syscall.EAFNOSUPPORT, "abstract Unix sockets exist on Linux only")
		}
		return errnoOrNil(sa.SetUnix(a.path))
	}
	return syscall.EAFNOSUPPORT
}

func (sa *sockaddr) decode() (Addr, error) {
	switch sa.Family() {
	case AF_UNSPEC:
		return Addr{}, nil
	case AF_INET:
		ap, _ := sa.Inet()
		return InetAddr(ap), nil
	case AF_INET6:
		ap, scope := sa.Inet()
		if scope != 0 {
			ap = netip.AddrPortFrom(ap.Addr().WithZone(zoneOf(scope)), ap.Port())
		}
		return InetAddr(ap), nil
	case AF_UNIX:
		if path := sa.Unix(); path != "" {
			return fileAddr(path), nil
		}
		return UnixAddr(""), nil
	}
	return Addr{}, syscall.EAFNOSUPPORT
}

// unspecified is the address of a socket of the family that has none.
func unspecified(family int) Addr {
	switch family {
	case AF_INET:
		return InetAddr(netip.AddrPortFrom(netip.IPv4Unspecified(), 0))
	case AF_INET6:
		return InetAddr(netip.AddrPortFrom(netip.IPv6Unspecified(), 0))
	case AF_UNIX:
		return UnixAddr("")
	}
	return Addr{}
}
