package proxyproto

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/switchboard-go/switchboard"
)

// A Header says for which client a proxy has opened a connection.
type Header struct {
	Version int // 1 or 2

	// Local is true if the proxy has opened the connection for itself, for example to see whether the server is there (LOCAL in
	// version 2), or cannot say for whom it is (UNKNOWN in version 1). Then there are no addresses.
	Local bool

	// Source is the address of the client, and Destination the one that it has connected to: *net.TCPAddr, *net.UDPAddr or
	// *net.UnixAddr. Both are nil if the header has none.
	Source, Destination net.Addr

	// Fields are what version 2 says more, in the order of the header.
	Fields []Field
}

// A Field is one of the fields that follow the addresses in version 2 (TLV in the specification).
type Field struct {
	Type  Type
	Value []byte
}

// A Type says what a Field holds. Types that are not listed here are kept as they are.
type Type byte

// The registered types, section 2.2 of the specification.
const (
	ALPN      Type = 0x01 // the protocol that ALPN has agreed on
	Authority Type = 0x02 // the name of the server that the client asked for (SNI of TLS)
	CRC32C    Type = 0x03 // the checksum of the header; Parse verifies it, Append fills it in
	NoOp      Type = 0x04 // padding
	UniqueID  Type = 0x05 // at most 128 bytes that identify the connection
	SSL       Type = 0x20 // what TLS has agreed on, see Header.TLS
	NetNS     Type = 0x30 // the name of a network namespace
)

// MaxHeader is how many bytes a header may have. Version 2 allows 65,551; Parse refuses what is longer than MaxHeader, as
// other servers do.
const MaxHeader = 4096

// ErrNoHeader is returned by Parse for bytes that do not begin a header of either version.
var ErrNoHeader = errors.New("proxyproto: there is no header of the PROXY protocol (does the proxy send one?)")

// ErrMalformed is wrapped by the errors of Parse for a header that begins as one and breaks the rules.
var ErrMalformed = errors.New("proxyproto: malformed header")

func malformed(format string, a ...any) error {
	return fmt.Errorf("%w: %s", ErrMalformed, fmt.Sprintf(format, a...))
}

// Parse reads the header with which p begins, and returns how many bytes it has. While more bytes are needed the error is
// io.ErrUnexpectedEOF; any other error is final. The header does not refer to p.
func Parse(p []byte) (h *Header, n int, err error) {
	switch {
	case begins(p, signature):
		return parseBinary(p)
	case begins(p, "PROXY "):
		return parseText(p)
	}
	return nil, 0, ErrNoHeader
}

// begins tells whether p begins with s, or may when more has come.
func begins(p []byte, s string) bool {
	n := min(len(p), len(s))
	return string(p[:n]) == s[:n]
}

// Append appends h to b, as a proxy sends it. Version 1 has no place for Fields and for Unix sockets: the fields are left out,
// and the addresses are UNKNOWN. An error says what does not fit into a header.
func (h *Header) Append(b []byte) ([]byte, error) {
	switch h.Version {
	case 1:
		return h.appendText(b)
	case 2:
		return h.appendBinary(b)
	}
	return b, fmt.Errorf("proxyproto: there is no version %d of the PROXY protocol, only 1 and 2", h.Version)
}

// For returns the header that says that a connection is made for the client of c. If the client speaks TLS, version 2 says
// what was agreed on. It belongs to the loop of c.
func For(c *switchboard.Conn, version int) *Header {
	h := &Header{Version: version, Source: c.RemoteAddr(), Destination: c.LocalAddr()}
	if h.Destination == nil || h.Source.Network() != h.Destination.Network() {
		h.Source, h.Destination, h.Local = nil, nil, true
	}
	if state := c.TLS(); state != nil && version == 2 {
		h.SetTLS(state)
	}
	return h
}

// Forward is For for a client of whom another proxy has sent received: it passes on the addresses and the fields that this one
// says. If c speaks TLS, its own fields stand in place of those of the same types, unless received has an SSL field: then c speaks
// TLS with the other proxy, and received says what the client does. If received is nil or Local, Forward is For.
func Forward(c *switchboard.Conn, received *Header, version int) *Header {
	h := For(c, version)
	if received == nil || received.Local {
		return h
	}
	if received.Source != nil {
		h.Source, h.Destination, h.Local = received.Source, received.Destination, false
	}
	if received.Get(SSL) != nil {
		h.Fields = nil
	}
	own := len(h.Fields)
	for _, f := range received.Fields {
		has := func(of Field) bool { return of.Type == f.Type }
		if f.Type == NoOp || slices.ContainsFunc(h.Fields[:own], has) || f.Type == CRC32C && h.Get(CRC32C) != nil {
			continue
		}
		h.Fields = append(h.Fields, f)
	}
	return h
}

