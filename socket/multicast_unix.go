//go:build unix

package socket

import "golang.org/x/sys/unix"

// The options of IPv4 are one byte: the BSDs take nothing else, and Linux takes it too.

func sysMulticastTTL(fd, family, hops int) error {
	if family == AF_INET {
		return sysSetOptionBytes(fd, IPPROTO_IP, IP_MULTICAST_TTL, []byte{byte(hops)})
	}
	return unix.SetsockoptInt(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, hops)
}

func sysMulticastLoop(fd, family int, on bool) error {
	if family == AF_INET {
		return sysSetOptionBytes(fd, IPPROTO_IP, IP_MULTICAST_LOOP, []byte{byte(number(on))})
	}
	return unix.SetsockoptInt(fd, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, number(on))
}
