package proxyproto

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"net/netip"
)

// Version 2, section 2.2 of the specification: the signature, a byte with version and command, one with family and transport,
// two with the length of what follows, the addresses, the fields.
const (
	signature   = "\r\n\r\n\x00\r\nQUIT\n"
	fixed       = len(signature) + 4
	pathLength  = 108 // of each address of a Unix socket
	local       = 0x20
	proxied     = 0x21
	tcp4        = 0x11
	udp4        = 0x12
	tcp6        = 0x21
	udp6        = 0x22
	unixStream  = 0x31
	unixPackets = 0x32
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// parseBinary reads a header of version 2.
func parseBinary(p []byte) (*Header, int, error) {
	if len(p) > len(signature) && p[len(signature)] != local && p[len(signature)] != proxied {
		return nil, 0, malformed("version and command are %#02x, and must be 0x20 or 0x21", p[len(signature)])
	}
	if len(p) < fixed {
		return nil, 0, io.ErrUnexpectedEOF
	}
	n := fixed + int(binary.BigEndian.Uint16(p[fixed-2:]))
	if n > MaxHeader {
		return nil, 0, malformed("it has %d bytes, and at most %d are taken", n, MaxHeader)
	}
	if len(p) < n {
		return nil, 0, io.ErrUnexpectedEOF
	}
	h := &Header{Version: 2, Local: p[len(signature)] == local}
	if h.Local { // the rest is to be skipped, whatever it is
		return h, n, nil
	}
	rest, err := h.parseAddresses(p[len(signature)+1], p[fixed:n])
	if err == nil {
		err = h.parseFields(rest)
	}
	if err == nil {
		err = h.verify(p[:n])
	}
	if err != nil {
		return nil, 0, err
	}
	return h, n, nil
}

// parseAddresses reads the addresses of a family, and returns what follows them. A family that is not known has addresses of
// unknown length, so nothing can follow.
func (h *Header) parseAddresses(family byte, p []byte) (rest []byte, err error) {
	size, known := map[byte]int{0: 0, tcp4: 4, udp4: 4, tcp6: 16, udp6: 16, unixStream: pathLength, unixPackets: pathLength}[family]
	ports := 4
	switch {
	case !known:
		return nil, malformed("unknown family %#02x", family)
	case size == 0:
		return p, nil
	case size == pathLength:
		ports = 0
	}
	if len(p) < 2*size+ports {
		return nil, malformed("the addresses of family %#02x have %d bytes, and must have %d", family, len(p), 2*size+ports)
	}
	from, to, rest := p[:size], p[size:2*size], p[2*size+ports:]
	if ports == 0 {
		network := "unix"
		if family == unixPackets {
			network = "unixgram"
		}
		h.Source, h.Destination = pathOf(from, network), pathOf(to, network)
		return rest, nil
	}
	address := func(ip []byte, at int) netip.AddrPort {
		addr, _ := netip.AddrFromSlice(ip)
		return netip.AddrPortFrom(addr, binary.BigEndian.Uint16(p[at:]))
	}
	a, b := address(from, 2*size), address(to, 2*size+2)
	if family == tcp4 || family == tcp6 {
		h.Source, h.Destination = net.TCPAddrFromAddrPort(a), net.TCPAddrFromAddrPort(b)
	} else {
		h.Source, h.Destination = net.UDPAddrFromAddrPort(a), net.UDPAddrFromAddrPort(b)
	}
	return rest, nil
}

// pathOf reads the path of a Unix socket. An abstract name begins with a zero byte, which package net writes as "@".
func pathOf(p []byte, network string) *net.UnixAddr {
	if len(p) > 1 && p[0] == 0 && p[1] != 0 {
		return &net.UnixAddr{Name: "@" + string(bytes.TrimRight(p[1:], "\x00")), Net: network}
	}
	path, _, _ := bytes.Cut(p, []byte{0})
	return &net.UnixAddr{Name: string(path), Net: network}
}

// parseFields reads the fields.
func (h *Header) parseFields(p []byte) error {
	fields, err := split(p)
	if err != nil {
		return err
	}
	for _, f := range fields {
		f.Value = bytes.Clone(f.Value)
		h.Fields = append(h.Fields, f)
		switch {
		case f.Type == UniqueID && len(f.Value) > 128:
			return malformed("the unique ID has %d bytes, and at most 128 are allowed", len(f.Value))
		case f.Type == SSL:
			if err := checkTLS(f.Value); err != nil {
				return err
			}
		}
	}
	return nil
}

// split cuts p into fields, which refer to it: a type, two bytes of length, the value.
func split(p []byte) (fields []Field, err error) {
	for len(p) > 0 {
		if len(p) < 3 || len(p) < 3+int(binary.BigEndian.Uint16(p[1:])) {
			return nil, malformed("a field ends after %d bytes of it", len(p))
		}
		n := 3 + int(binary.BigEndian.Uint16(p[1:]))
		fields = append(fields, Field{Type(p[0]), p[3:n]})
		p = p[n:]
	}
	return fields, nil
}

// verify compares the checksum in p, which is the whole header, if there is one: it is computed with zeros in its place.
func (h *Header) verify(p []byte) error {
	sum := h.Get(CRC32C)
	if sum == nil {
		return nil
	}
	if len(sum) != 4 {
		return malformed("the checksum has %d bytes, and must have 4", len(sum))
	}
	if got := checksum(p, checksumAt(p)); got != binary.BigEndian.Uint32(sum) {
		return malformed("the checksum is %#08x, and should be %#08x", binary.BigEndian.Uint32(sum), got)
	}
	return nil
}

// checksumAt returns where the checksum of a whole header is, whose fields are sound and have one.
func checksumAt(p []byte) int {
	sizes := map[byte]int{tcp4: 12, udp4: 12, tcp6: 36, udp6: 36, unixStream: 2 * pathLength, unixPackets: 2 * pathLength}
	at := fixed + sizes[p[len(signature)+1]]
	for Type(p[at]) != CRC32C {
		at += 3 + int(binary.BigEndian.Uint16(p[at+1:]))
	}
	return at + 3
}

func checksum(p []byte, at int) uint32 {
	sum := crc32.Update(0, castagnoli, p[:at])
	sum = crc32.Update(sum, castagnoli, make([]byte, 4))
	return crc32.Update(sum, castagnoli, p[at+4:])
}

func (h *Header) appendBinary(b []byte) ([]byte, error) {
	start := len(b)
	b = append(b, signature...)
	if h.Local {
		return append(b, local, 0, 0, 0), nil
	}
	b = append(b, proxied, 0, 0, 0)
	b, err := h.appendAddresses(b, start)
	if err != nil {
		return b[:start], err
	}
	sums := 0
	for _, f := range h.Fields {
		value := f.Value
		if f.Type == CRC32C {
			sums++
			value = make([]byte, 4)
		}
		if len(value) > MaxHeader {
			return b[:start], fmt.Errorf("proxyproto: a field of type %#02x has %d bytes", byte(f.Type), len(value))
		}
		b = appendField(b, f.Type, value)
	}
	n := len(b) - start
	if n > MaxHeader || sums > 1 {
		return b[:start], fmt.Errorf("proxyproto: the header has %d bytes and %d checksums; at most %d and one are possible", n, sums, MaxHeader)
	}
	p := b[start:]
	binary.BigEndian.PutUint16(p[fixed-2:], uint16(n-fixed))
	if sums > 0 {
		at := checksumAt(p)
		binary.BigEndian.PutUint32(p[at:], checksum(p, at))
	}
	return b, nil
}

// appendAddresses appends the addresses, and says in the header that begins at start which family they are of. Without
// addresses the family is 0.
func (h *Header) appendAddresses(b []byte, start int) ([]byte, error) {
	family := &b[start+len(signature)+1]
	if from, to, network, ok := h.endpoints(); ok {
		*family = tcp6
		if from.Addr().Is4() {
			*family = tcp4
		}
		if network == "udp" {
			*family++
		}
		b = append(append(b, from.Addr().AsSlice()...), to.Addr().AsSlice()...)
		return binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(b, from.Port()), to.Port()), nil
	}
	from, ok1 := h.Source.(*net.UnixAddr)
	to, ok2 := h.Destination.(*net.UnixAddr)
	if !ok1 || !ok2 {
		return b, nil
	}
	*family = unixStream
	if from.Net == "unixgram" {
		*family = unixPackets
	}
	for _, a := range []*net.UnixAddr{from, to} {
		name := a.Name
		if len(name) > 0 && name[0] == '@' {
			name = "\x00" + name[1:]
		}
		if len(name) > pathLength {
			return b, fmt.Errorf("proxyproto: the path %q has %d bytes, and %d are possible", a.Name, len(name), pathLength)
		}
		b = append(append(b, name...), make([]byte, pathLength-len(name))...)
	}
	return b, nil
}

func appendField(b []byte, t Type, value []byte) []byte {
	b = binary.BigEndian.AppendUint16(append(b, byte(t)), uint16(len(value)))
	return append(b, value...)
}
