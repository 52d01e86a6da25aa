//go:build darwin || freebsd || linux

package socket

import (
	"encoding/binary"
	"net/netip"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Multicast where the system has the calls of RFC 3678, which are the same for both families.

var groupOptions = [...]int{
	joinGroup:     unix.MCAST_JOIN_GROUP,
	leaveGroup:    unix.MCAST_LEAVE_GROUP,
	joinSource:    unix.MCAST_JOIN_SOURCE_GROUP,
	leaveSource:   unix.MCAST_LEAVE_SOURCE_GROUP,
	blockSource:   unix.MCAST_BLOCK_SOURCE,
	unblockSource: unix.MCAST_UNBLOCK_SOURCE,
}

const sizeofStorage = 128 // sockaddr_storage

// storageAt is where the first address stands in group_req and group_source_req, behind the number of the interface.
// macOS packs the structures; elsewhere an address is aligned like a pointer.
func storageAt() int {
	if runtime.GOOS == "darwin" {
		return 4
	}
	return int(unsafe.Sizeof(uintptr(0)))
}

func sysChangeGroup(fd int, change groupChange, group, source netip.Addr, index int) error {
	at := storageAt()
	size := at + sizeofStorage
	if source.IsValid() {
		size += sizeofStorage
	}
	b := make([]byte, size)
	binary.NativeEndian.PutUint32(b, uint32(index))
	putStorage(b[at:], group)
	if source.IsValid() {
		putStorage(b[at+sizeofStorage:], source)
	}
	level := IPPROTO_IPV6
	if group.Is4() {
		level = IPPROTO_IP
	}
	return sysSetOptionBytes(fd, level, groupOptions[change], b)
}

// putStorage writes an address without a port: ip(7), ipv6(7).
func putStorage(b []byte, ip netip.Addr) {
	family, size, at := AF_INET6, unix.SizeofSockaddrInet6, 8
	if ip.Is4() {
		family, size, at = AF_INET, unix.SizeofSockaddrInet4, 4
	}
	if runtime.GOOS == "linux" {
		binary.NativeEndian.PutUint16(b, uint16(family))
	} else {
		b[0], b[1] = byte(size), byte(family)
	}
	copy(b[at:], ip.AsSlice())
}

func sysMulticastInterface(fd, family, index int) error {
	if family == AF_INET {
		return unix.SetsockoptIPMreqn(fd, IPPROTO_IP, IP_MULTICAST_IF, &unix.IPMreqn{Ifindex: int32(index)})
	}
	return unix.SetsockoptInt(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, index)
}
