package socket

import (
	"encoding/binary"
	"net/netip"
	"syscall"
)

// Htons converts a 16-bit number from host to network byte order. Go programs rarely need it: addresses hold their
// port in host byte order, and binary.BigEndian.PutUint16 and AppendUint16 write a number to a message directly.
func Htons(v uint16) uint16 {
	var b [2]byte
	binary.BigEndian.PutUint16(b[:], v)
	return binary.NativeEndian.Uint16(b[:])
}

// Htonl converts a 32-bit number from host to network byte order. See Htons.
func Htonl(v uint32) uint32 {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], v)
	return binary.NativeEndian.Uint32(b[:])
}

// Ntohs converts a 16-bit number from network to host byte order. To read a number from a message use
// binary.BigEndian.Uint16.
func Ntohs(v uint16) uint16 { return Htons(v) }

// Ntohl converts a 32-bit number from network to host byte order. See Ntohs.
func Ntohl(v uint32) uint32 { return Htonl(v) }

// InetPton converts the text of an IP address to its 4 bytes (AF_INET) or 16 bytes (AF_INET6) in network byte order:
// inet_pton(3). netip.ParseAddr is the usual way in Go.
func InetPton(family int, text string) ([]byte, error) {
	if family != AF_INET && family != AF_INET6 {
		return nil, failed("inet_pton", text, invalid(syscall.EAFNOSUPPORT, "the family must be AF_INET or AF_INET6"))
	}
	ip, err := netip.ParseAddr(text)
	if err != nil || ip.Zone() != "" || ip.Is4() != (family == AF_INET) {
		return nil, failed("inet_pton", text, invalid(syscall.EINVAL, "not an "+familyName(family)+" address"))
	}
	return ip.AsSlice(), nil
}

// InetNtop converts the 4 bytes (AF_INET) or 16 bytes (AF_INET6) of an IP address to text: inet_ntop(3).
func InetNtop(family int, packed []byte) (string, error) {
	size := 0
	switch family {
	case AF_INET:
		size = 4
	case AF_INET6:
		size = 16
	default:
		return "", failed("inet_ntop", "", invalid(syscall.EAFNOSUPPORT, "the family must be AF_INET or AF_INET6"))
	}
	ip, ok := netip.AddrFromSlice(packed)
	if !ok || len(packed) != size {
		return "", failed("inet_ntop", "", invalid(syscall.EINVAL, "not the bytes of an "+familyName(family)+" address"))
	}
	if family == AF_INET6 && isV4Compatible([16]byte(packed)) {
		v4 := netip.AddrFrom4([4]byte(packed[12:]))
		return "::" + v4.String(), nil
	}
	return ip.String(), nil
}

// isV4Compatible reports whether 96 zero bits stand before an IPv4 address (RFC 4291, section 2.5.5.1). Like
// inet_ntop(3) it does not count an IPv6 address for one that ends in a single group, such as ::1.
func isV4Compatible(ip [16]byte) bool {
	return [12]byte(ip[:12]) == [12]byte{} && ip[12]|ip[13] != 0
}
