//go:build dragonfly || netbsd || openbsd || windows

package socket

import (
	"encoding/binary"
	"net/netip"
)

// Multicast by the first calls: an interface is named by one of its addresses for IPv4, and by its number for IPv6.
// Windows has the calls of RFC 3678 too, and takes a number for IPv4; Wine does neither.

func sysChangeGroup(fd int, change groupChange, group, source netip.Addr, index int) error {
	if source.IsValid() {
		return sysChangeSource(fd, change, group, source, index)
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
		return sysSetOptionBytes(fd, IPPROTO_IP, option, append(group.AsSlice(), own[:]...)) // ip_mreq
	}
	option := IPV6_JOIN_GROUP
	if change == leaveGroup {
		option = IPV6_LEAVE_GROUP
	}
	mreq := binary.NativeEndian.AppendUint32(group.AsSlice(), uint32(index)) // ipv6_mreq
	return sysSetOptionBytes(fd, IPPROTO_IPV6, option, mreq)
}

func sysMulticastInterface(fd, family, index int) error {
	if family == AF_INET {
		own, err := addressOf(index)
		if err != nil {
			return err
		}
		return sysSetOptionBytes(fd, IPPROTO_IP, IP_MULTICAST_IF, own[:])
	}
	return sysSetOption(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, index)
}
