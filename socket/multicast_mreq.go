//go:build dragonfly || netbsd || openbsd

package socket

import (
	"net"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Multicast where the system has the first calls alone: an interface is named by one of its addresses for IPv4, and by
// its number for IPv6. There is no choice of sources.

func sysChangeGroup(fd int, change groupChange, group, source netip.Addr, index int) error {
	if source.IsValid() {
		return unsupported()
	}
	if group.Is4() {
		option := IP_ADD_MEMBERSHIP
		if change == leaveGroup {
			option = IP_DROP_MEMBERSHIP
		}
		own, err := addressOf(index)
		if err != nil {
			return err
		}
		return unix.SetsockoptIPMreq(fd, IPPROTO_IP, option, &unix.IPMreq{Multiaddr: group.As4(), Interface: own})
	}
	option := IPV6_JOIN_GROUP
	if change == leaveGroup {
		option = IPV6_LEAVE_GROUP
	}
	return unix.SetsockoptIPv6Mreq(fd, IPPROTO_IPV6, option, &unix.IPv6Mreq{Multiaddr: group.As16(), Interface: uint32(index)})
}

func sysMulticastInterface(fd, family, index int) error {
	if family == AF_INET {
		own, err := addressOf(index)
		if err != nil {
			return err
		}
		return unix.SetsockoptInet4Addr(fd, IPPROTO_IP, IP_MULTICAST_IF, own)
	}
	return unix.SetsockoptInt(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, index)
}

// addressOf returns an IPv4 address of the interface with the index; 0.0.0.0 for none.
func addressOf(index int) (own [4]byte, err error) {
	if index == 0 {
		return own, nil
	}
	i, err := net.InterfaceByIndex(index)
	if err != nil {
		return own, errNoInterface
	}
	addrs, err := i.Addrs()
	if err != nil {
		return own, err
	}
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil {
			return [4]byte(n.IP.To4()), nil
		}
	}
	return own, unix.EADDRNOTAVAIL
}