// Get returns the value of the first field of a type, nil if there is none.
func (h *Header) Get(t Type) []byte {
	for _, f := range h.Fields {
		if f.Type == t {
			return f.Value
		}
	}
	return nil
}

// set replaces the fields of a type by one.
func (h *Header) set(t Type, value []byte) {
	var fields []Field
	for _, f := range h.Fields {
		if f.Type != t {
			fields = append(fields, f)
		}
	}
	h.Fields = append(fields, Field{t, value})
}

// endpoints returns the addresses of TCP or UDP in one family: if only one is of IPv6, the other is mapped into it.
func (h *Header) endpoints() (from, to netip.AddrPort, network string, ok bool) {
	get := func(a net.Addr) (netip.AddrPort, string) {
		switch a := a.(type) {
		case *net.TCPAddr:
			return a.AddrPort(), "tcp"
		case *net.UDPAddr:
			return a.AddrPort(), "udp"
		}
		return netip.AddrPort{}, ""
	}
	from, network = get(h.Source)
	to, other := get(h.Destination)
	if network == "" || network != other || !from.IsValid() || !to.IsValid() {
		return from, to, "", false
	}
	plain := func(ap netip.AddrPort) netip.AddrPort {
		return netip.AddrPortFrom(ap.Addr().Unmap().WithZone(""), ap.Port())
	}
	from, to = plain(from), plain(to)
	if from.Addr().Is4() != to.Addr().Is4() {
		mapped := func(ap netip.AddrPort) netip.AddrPort {
			return netip.AddrPortFrom(netip.AddrFrom16(ap.Addr().As16()), ap.Port())
		}
		from, to = mapped(from), mapped(to)
	}
	return from, to, network, true
}

// parseText reads a header of version 1, section 2.1 of the specification: one line of at most 107 bytes.
func parseText(p []byte) (*Header, int, error) {
	const longest = 107
	end := bytes.Index(p, []byte("\r\n"))
	switch {
	case end < 0 && len(p) >= longest, end > longest-2:
		return nil, 0, malformed("version 1 has at most %d bytes and ends with CR LF", longest)
	case end < 0:
		return nil, 0, io.ErrUnexpectedEOF
	}
	h, line := &Header{Version: 1}, string(p[:end])
	words := strings.Split(line, " ")
	switch {
	case len(words) >= 2 && words[1] == "UNKNOWN": // what follows is to be ignored
		h.Local = true
		return h, end + 2, nil
	case len(words) != 6 || words[1] != "TCP4" && words[1] != "TCP6":
		return nil, 0, malformed("%q", line)
	}
	var ends [2]netip.AddrPort
	for i := range ends {
		ip, err := netip.ParseAddr(words[2+i])
		port, ok := parsePort(words[4+i])
		if err != nil || ip.Zone() != "" || ip.Is4() != (words[1] == "TCP4") || !ok {
			return nil, 0, malformed("%q", line)
		}
		ends[i] = netip.AddrPortFrom(ip, port)
	}
	h.Source, h.Destination = net.TCPAddrFromAddrPort(ends[0]), net.TCPAddrFromAddrPort(ends[1])
	return h, end + 2, nil
}

// parsePort reads a port as version 1 has it: decimal, without sign and leading zeros.
func parsePort(s string) (port uint16, ok bool) {
	n := 0
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, false
		}
		if n = 10*n + int(c-'0'); n > 0xffff {
			return 0, false
		}
	}
	return uint16(n), s != "" && (s[0] != '0' || s == "0")
}

func (h *Header) appendText(b []byte) ([]byte, error) {
	from, to, network, ok := h.endpoints()
	if h.Local || !ok || network != "tcp" {
		return append(b, "PROXY UNKNOWN\r\n"...), nil
	}
	family := "TCP6"
	if from.Addr().Is4() {
		family = "TCP4"
	}
	return fmt.Appendf(b, "PROXY %s %s %s %d %d\r\n", family, from.Addr(), to.Addr(), from.Port(), to.Port()), nil
}
