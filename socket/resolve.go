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
	AI_V4MAPPED                // with AF_INET6: a host without IPv6 addresses has its IPv4 ones as ::ffff:1.2.3.4
	AI_ALL                     // with AI_V4MAPPED: a host with IPv6 addresses has its IPv4 ones too
	AI_ADDRCONFIG              // only families of which this machine has an address other than loopback

	knownFlags = 1<<iota - 1
)

// An AddrInfo is a result of GetAddrInfo. As its hints, the first four fields choose the results; 0 means any.
type AddrInfo struct {
	Flags  int // AI_PASSIVE, …; in the question only
	Family int // AF_INET or AF_INET6
	Type   int // SOCK_STREAM, SOCK_DGRAM, SOCK_RAW or SOCK_SEQPACKET
	Proto  int // IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP, …

	Addr      Addr
	CanonName string // in the first answer, if AI_CANONNAME asked for it
}

// GetAddrInfo returns the addresses of a host and a service, the best one first (RFC 6724), as getaddrinfo(3) does.
// The host is a name, an IP address (also in a form that only InetAton reads, such as "127.1"), or empty. The service
// is a name ("http"), a port number, or empty. At least one of them must be given. hints may be nil.
//
// The result has one entry for each address and socket type. Set hints.Type to get each address once. Without Type
// and Proto the types are those of TCP, UDP and raw sockets; for a service name, those that have this service. Raw
// sockets have no service.
//
// The error wraps an EAI, and a *net.DNSError if a name server was asked.
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
	if err := hints.check(host, service); err != nil {
		return nil, err
	}
	ports, err := hints.lookupPorts(ctx, service)
	if err != nil {
		return nil, err
	}
	ips, err := hints.lookupHost(ctx, host)
	if err != nil {
		return nil, err
	}
	var list []AddrInfo
	for _, ip := range ips {
		for _, p := range ports {
			a := InetAddr(netip.AddrPortFrom(ip, p.port))
			list = append(list, AddrInfo{Family: a.Family(), Type: p.typ, Proto: p.proto, Addr: a})
		}
	}
	if hints.Flags&AI_CANONNAME != 0 {
		list[0].CanonName = canonical(ctx, host)
	}
	return list, nil
}

func (hints *AddrInfo) check(host, service string) error {
	wrong := func(code EAI, errno syscall.Errno, why string) error {
		return &lookupError{code, invalid(errno, why)}
	}
	switch {
	case hints.Flags&^knownFlags != 0:
		return wrong(EAI_BADFLAGS, syscall.EINVAL, "a flag that is not one of AI_…")
	case host == "" && hints.Flags&AI_CANONNAME != 0:
		return wrong(EAI_BADFLAGS, syscall.EINVAL, "AI_CANONNAME without a host")
	case host == "" && service == "":
		return wrong(EAI_NONAME, syscall.EINVAL, "neither a host nor a service")
	}
	switch hints.Family {
	case AF_UNSPEC, AF_INET, AF_INET6:
		return nil
	}
	return wrong(EAI_FAMILY, syscall.EAFNOSUPPORT, "the family must be AF_INET, AF_INET6 or AF_UNSPEC")
}

func canonical(ctx context.Context, host string) string {
	if _, _, ok := numericHost(host); ok {
		return host
	}
	name, err := net.DefaultResolver.LookupCNAME(ctx, host)
	if err != nil {
		return host
	}
	return strings.TrimSuffix(name, ".")
}

// A kind is one that a socket may be of.
type kind struct {
	name       string // of its protocol in services(5)
	typ, proto int
	usual      bool // an answer when none is asked for
}

// kinds are in the order of the GNU C library.
var kinds = []kind{
	{"tcp", SOCK_STREAM, IPPROTO_TCP, true},
	{"udp", SOCK_DGRAM, IPPROTO_UDP, true},
	{"dccp", 6, IPPROTO_DCCP, false}, // SOCK_DCCP, which Linux alone has
	{"udplite", SOCK_DGRAM, IPPROTO_UDPLITE, false},
	{"sctp", SOCK_STREAM, IPPROTO_SCTP, false},
	{"sctp", SOCK_SEQPACKET, IPPROTO_SCTP, false},
	{raw, SOCK_RAW, 0, true}, // of every protocol
}

const raw = "raw"

// kind returns what is asked for: any is true when nothing is.
func (hints *AddrInfo) kind() (k kind, any bool, err error) {
	if hints.Type == 0 && hints.Proto == 0 {
		return kind{}, true, nil
	}
	for _, k := range kinds {
		if hints.Type != 0 && hints.Type != k.typ || hints.Proto != 0 && hints.Proto != k.proto && k.name != raw {
			continue
		}
		if k.name == raw {
			k.proto = hints.Proto
		}
		return k, false, nil
	}
	return kind{}, false, &lookupError{EAI_SOCKTYPE, invalid(syscall.EPROTONOSUPPORT,
		"the type must be SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET or SOCK_RAW, each with its own protocol")}
}

// A kindPort is a kind of socket and the port of the service there.
type kindPort struct {
	kind
	port uint16
}

