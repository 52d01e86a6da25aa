package socket

import (
	"encoding/binary"
	"fmt"
	"net"

	"golang.org/x/sys/unix"
)

// Addresses of the families that Linux alone has here. An Addr keeps what stands behind the family in the kernel's
// structure, in the kernel's byte order.

const familySize = 2

// otherFamily returns the name of a family that is neither of IP nor AF_UNIX; "" for one that is not known.
func otherFamily(family int) string {
	switch family {
	case AF_VSOCK:
		return "AF_VSOCK"
	case AF_NETLINK:
		return "AF_NETLINK"
	case AF_PACKET:
		return "AF_PACKET"
	}
	return ""
}

func (a Addr) otherString() string {
	if cid, port, ok := a.Vsock(); ok {
		return fmt.Sprintf("vsock:%d:%d", cid, port)
	}
	if pid, groups, ok := a.Netlink(); ok {
		return fmt.Sprintf("netlink:%d:%d", pid, groups)
	}
	if p, ok := a.Packet(); ok {
		text := fmt.Sprintf("packet:%s:%#04x", zoneOf(uint32(p.Interface)), p.Protocol)
		if len(p.HardwareAddr) > 0 {
			text += " " + p.HardwareAddr.String()
		}
		return text
	}
	return ""
}

// otherAddr is the address whose structure has the size. put writes it, and leaves its family out.
func otherAddr(family, size int, put func(b []byte)) Addr {
	b := make([]byte, size)
	put(b)
	return Addr{family: uint16(family), path: string(b[familySize:])}
}

// decodeOther reads what the kernel wrote. getsockname(2) leaves the end of a packet's structure out, which is put back
// so that addresses compare.
func decodeOther(family int, b []byte) Addr {
	size := len(b)
	if family == AF_PACKET {
		size = max(size, unix.SizeofSockaddrLinklayer)
	}
	return otherAddr(family, size, func(whole []byte) { copy(whole, b) })
}

// structure returns the kernel's structure, with the family left out, when the address is of the family and complete.
func (a Addr) structure(family, size int) ([]byte, bool) {
	if a.Family() != family || familySize+len(a.path) < size {
		return nil, false
	}
	return append(make([]byte, familySize), a.path...), true
}

// VsockAddr returns the address of a port of a virtual machine or its host: vsock(7). cid may be VMADDR_CID_ANY,
// VMADDR_CID_HOST or VMADDR_CID_LOCAL, and port VMADDR_PORT_ANY.
func VsockAddr(cid, port uint32) Addr {
	return otherAddr(AF_VSOCK, unix.SizeofSockaddrVM, func(b []byte) {
		binary.NativeEndian.PutUint32(b[4:], port)
		binary.NativeEndian.PutUint32(b[8:], cid)
	})
}

// Vsock returns the arguments of VsockAddr. ok is false for an address of another family.
func (a Addr) Vsock() (cid, port uint32, ok bool) {
	b, ok := a.structure(AF_VSOCK, unix.SizeofSockaddrVM)
	if !ok {
		return 0, 0, false
	}
	return binary.NativeEndian.Uint32(b[8:]), binary.NativeEndian.Uint32(b[4:]), true
}

// NetlinkAddr returns an address of netlink(7). pid 0 is the kernel, or for Bind lets the kernel choose. Each bit of
// groups is a multicast group.
func NetlinkAddr(pid, groups uint32) Addr {
	return otherAddr(AF_NETLINK, unix.SizeofSockaddrNetlink, func(b []byte) {
		binary.NativeEndian.PutUint32(b[4:], pid)
		binary.NativeEndian.PutUint32(b[8:], groups)
	})
}

// Netlink returns the arguments of NetlinkAddr. ok is false for an address of another family.
func (a Addr) Netlink() (pid, groups uint32, ok bool) {
	b, ok := a.structure(AF_NETLINK, unix.SizeofSockaddrNetlink)
	if !ok {
		return 0, 0, false
	}
	return binary.NativeEndian.Uint32(b[4:]), binary.NativeEndian.Uint32(b[8:]), true
}

// A Packet is the address of a packet on an interface: sockaddr_ll of packet(7).
type Packet struct {
	Interface    int    // its index: IfNameToIndex. To bind, 0 is every interface
	Protocol     uint16 // of the packet, in host byte order: ETH_P_IP, ETH_P_ALL, …
	HardwareType uint16 // of the interface (ARPHRD_…); received only
	Type         uint8  // PACKET_HOST, PACKET_OUTGOING, …; received only
	HardwareAddr net.HardwareAddr
}

// PacketAddr returns the address of packets on an interface: packet(7). Sending on an AF_PACKET socket of type
// SOCK_DGRAM needs the hardware address, of at most 8 bytes.
func PacketAddr(p Packet) Addr {
	return otherAddr(AF_PACKET, unix.SizeofSockaddrLinklayer, func(b []byte) {
		binary.BigEndian.PutUint16(b[2:], p.Protocol)
		binary.NativeEndian.PutUint32(b[4:], uint32(p.Interface))
		binary.NativeEndian.PutUint16(b[8:], p.HardwareType)
		b[10] = p.Type
		b[11] = byte(copy(b[12:], p.HardwareAddr))
	})
}

// Packet returns the argument of PacketAddr. ok is false for an address of another family.
func (a Addr) Packet() (p Packet, ok bool) {
	b, ok := a.structure(AF_PACKET, unix.SizeofSockaddrLinklayer)
	if !ok {
		return Packet{}, false
	}
	return Packet{
		Protocol:     binary.BigEndian.Uint16(b[2:]),
		Interface:    int(int32(binary.NativeEndian.Uint32(b[4:]))),
		HardwareType: binary.NativeEndian.Uint16(b[8:]),
		Type:         b[10],
		HardwareAddr: b[12:min(12+int(b[11]), len(b))],
	}, true
}
