package socket

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// An Addr is the address of one end of a socket: an IPv4 or IPv6 address with a port, or the name of a Unix socket;
// on Linux also an address made by VsockAddr, NetlinkAddr or PacketAddr. Addr values can be compared with == and used
// as map keys. An Addr with an IP address needs no allocation.
//
// The zero Addr is no address. SendTo and SendMsg take it as "the connected peer".
type Addr struct {
	path   string // AF_UNIX: a path, or @name; families other than IP: the kernel's structure behind the family
	ip     netip.Addr
	flow   uint32 // AF_INET6
	port   uint16
	family uint16
}

// InetAddr returns the Addr of an IP address and port, of the family of ap: an IPv4-mapped IPv6 address
// (::ffff:1.2.3.4) is an IPv6 address. For the zero AddrPort it returns the zero Addr.
func InetAddr(ap netip.AddrPort) Addr {
	ip := ap.Addr()
	switch {
	case ip.Is4():
		return Addr{family: AF_INET, ip: ip, port: ap.Port()}
	case ip.Is6():
		return Addr{family: AF_INET6, ip: ip, port: ap.Port()}
	}
	return Addr{}
}

// UnixAddr returns the address of a Unix socket: the path of a socket file, or a Linux abstract name, which starts
// with "@" (or, as in C and Python, with a zero byte). The empty path is the address of a socket without a name.
//
// UnixAddr puts "./" before a relative path that does not start with a dot. That names the same file, and tells it
// apart from all other kinds of addresses.
func UnixAddr(path string) Addr {
	switch {
	case path == "" || path[0] == '@':
	case path[0] == 0:
		path = "@" + path[1:]
	default:
		return fileAddr(path)
	}
	return Addr{family: AF_UNIX, path: path}
}

// fileAddr is UnixAddr for what is known to be a file's name, even when it starts with "@".
func fileAddr(path string) Addr {
	if !os.IsPathSeparator(path[0]) && path[0] != '.' && filepath.VolumeName(path) == "" {
		path = "./" + path
	}
	return Addr{family: AF_UNIX, path: path}
}

// ParseAddr reads the address of an IP socket or a Unix socket, in the form that Addr.String writes. It looks nothing
// up: hosts and ports must be numbers.
//
//	127.0.0.1:7  [::1]:7  [fe80::1%eth0]:7     IP address and port
//	/tmp/s.sock  ./s.sock  run/s.sock           path of a Unix socket: any text with a slash
//	@name                                       Linux abstract Unix socket
//	C:\run\s.sock  run\s.sock                   path of a Unix socket, on Windows
func ParseAddr(s string) (Addr, error) {
	bad := func(why string) (Addr, error) {
		return Addr{}, &Error{Op: "parse", Addr: s, Err: invalid(syscall.EINVAL, why)}
	}
	switch {
	case s == "":
		return bad("the address is empty")
	case s[0] == '@':
		return UnixAddr(s), nil
	case strings.IndexByte(s, 0) >= 0:
		return bad("a zero byte in an address")
	case os.IsPathSeparator(s[0]) || s[0] == '.':
		return fileAddr(s), nil
	}
	ap, err := netip.ParseAddrPort(s)
	if err == nil {
		return InetAddr(ap), nil
	}
	if strings.ContainsFunc(s, func(r rune) bool { return r < 0x80 && os.IsPathSeparator(uint8(r)) }) {
		return fileAddr(s), nil
	}
	host, port, ok := cutPort(s)
	switch {
	case !ok:
		return bad("no port: write HOST:PORT, [IPV6]:PORT, /path/of.sock or @name")
	case !decimal(port):
		return bad("port " + quote(port) + " is not a number")
	case !isPort(port):
		return bad("port " + port + " is over 65535")
	case strings.Contains(host, ":") && !strings.HasPrefix(s, "["):
		return bad("an IPv6 address goes in brackets: [" + host + "]:" + port)
	}
	return bad(quote(strings.TrimSuffix(s, ":"+port)) + " is not an IP address")
}

