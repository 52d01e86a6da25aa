package zmtp

import (
	"bytes"
	"strings"
)

// A greeting opens every connection (RFC 37, "Greeting"):
//
//	octets  0-9    signature: FF, 8 octets of padding, 7F
//	       10-11   version: 3, and 0 or 1
//	       12-31   mechanism, filled with zeros
//	       32      1 if the sender is the server of the mechanism
//	       33-63   zeros
const (
	greetingSize = 64

	signatureEnd = 9
	majorAt      = 10
	minorAt      = 11
	mechanismAt  = 12
	serverAt     = 32
)

// A greeting is what one told.
type greeting struct {
	minor     byte
	mechanism string
	asServer  bool
}

// appendGreeting appends g for the wire.
func appendGreeting(b []byte, g greeting) []byte {
	var out [greetingSize]byte
	out[0], out[signatureEnd] = 0xff, 0x7f
	out[majorAt], out[minorAt] = 3, g.minor
	copy(out[mechanismAt:serverAt], g.mechanism)
	if g.asServer {
		out[serverAt] = 1
	}
	return append(b, out[:]...)
}

// checkGreeting tells what is wrong with the part of a greeting that has come, as early as it shows.
func checkGreeting(b []byte) error {
	switch {
	case len(b) > 0 && b[0] != 0xff:
		if int(b[0]) <= 1+255 && len(b) > 1 && b[1]&^1 == 0 && b[0] > 0 {
			return protocolErrorf("the peer speaks ZMTP 1.0 (it begins with %s); 3.0 or 3.1 is needed, libzmq 4.0 or later", excerpt(b))
		}
		if len(b) > 1 || !maybeVersion1(b[0]) {
			return protocolErrorf("the peer does not speak ZMTP: it begins with %s", excerpt(b))
		}
	case len(b) > signatureEnd && b[signatureEnd]&1 == 0:
		return protocolErrorf("the peer speaks ZMTP 1.0 (a long identity); 3.0 or 3.1 is needed, libzmq 4.0 or later")
	case len(b) > signatureEnd && b[signatureEnd] != 0x7f:
		return protocolErrorf("the peer does not speak ZMTP: its signature is %s", excerpt(b[:10]))
	case len(b) > majorAt && b[majorAt] < 3:
		return protocolErrorf("the peer speaks ZMTP 2.%d; 3.0 or 3.1 is needed, libzmq 4.0 or later", b[majorAt]-min(b[majorAt], 1))
	}
	return nil
}

// maybeVersion1 tells whether a connection of ZMTP 1.0 may begin with this octet: the length of a short identity's frame.
func maybeVersion1(first byte) bool { return first > 0 }

// parseGreeting reads a whole greeting that checkGreeting found nothing wrong with.
func parseGreeting(b []byte) (g greeting, err error) {
	name, filler := b[mechanismAt:serverAt], b[serverAt+1:greetingSize]
	if end := bytes.IndexByte(name, 0); end >= 0 {
		if len(bytes.Trim(name[end:], "\x00")) > 0 {
			return g, protocolErrorf("the peer's greeting has the mechanism %s", excerpt(name))
		}
		name = name[:end]
	}
	for _, ch := range name {
		if !('A' <= ch && ch <= 'Z' || '0' <= ch && ch <= '9' || strings.IndexByte("-_.+", ch) >= 0) {
			return g, protocolErrorf("the peer's greeting has the mechanism %s", excerpt(name))
		}
	}
	if len(name) == 0 {
		return g, protocolErrorf("the peer's greeting has no mechanism")
	}
	if b[serverAt] > 1 {
		return g, protocolErrorf("the peer's greeting has 0x%02x for as-server, which is 0 or 1", b[serverAt])
	}
	_ = filler // "zeros", but what later versions put there must be ignored
	// A peer of a later version speaks ours when it hears that.
	g.minor, g.mechanism, g.asServer = b[minorAt], string(name), b[serverAt] == 1
	if b[majorAt] > 3 {
		g.minor = 1
	}
	return g, nil
}
