package socket

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// Flags of GetNameInfo.
const (
	NI_NUMERICHOST = 1 << iota // the host's number: look nothing up
	NI_NUMERICSERV             // the port's number: look nothing up
	NI_NOFQDN                  // of a host in this machine's own domain only the first part
	NI_NAMEREQD                // an error for a host that has no name
	NI_DGRAM                   // the service of UDP, not of TCP
)

// A HostEntry is the result of GetHostByName and GetHostByAddr: hostent of gethostbyname(3).
type HostEntry struct {
	Name    string   // the proper one
	Aliases []string // its other names
	Addrs   []netip.Addr
}

// GetHostByName returns the IPv4 addresses and the names of a host: gethostbyname(3), Python's gethostbyname_ex. For
// an IP address Name is that address. GetAddrInfo also returns IPv6 addresses.
func GetHostByName(ctx context.Context, host string) (HostEntry, error) {
	e, err := hostByName(ctx, host)
	return e, failed("gethostbyname", host, err)
}

func hostByName(ctx context.Context, host string) (HostEntry, error) {
	if ip, err, ok := numericHost(host); ok && (err != nil || ip.Is4()) {
		return HostEntry{Name: host, Addrs: []netip.Addr{ip}}, err
	}
	if e := inHostsFile(func(ip netip.Addr, names []string) bool {
		return ip.Is4() && slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, host) })
	}); e.Name != "" {
		return e, nil
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip4", host)
	if err != nil {
		return HostEntry{}, withCode(err)
	}
	e := HostEntry{Name: canonical(ctx, host)}
	if !strings.EqualFold(e.Name, host) {
		e.Aliases = []string{host}
	}
	for _, ip := range ips {
		e.Addrs = append(e.Addrs, ip.Unmap())
	}
	return e, nil
}

// GetHostByAddr returns the names of the host with an IP address: gethostbyaddr(3). For a host name it looks up the
// first address of that name, as Python does.
func GetHostByAddr(ctx context.Context, host string) (HostEntry, error) {
	e, err := hostByAddr(ctx, host)
	return e, failed("gethostbyaddr", host, err)
}

func hostByAddr(ctx context.Context, host string) (HostEntry, error) {
	list, err := (&AddrInfo{Type: SOCK_STREAM}).resolve(ctx, host, "")
	if err != nil {
		return HostEntry{}, err
	}
	ip := list[0].Addr.ip
	if e := inHostsFile(func(line netip.Addr, names []string) bool { return line == ip }); e.Name != "" {
		e.Addrs = e.Addrs[:1]
		return e, nil
	}
	names, err := net.DefaultResolver.LookupAddr(ctx, ip.String())
	if err != nil {
		return HostEntry{}, withCode(err)
	}
	if len(names) == 0 {
		return HostEntry{}, &lookupError{EAI_NONAME, invalid(syscall.ENOENT, "the host has no name")}
	}
	for i := range names {
		names[i] = strings.TrimSuffix(names[i], ".")
	}
	return HostEntry{names[0], names[1:], []netip.Addr{ip}}, nil
}

// inHostsFile is what the hosts file says of the host that fits: the names of its first line, and the addresses of all.
func inHostsFile(fits func(ip netip.Addr, names []string) bool) (e HostEntry) {
	eachLine(systemFile("hosts"), func(fields []string) bool {
		ip, err := netip.ParseAddr(fields[0])
		if err != nil || len(fields) < 2 || !fits(ip, fields[1:]) {
			return true
		}
		if e.Name == "" {
			e.Name, e.Aliases = fields[1], fields[2:]
		}
		if !slices.Contains(e.Addrs, ip) {
			e.Addrs = append(e.Addrs, ip)
		}
		return true
	})
	return e
}

// GetFQDN returns the fully qualified name of a host, as Python's getfqdn does: the first of its names that has a
// dot. An empty host is this machine. If no such name is found, it returns host.
func GetFQDN(ctx context.Context, host string) string {
	host = strings.TrimSpace(host)
	if host == "" || host == "0.0.0.0" || host == "::" {
		name, err := GetHostName()
		if err != nil {
			return host
		}
		host = name
	}
	e, err := hostByAddr(ctx, host)
	if err != nil {
		return host
	}
	for _, name := range append([]string{e.Name}, e.Aliases...) {
		if strings.Contains(name, ".") {
			return name
		}
	}
	return e.Name
}

// GetNameInfo returns the name of the host at an IP address, and the name of the service at its port: getnameinfo(3).
// What has no name is returned as a number.
func GetNameInfo(ctx context.Context, a Addr, flags int) (host, service string, err error) {
	if !a.ip.IsValid() {
		return "", "", failed("getnameinfo", a.String(),
			&lookupError{EAI_FAMILY, invalid(syscall.EAFNOSUPPORT, "only an IP address has a host and a service")})
	}
	service = strconv.Itoa(a.Port())
	protocol := "tcp"
	if flags&NI_DGRAM != 0 {
		protocol = "udp"
	}
	if flags&NI_NUMERICSERV == 0 {
		if name, err := GetServByPort(a.Port(), protocol); err == nil {
			service = name
		}
	}
	if flags&NI_NUMERICHOST == 0 {
		e, err := hostByAddr(ctx, a.ip.String())
		if err == nil {
			return inOwnDomain(e.Name, flags), service, nil
		}
		// A name server that did not answer does not say that the host has no name.
		if flags&NI_NAMEREQD != 0 || errors.Is(err, EAI_AGAIN) {
			return "", "", failed("getnameinfo", a.String(), err)
		}
	} else if flags&NI_NAMEREQD != 0 {
		return "", "", failed("getnameinfo", a.String(),
			&lookupError{EAI_NONAME, invalid(syscall.EINVAL, "NI_NAMEREQD with NI_NUMERICHOST")})
	}
	return a.ip.String(), service, nil
}

// inOwnDomain does what NI_NOFQDN asks for.
func inOwnDomain(name string, flags int) string {
	own, err := GetHostName()
	if _, domain, ok := strings.Cut(own, "."); flags&NI_NOFQDN != 0 && err == nil && ok {
		return strings.TrimSuffix(name, "."+domain)
	}
	return name
}
