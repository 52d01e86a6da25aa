package winsock

import (
	"net/netip"
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"
)

// MaxPath is what sun_path holds besides the zero byte that ends it (afunix.h).
const MaxPath = 107

// A Sockaddr is an address as Winsock has it. The zero Sockaddr is none.
type Sockaddr struct {
	raw windows.RawSockaddrAny
	len int32
}

// SetInet makes sa an IPv4 or IPv6 address. The scope is the number of a link-local address's interface.
func (sa *Sockaddr) SetInet(ap netip.AddrPort, scope uint32) {
	if ap.Addr().Is4() {
		in := (*windows.RawSockaddrInet4)(unsafe.Pointer(&sa.raw))
		*in = windows.RawSockaddrInet4{Family: windows.AF_INET, Port: bigEndian(ap.Port()), Addr: ap.Addr().As4()}
		sa.len = int32(unsafe.Sizeof(*in))
		return
	}
	in := (*windows.RawSockaddrInet6)(unsafe.Pointer(&sa.raw))
	*in = windows.RawSockaddrInet6{Family: windows.AF_INET6, Port: bigEndian(ap.Port()), Addr: ap.Addr().As16(), Scope_id: scope}
	sa.len = int32(unsafe.Sizeof(*in))
}

// SetUnix makes sa the path of a socket file, of at most MaxPath bytes. An empty path is the name of a socket without one.
func (sa *Sockaddr) SetUnix(path string) syscall.Errno {
	if len(path) > MaxPath {
		return syscall.ENAMETOOLONG
	}
	un := (*windows.RawSockaddrUnix)(unsafe.Pointer(&sa.raw))
	*un = windows.RawSockaddrUnix{Family: windows.AF_UNIX}
	for i := range len(path) {
		un.Path[i] = int8(path[i])
	}
	sa.len = int32(unsafe.Offsetof(un.Path))
	if path != "" {
		sa.len += int32(len(path)) + 1
	}
	return 0
}

// Family returns AF_INET, AF_INET6, AF_UNIX, or 0 for no address.
func (sa *Sockaddr) Family() int {
	if sa.len < 2 {
		return 0
	}
	return int(sa.raw.Addr.Family)
}

// Inet returns the IP address, invalid if sa is none, and the scope.
func (sa *Sockaddr) Inet() (netip.AddrPort, uint32) {
	switch sa.Family() {
	case windows.AF_INET:
		in := (*windows.RawSockaddrInet4)(unsafe.Pointer(&sa.raw))
		return netip.AddrPortFrom(netip.AddrFrom4(in.Addr), bigEndian(in.Port)), 0
	case windows.AF_INET6:
		in := (*windows.RawSockaddrInet6)(unsafe.Pointer(&sa.raw))
		return netip.AddrPortFrom(netip.AddrFrom16(in.Addr), bigEndian(in.Port)), in.Scope_id
	}
	return netip.AddrPort{}, 0
}

// Unix returns the path of a socket file, "" if there is none.
func (sa *Sockaddr) Unix() string {
	if sa.Family() != windows.AF_UNIX {
		return ""
	}
	un := (*windows.RawSockaddrUnix)(unsafe.Pointer(&sa.raw))
	var path []byte
	for _, c := range un.Path[:max(0, min(int(sa.len)-int(unsafe.Offsetof(un.Path)), len(un.Path)))] {
		if c == 0 {
			break
		}
		path = append(path, byte(c))
	}
	return string(path)
}

// bigEndian turns a port from or into the network's byte order; every Windows is little-endian.
func bigEndian(port uint16) uint16 { return port<<8 | port>>8 }
