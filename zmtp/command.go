package zmtp

import (
	"encoding/binary"
	"fmt"
)

// appendCommand appends a command frame.
func appendCommand(b []byte, name string, data ...[]byte) []byte {
	size := 1 + len(name)
	for _, d := range data {
		size += len(d)
	}
	b = appendHeader(b, flagCommand, size)
	b = append(append(b, byte(len(name))), name...)
	for _, d := range data {
		b = append(b, d...)
	}
	return b
}

// parseCommand splits the body of a command frame.
func parseCommand(body []byte) (name string, data []byte, err error) {
	if len(body) == 0 || body[0] == 0 || int(body[0]) > len(body)-1 {
		return "", nil, protocolErrorf("a command whose name is cut off: %s", excerpt(body))
	}
	n := int(body[0])
	return string(body[1 : 1+n]), body[1+n:], nil
}

// excerpt returns the beginning of b in a form to read.
func excerpt(b []byte) string {
	if len(b) > 32 {
		return fmt.Sprintf("%q and %d bytes more", b[:32], len(b)-32)
	}
	return fmt.Sprintf("%q", b)
}

// Properties are the names and values that a peer tells of itself when it connects (RFC 37, "Connection Metadata").
// Names are in the spelling of the peer.
type property struct {
	name  string
	value []byte
}

func appendProperty(b []byte, name string, value []byte) []byte {
	b = append(append(b, byte(len(name))), name...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(value)))
	return append(b, value...)
}

// parseProperties reads metadata. The values are views of b.
func parseProperties(b []byte) (all []property, err error) {
	for len(b) > 0 {
		n := int(b[0])
		if n == 0 || len(b) < 1+n+4 {
			return nil, protocolErrorf("metadata with a name that is empty or cut off: %s", excerpt(b))
		}
		name := string(b[1 : 1+n])
		for _, ch := range []byte(name) {
			if !nameChar(ch) {
				return nil, protocolErrorf("metadata with the name %q", name)
			}
		}
		size := binary.BigEndian.Uint32(b[1+n:])
		b = b[1+n+4:]
		if uint64(size) > uint64(len(b)) {
			return nil, protocolErrorf("the value of the property %q is cut off", name)
		}
		all = append(all, property{name, b[:size:size]})
		b = b[size:]
	}
	return all, nil
}

func nameChar(ch byte) bool {
	switch {
	case 'A' <= ch && ch <= 'Z', 'a' <= ch && ch <= 'z', '0' <= ch && ch <= '9':
		return true
	}
	return ch == '-' || ch == '_' || ch == '.' || ch == '+'
}
