// Package rawio is the system calls of the event loop's hot path, on non-blocking sockets: nothing here waits, parks or
// allocates, and an errno comes back as it is. One file a platform, the same functions in the same order.
package rawio

import (
	"net/netip"
	"syscall"
)

// A Peer is the address of the other end in the few bytes that very many connections can afford. Its zero value is an
// address of no family, which unnamed Unix sockets have.
type Peer struct {
	ip    [16]byte
	scope uint32
	port  uint16
	bits  uint8 // 32 or 128; 0: not an IP address
}

// PeerOf returns the Peer of an IP address. The zone of a link-local address must be its index.
func PeerOf(ap netip.AddrPort, scope uint32) Peer {
	p := Peer{port: ap.Port(), scope: scope, ip: ap.Addr().As16(), bits: 128}
	if ap.Addr().Is4() {
		p.bits = 32
	}
	return p
}

// AddrPort returns the address, invalid when p is not an IP address, and the index of the interface of a link-local one.
func (p Peer) AddrPort() (netip.AddrPort, uint32) {
	switch p.bits {
	case 32:
		return netip.AddrPortFrom(netip.AddrFrom16(p.ip).Unmap(), p.port), 0
	case 128:
		return netip.AddrPortFrom(netip.AddrFrom16(p.ip), p.port), p.scope
	}
	return netip.AddrPort{}, 0
}

// WouldBlock tells whether errno says that the socket has nothing to read or no room to write now.
func WouldBlock(errno syscall.Errno) bool {
	return errno == syscall.EAGAIN || errno == syscall.EWOULDBLOCK
}

// NoDescriptors tells whether errno says that the process or the system is out of descriptors or of memory for sockets.
func NoDescriptors(errno syscall.Errno) bool {
	return errno == syscall.EMFILE || errno == syscall.ENFILE || errno == syscall.ENOBUFS || errno == syscall.ENOMEM
}