// WithFlowInfo returns an IPv6 address with flow information: sin6_flowinfo of ipv6(7), in host byte order. The low
// 20 bits are the flow label, those above it the traffic class. Linux sends it if IPV6_FLOWINFO_SEND is on; other
// systems ignore it. Addresses of other families are returned unchanged.
func (a Addr) WithFlowInfo(flow uint32) Addr {
	if a.family == AF_INET6 {
		a.flow = flow
	}
	return a
}

// FlowInfo returns the flow information of an IPv6 address, 0 for other addresses. String does not show it. PeerAddr
// returns it if IPV6_FLOWINFO_SEND is on.
func (a Addr) FlowInfo() uint32 { return a.flow }

// Family returns AF_INET, AF_INET6, AF_UNIX or another family, and AF_UNSPEC for the zero Addr.
func (a Addr) Family() int { return int(a.family) }

// IsValid reports whether a is not the zero Addr.
func (a Addr) IsValid() bool { return a != Addr{} }

// AddrPort returns the IP address and port, or the zero AddrPort when a is not an IP address.
func (a Addr) AddrPort() netip.AddrPort {
	if !a.ip.IsValid() {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(a.ip, a.port)
}

// Port returns the port in host byte order, 0 when a is not an IP address.
func (a Addr) Port() int { return int(a.port) }

// Path returns the path of a Unix socket, "@name" when it is abstract, and "" for every other address.
func (a Addr) Path() string {
	if a.family != AF_UNIX {
		return ""
	}
	return a.path
}

// sunPath is the name of a Unix socket as the system gets it: where there is no room for the "./" that fileAddr puts in
// front of a path, it goes without.
func (a Addr) sunPath() string {
	if len(a.path) > maxPath {
		return strings.TrimPrefix(a.path, "./")
	}
	return a.path
}

// IsAbstract reports whether a is the name of a Linux abstract Unix socket, which has no file.
func (a Addr) IsAbstract() bool { return a.family == AF_UNIX && a.path != "" && a.path[0] == '@' }

// Network returns "tcp" for an IP address and "unix" for a Unix socket: the network to give to [net.Dial] for a
// stream socket.
func (a Addr) Network() string {
	switch a.family {
	case AF_UNIX:
		return "unix"
	case AF_INET, AF_INET6:
		return "tcp"
	}
	return ""
}

// String returns the address in the form that ParseAddr reads, "(unnamed)" for a Unix socket without a name, and ""
// for the zero Addr. ParseAddr does not read the text of other families: "vsock:2:1024", "netlink:1234:0",
// "packet:eth0:0x0800".
func (a Addr) String() string {
	switch {
	case a.ip.IsValid():
		return a.AddrPort().String()
	case a.family == AF_UNIX && a.path == "":
		return "(unnamed)"
	case a.family == AF_UNIX:
		return a.path
	}
	return a.otherString()
}

// cutPort splits s at its last colon outside brackets.
func cutPort(s string) (host, port string, ok bool) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 || i < strings.LastIndexByte(s, ']') {
		return s, "", false
	}
	return strings.TrimSuffix(strings.TrimPrefix(s[:i], "["), "]"), s[i+1:], true
}

func decimal(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

func isPort(s string) bool {
	_, err := strconv.ParseUint(s, 10, 16)
	return err == nil
}

func quote(s string) string { return `"` + s + `"` }

// unfit tells why a cannot be given to a socket of the family; nil when it can.
func (a Addr) unfit(family int) error {
	switch {
	case !a.IsValid():
		return invalid(syscall.EINVAL, "no address given")
	case a.Family() != family:
		return invalid(syscall.EAFNOSUPPORT,
			"an "+familyName(a.Family())+" address on an "+familyName(family)+" socket")
	case family != AF_UNIX:
	case !a.IsAbstract() && strings.IndexByte(a.path, 0) >= 0:
		return invalid(syscall.EINVAL, "a zero byte in a path")
	case len(a.sunPath())-number(a.IsAbstract()) > maxPath:
		return syscall.ENAMETOOLONG
	}
	return nil
}

func familyName(family int) string {
	switch family {
	case AF_INET:
		return "AF_INET"
	case AF_INET6:
		return "AF_INET6"
	case AF_UNIX:
		return "AF_UNIX"
	}
	if name := otherFamily(family); name != "" {
		return name
	}
	return "unknown-family"
}

var errNoInterface = errors.New("no such network interface")
