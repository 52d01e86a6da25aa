package socket

import (
	"encoding/binary"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxPath is what sun_path holds besides the zero byte, which ends a path and begins an abstract name.
const maxPath = 107

// Where the fields of the address structures are: ip(7), ipv6(7), unix(7).
const (
	portAt  = 2
	ip4At   = 4
	flowAt  = 4
	ip6At   = 8
	scopeAt = 24
	pathAt  = 2
)

func (sa *sockaddr) family() int {
	if sa.len < 2 {
		return AF_UNSPEC
	}
	return int(binary.NativeEndian.Uint16(sa.raw[:]))
}

// encode writes a, which must fit (see Addr.unfit).
func (sa *sockaddr) encode(a Addr) error {
	b := sa.raw[:]
	binary.NativeEndian.PutUint16(b, a.family)
	switch a.family {
	case AF_INET:
		sa.len = unix.SizeofSockaddrInet4
		binary.BigEndian.PutUint16(b[portAt:], a.port)
		ip := a.ip.As4()
		copy(b[ip4At:], ip[:])
		clear(b[ip4At+4 : sa.len])
	case AF_INET6:
		scope, err := scopeOf(a.ip.Zone())
		if err != nil {
			return err
		}
		sa.len = unix.SizeofSockaddrInet6
		binary.BigEndian.PutUint16(b[portAt:], a.port)
		binary.BigEndian.PutUint32(b[flowAt:], a.flow)
		ip := a.ip.As16()
		copy(b[ip6At:], ip[:])
		binary.NativeEndian.PutUint32(b[scopeAt:], scope)
	case AF_UNIX:
		n := copy(b[pathAt:len(b)-1], a.sunPath())
		sa.len = uint32(pathAt + n)
		if a.IsAbstract() {
			b[pathAt] = 0
		} else if n > 0 {
			b[pathAt+n] = 0
			sa.len++
		}
	default:
		if otherFamily(a.Family()) == "" {
			return syscall.EAFNOSUPPORT
		}
		sa.len = uint32(familySize + copy(b[familySize:], a.path))
	}
	return nil
}

// decode reads what the kernel wrote. A kernel that has no address to give writes no bytes: that is the zero Addr.
func (sa *sockaddr) decode() (Addr, error) {
	b := sa.raw[:min(int(sa.len), len(sa.raw))]
	if len(b) == 0 {
		return Addr{}, nil
	}
	switch sa.family() {
	case AF_INET:
		if len(b) >= unix.SizeofSockaddrInet4 {
			ip := netip.AddrFrom4([4]byte(b[ip4At:]))
			return Addr{family: AF_INET, ip: ip, port: binary.BigEndian.Uint16(b[portAt:])}, nil
		}
	case AF_INET6:
		if len(b) >= unix.SizeofSockaddrInet6 {
			ip := netip.AddrFrom16([16]byte(b[ip6At:]))
			if scope := binary.NativeEndian.Uint32(b[scopeAt:]); scope != 0 {
				ip = ip.WithZone(zoneOf(scope))
			}
			return Addr{
				family: AF_INET6, ip: ip, port: binary.BigEndian.Uint16(b[portAt:]),
				flow: binary.BigEndian.Uint32(b[flowAt:]),
			}, nil
		}
	case AF_UNIX:
		return decodePath(b[pathAt:]), nil
	default:
		if otherFamily(sa.family()) == "" {
			return Addr{}, syscall.EAFNOSUPPORT
		}
		return decodeOther(sa.family(), b), nil
	}
	return Addr{}, syscall.EINVAL
}

func decodePath(b []byte) Addr {
	switch {
	case len(b) == 0:
		return UnixAddr("")
	case b[0] == 0:
		return UnixAddr("@" + string(b[1:]))
	}
	for i, c := range b {
		if c == 0 {
			b = b[:i]
			break
		}
	}
	return fileAddr(string(b))
}
