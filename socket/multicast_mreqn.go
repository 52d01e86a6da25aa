//go:build darwin || freebsd || linux

package socket

import (
	"net/netip"

	"golang.org/x/sys/unix"
)

// Multicast where the system names every interface by its number.

func sysChangeGroup(fd int, change groupChange, group, source netip.Addr, index int) error {
	level := IPPROTO_IPV6
	if group.Is4() {
		level = IPPROTO_IP
	}
	return sysSetOptionBytes(fd, level, groupOptions[change], groupRequest(group, source, index))
}

func sysMulticastInterface(fd, family, index int) error {
	if family == AF_INET {
		return unix.SetsockoptIPMreqn(fd, IPPROTO_IP, IP_MULTICAST_IF, &unix.IPMreqn{Ifindex: int32(index)})
	}
	return unix.SetsockoptInt(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, index)
}
