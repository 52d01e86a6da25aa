package socket

import (
	"net/netip"
	"strconv"
	"strings"
	"syscall"
)

// InetAton converts the text of an IPv4 address to its 4 bytes: inet_aton(3). It accepts forms that InetPton does
// not: one to four numbers, each decimal, octal (leading 0) or hexadecimal (leading 0x); the last number fills the
// remaining bytes. "127.1" is 127.0.0.1. It ignores text after white space.
func InetAton(text string) ([]byte, error) {
	head := text
	if i := strings.IndexAny(text, " \t\n\v\f\r"); i >= 0 {
		head = text[:i]
	}
	ip, ok := parseAton(head)
	if !ok {
		return nil, failed("inet_aton", text, invalid(syscall.EINVAL, "not an IPv4 address"))
	}
	return ip.AsSlice(), nil
}

// InetNtoa converts the 4 bytes of an IPv4 address to text: inet_ntoa(3). It is InetNtop for AF_INET.
func InetNtoa(packed []byte) (string, error) {
	if len(packed) != 4 {
		return "", failed("inet_ntoa", "", invalid(syscall.EINVAL, "not the bytes of an IPv4 address"))
	}
	return netip.AddrFrom4([4]byte(packed)).String(), nil
}

func parseAton(text string) (netip.Addr, bool) {
	parts := strings.Split(text, ".")
	if len(parts) > 4 {
		return netip.Addr{}, false
	}
	var ip [4]byte
	for i, part := range parts {
		n, ok := parseAtonNumber(part)
		if !ok {
			return netip.Addr{}, false
		}
		if i < len(parts)-1 {
			if n > 255 {
				return netip.Addr{}, false
			}
			ip[i] = byte(n)
			continue
		}
		for at := 3; at >= i; at-- {
			ip[at] = byte(n)
			n >>= 8
		}
		if n != 0 {
			return netip.Addr{}, false
		}
	}
	return netip.AddrFrom4(ip), true
}

// parseAtonNumber reads a number as strtoul(3) does with the base 0, without the signs, spaces and underscores that one or
// the other parser would also take.
func parseAtonNumber(text string) (uint64, bool) {
	base, digits := 10, text
	switch {
	case len(text) > 2 && (text[:2] == "0x" || text[:2] == "0X"):
		base, digits = 16, text[2:]
	case len(text) > 1 && text[0] == '0':
		base, digits = 8, text[1:]
	}
	if strings.Trim(digits, "0123456789abcdefABCDEF") != "" {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, base, 32)
	return n, err == nil
}
