package socket

import (
	"context"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// Flags of AddrInfo.
const (
	AI_PASSIVE     = 1 << iota // for Bind: an empty host is every address of this machine instead of loopback
	AI_CANONNAME               // ask for the host's proper name
	AI_NUMERICHOST             // the host is a number: look nothing up
	AI_NUMERICSERV             // the service is a number: look nothing up
)

// An AddrInfo is one answer of GetAddrInfo, and says with its first four fields what is asked for: each may be 0 for any.
type AddrInfo struct {
	Flags  int // AI_PASSIVE, …; in the question only
	Family int // AF_INET or AF_INET6
	Type   int // SOCK_STREAM or SOCK_DGRAM
	Proto  int // IPPROTO_TCP or IPPROTO_UDP

	Addr      Addr
	CanonName string // in the first answer, if AI_CANONNAME asked for it
}

// GetAddrInfo returns the addresses of a host and a service, best first (RFC 6724), as getaddrinfo(3) does. The host is
// a name, an IP address, or empty; the service a name ("http"), a port number, or empty. Hints may be nil. There is one
// answer for each address and type of socket: give a Type to see every address once.
func GetAddrInfo(ctx context.Context, host, service string, hints *AddrInfo) ([]AddrInfo, error) {
	if hints == nil {
		hints = &AddrInfo{}
	}
	list, err := hints.resolve(ctx, host, service)
	if err != nil {
		return nil, failed("getaddrinfo", net.JoinHostPort(host, service), err)
	}
	return list, nil
}

func (hints *AddrInfo) resolve(ctx context.Context, host, service string) ([]AddrInfo, error) {
	kinds, err := hints.kinds()
	if err != nil {
		return nil, err
	}
	ips, err := hints.lookupHost(ctx, host)
	if err != nil {
		return nil, err
	}
	var list []AddrInfo
	var portErr error
	for _, ip := range ips {
		for _, k := range kinds {
			port, err := hints.lookupPort(ctx, k.network, service)
			if err != nil {
				portErr = err
				continue
			}
			a := InetAddr(netip.AddrPortFrom(ip, port))
			list = append(list, AddrInfo{Family: a.Family(), Type: k.typ, Proto: k.proto, Addr: a})
		}
	}
	if len(list) == 0 {
		return nil, portErr
	}
	if hints.Flags&AI_CANONNAME != 0 {
		list[0].CanonName = canonical(ctx, host)
	}
	return list, nil
}

func canonical(ctx context.Context, host string) string {
	if _, err := netip.ParseAddr(host); err == nil || host == "" {
		return host
	}
	name, err := net.DefaultResolver.LookupCNAME(ctx, host)
	if err != nil {
		return host
	}
	return strings.TrimSuffix(name, ".")
}

type kind struct {
	network    string
	typ, proto int
}

func (hints *AddrInfo) kinds() (list []kind, err error) {
	for _, k := range []kind{{"tcp", SOCK_STREAM, IPPROTO_TCP}, {"udp", SOCK_DGRAM, IPPROTO_UDP}} {
		if (hints.Type == 0 || hints.Type == k.typ) && (hints.Proto == 0 || hints.Proto == k.proto) {
			list = append(list, k)
		}
	}
	if list == nil {
		return nil, invalid(syscall.EPROTONOSUPPORT, "the type must be SOCK_STREAM or SOCK_DGRAM, with its own protocol")
	}
	return list, nil
}

func (hints *AddrInfo) lookupHost(ctx context.Context, host string) ([]netip.Addr, error) {
	network := "ip"
	switch hints.Family {
	case AF_UNSPEC:
	case AF_INET:
		network = "ip4"
	case AF_INET6:
		network = "ip6"
	default:
		return nil, invalid(syscall.EAFNOSUPPORT, "the family must be AF_INET, AF_INET6 or AF_UNSPEC")
	}
	var ips []netip.Addr
	switch ip, err := netip.ParseAddr(host); {
	case host == "" && hints.Flags&AI_PASSIVE != 0:
		ips = []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()}
	case host == "":
		ips = []netip.Addr{netip.IPv6Loopback(), netip.AddrFrom4([4]byte{127, 0, 0, 1})}
	case err == nil:
		ips = []netip.Addr{ip}
	case hints.Flags&AI_NUMERICHOST != 0:
		return nil, invalid(syscall.EINVAL, quote(host)+" is not an IP address")
	default:
		ips, err = net.DefaultResolver.LookupNetIP(ctx, network, host)
		if err != nil {
			return nil, err
		}
		for i := range ips {
			ips[i] = ips[i].Unmap()
		}
	}
	var fit []netip.Addr
	for _, ip := range ips {
		if network == "ip" || ip.Is4() == (network == "ip4") {
			fit = append(fit, ip)
		}
	}
	if fit == nil {
		return nil, invalid(syscall.EAFNOSUPPORT, "no "+familyName(hints.Family)+" address")
	}
	return fit, nil
}

func (hints *AddrInfo) lookupPort(ctx context.Context, network, service string) (uint16, error) {
	switch {
	case service == "":
		return 0, nil
	case decimal(service):
		n, err := strconv.ParseUint(service, 10, 16)
		if err != nil {
			return 0, invalid(syscall.EINVAL, "port "+service+" is over 65535")
		}
		return uint16(n), nil
	case hints.Flags&AI_NUMERICSERV != 0:
		return 0, invalid(syscall.EINVAL, "port "+quote(service)+" is not a number")
	}
	n, err := net.DefaultResolver.LookupPort(ctx, network, service)
	return uint16(n), err
}

// GetHostName returns the name that this machine gives itself: gethostname(2).
func GetHostName() (string, error) {
	name, err := os.Hostname()
	return name, failed("gethostname", "", err)
}
