package socket

import (
	"errors"
	"net/netip"
	"slices"
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"
)

var sourceOptions = [...]int{
	joinSource:    IP_ADD_SOURCE_MEMBERSHIP,
	leaveSource:   IP_DROP_SOURCE_MEMBERSHIP,
	blockSource:   IP_BLOCK_SOURCE,
	unblockSource: IP_UNBLOCK_SOURCE,
}

func sysChangeSource(fd int, change groupChange, group, source netip.Addr, index int) error {
	if group.Is6() {
		return sysSetOptionBytes(fd, IPPROTO_IPV6, groupOptions[change], groupRequest(group, source, index))
	}
	own, err := addressOf(index)
	if err != nil {
		return err
	}
	return sysSetOptionBytes(fd, IPPROTO_IP, sourceOptions[change], sourceRequest(group, source, own))
}

// sourceRequest is an ip_mreq_source. Its fields stand in another order than elsewhere: the interface is the last.
func sourceRequest(group, source netip.Addr, own [4]byte) []byte {
	return slices.Concat(group.AsSlice(), source.AsSlice(), own[:])
}

// The options of both families are numbers of 32 bits.

func sysMulticastTTL(fd, family, hops int) error {
	if family == AF_INET {
		return sysSetOption(fd, IPPROTO_IP, IP_MULTICAST_TTL, hops)
	}
	return sysSetOption(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, hops)
}

func sysMulticastLoop(fd, family int, on bool) error {
	if family == AF_INET {
		return sysSetOption(fd, IPPROTO_IP, IP_MULTICAST_LOOP, number(on))
	}
	return sysSetOption(fd, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, number(on))
}

// addressOf returns an IPv4 address of the interface with the index; 0.0.0.0 for none. Package net would ask for the
// prefixes of the addresses as well, for which Wine fails.
func addressOf(index int) (own [4]byte, err error) {
	if index == 0 {
		return own, nil
	}
	const flags = windows.GAA_FLAG_SKIP_ANYCAST | windows.GAA_FLAG_SKIP_MULTICAST | windows.GAA_FLAG_SKIP_DNS_SERVER |
		windows.GAA_FLAG_SKIP_FRIENDLY_NAME
	var buffer []windows.IpAdapterAddresses // the first is an adapter, and what follows belongs to it and to others
	for size := uint32(16 << 10); ; {
		buffer = make([]windows.IpAdapterAddresses, 1+uintptr(size)/unsafe.Sizeof(buffer[0]))
		size = uint32(uintptr(len(buffer)) * unsafe.Sizeof(buffer[0]))
		err := windows.GetAdaptersAddresses(AF_INET, flags, 0, &buffer[0], &size)
		if err == nil {
			break
		}
		if !errors.Is(err, windows.ERROR_BUFFER_OVERFLOW) {
			return own, err
		}
	}
	for a := &buffer[0]; a != nil; a = a.Next {
		if int(a.IfIndex) != index && int(a.Ipv6IfIndex) != index {
			continue
		}
		for u := a.FirstUnicastAddress; u != nil; u = u.Next {
			if ip := u.Address.IP().To4(); ip != nil {
				return [4]byte(ip), nil
			}
		}
		return own, syscall.EADDRNOTAVAIL
	}
	return own, errNoInterface
}
