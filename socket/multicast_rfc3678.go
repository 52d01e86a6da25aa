//go:build darwin || freebsd || linux || windows

package socket

import (
	"encoding/binary"
	"net/netip"
	"runtime"
	"unsafe"
)

// The calls of RFC 3678, which are the same for both families.

var groupOptions = [...]int{
	joinGroup:     MCAST_JOIN_GROUP,
	leaveGroup:    MCAST_LEAVE_GROUP,
	joinSource:    MCAST_JOIN_SOURCE_GROUP,
	leaveSource:   MCAST_LEAVE_SOURCE_GROUP,
	blockSource:   MCAST_BLOCK_SOURCE,
	unblockSource: MCAST_UNBLOCK_SOURCE,
}

const sizeofStorage = 128 // sockaddr_storage

// storageAt is where the first address stands in group_req and group_source_req, behind the number of the interface.
// macOS packs the structures; Windows aligns an address to 8 bytes; elsewhere it is aligned like a pointer.
func storageAt() int {
	switch runtime.GOOS {
	case "darwin":
		return 4
	case "windows":
		return 8
	}
	return int(unsafe.Sizeof(uintptr(0)))
}

// groupRequest is a group_req, or with a source a group_source_req.
func groupRequest(group, source netip.Addr, index int) []byte {
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
	return b
}

// putStorage writes an address without a port: ip(7), ipv6(7).
func putStorage(b []byte, ip netip.Addr) {
	const sizeofInet4, sizeofInet6 = 16, 28
	family, size, at := AF_INET6, sizeofInet6, 8
	if ip.Is4() {
		family, size, at = AF_INET, sizeofInet4, 4
	}
	if runtime.GOOS == "linux" || runtime.GOOS == "windows" {
		binary.NativeEndian.PutUint16(b, uint16(family))
	} else {
		b[0], b[1] = byte(size), byte(family)
	}
	copy(b[at:], ip.AsSlice())
}