func (hints *AddrInfo) lookupPorts(ctx context.Context, service string) (list []kindPort, err error) {
	k, any, err := hints.kind()
	if err != nil {
		return nil, err
	}
	if !any {
		if k.name == raw && service != "" {
			return nil, &lookupError{EAI_SERVICE, invalid(syscall.EINVAL, "a raw socket has no service")}
		}
		port, err := hints.lookupPort(ctx, k.name, service)
		return []kindPort{{k, port}}, err
	}
	named := service != "" && !decimal(service)
	for _, k := range kinds {
		if named && k.name == raw || !named && !k.usual {
			continue
		}
		port, portErr := hints.lookupPort(ctx, k.name, service)
		if portErr == nil {
			list = append(list, kindPort{k, port})
		} else if err == nil {
			err = portErr
		}
	}
	if list == nil {
		return nil, err
	}
	return list, nil
}

// lookupPort finds the port of a service of a protocol.
func (hints *AddrInfo) lookupPort(ctx context.Context, protocol, service string) (uint16, error) {
	switch {
	case service == "":
		return 0, nil
	case decimal(service):
		n, err := strconv.ParseUint(service, 10, 16)
		if err != nil {
			return 0, &lookupError{EAI_SERVICE, invalid(syscall.EINVAL, "port "+service+" is over 65535")}
		}
		return uint16(n), nil
	case hints.Flags&AI_NUMERICSERV != 0:
		return 0, &lookupError{EAI_NONAME, invalid(syscall.EINVAL, "port "+quote(service)+" is not a number")}
	}
	return servicePort(ctx, service, protocol)
}

// numericHost reads a host that is an IP address.
func numericHost(host string) (ip netip.Addr, err error, ok bool) {
	if ip, err := netip.ParseAddr(host); err == nil {
		if _, err := scopeOf(ip.Zone()); err != nil {
			return netip.Addr{}, &lookupError{EAI_NONAME, err}, true
		}
		return ip, nil, true
	}
	ip, ok = parseAton(host)
	return ip, nil, ok
}

func (hints *AddrInfo) lookupHost(ctx context.Context, host string) ([]netip.Addr, error) {
	family, err := hints.configured()
	if err != nil {
		return nil, err
	}
	mapped := family == AF_INET6 && hints.Flags&AI_V4MAPPED != 0
	network := "ip"
	switch {
	case family == AF_INET:
		network = "ip4"
	case family == AF_INET6 && !mapped:
		network = "ip6"
	}
	var ips []netip.Addr
	numeric, err, ok := numericHost(host)
	switch {
	case host == "" && hints.Flags&AI_PASSIVE != 0:
		ips = []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()}
	case host == "":
		ips = []netip.Addr{netip.IPv6Loopback(), netip.AddrFrom4([4]byte{127, 0, 0, 1})}
	case err != nil:
		return nil, err
	case ok && family == AF_INET && numeric.Is4In6():
		ips = []netip.Addr{numeric.Unmap()}
	case ok:
		ips = []netip.Addr{numeric}
	case hints.Flags&AI_NUMERICHOST != 0:
		return nil, &lookupError{EAI_NONAME, invalid(syscall.EINVAL, quote(host)+" is not an IP address")}
	default:
		ips, err = net.DefaultResolver.LookupNetIP(ctx, network, host)
		if err != nil {
			return nil, withCode(err)
		}
		for i := range ips {
			ips[i] = ips[i].Unmap()
		}
	}
	if fit := ofFamily(ips, family, mapped, hints.Flags&AI_ALL != 0); fit != nil {
		return fit, nil
	}
	code := EAI_NONAME
	if ok {
		code = EAI_ADDRFAMILY
	}
	return nil, &lookupError{code, invalid(syscall.EAFNOSUPPORT, "no "+familyName(family)+" address")}
}

// ofFamily picks addresses of the family, or all for AF_UNSPEC; with mapped, IPv4 ones in their IPv6 form where there are
// no others, or as well.
func ofFamily(ips []netip.Addr, family int, mapped, all bool) (fit []netip.Addr) {
	var v4 []netip.Addr
	for _, ip := range ips {
		switch {
		case family == AF_UNSPEC || ip.Is4() == (family == AF_INET):
			fit = append(fit, ip)
		case mapped:
			v4 = append(v4, netip.AddrFrom16(ip.As16()))
		}
	}
	if fit == nil || all {
		fit = append(fit, v4...)
	}
	return fit
}

// configured is the family to look up, after AI_ADDRCONFIG has been heard: it decides between the two families where this
// machine has one of them alone.
func (hints *AddrInfo) configured() (family int, err error) {
	if hints.Flags&AI_ADDRCONFIG == 0 {
		return hints.Family, nil
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return 0, &lookupError{EAI_SYSTEM, err}
	}
	var has4, has6 bool
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok {
			has4 = has4 || n.IP.To4() != nil && !n.IP.Equal(net.IPv4(127, 0, 0, 1))
			has6 = has6 || n.IP.To4() == nil && !n.IP.IsLoopback()
		}
	}
	switch {
	case hints.Family == AF_INET && !has4, hints.Family == AF_INET6 && !has6:
		return 0, &lookupError{EAI_NONAME, invalid(syscall.EAFNOSUPPORT,
			"this machine has no "+familyName(hints.Family)+" address but loopback")}
	case hints.Family != AF_UNSPEC || has4 == has6:
		return hints.Family, nil
	case has4:
		return AF_INET, nil
	}
	return AF_INET6, nil
}

// GetHostName returns the name of this machine: gethostname(2).
func GetHostName() (string, error) {
	name, err := os.Hostname()
	return name, failed("gethostname", "", err)
}
