package tlsconn

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
)

// MaxPlaintext is how many bytes a TLS record may carry (RFC 8446, section 5.1).
const MaxPlaintext = 16 << 10

// Types of records (RFC 8446, section 5.1).
const (
	alertRecord     = 21
	handshakeRecord = 22
)

// Greeted reports whether p, the first bytes that a client sent, holds its whole first record, or can never become a
// record that begins a handshake. A Step is worth its goroutine then: crypto/tls goes on, or says what is wrong. p needs
// at most 5 bytes more than MaxPlaintext.
func Greeted(p []byte) bool {
	return len(p) >= header && (!plausible(p) || oversized(p) || len(p) >= header+payload(p))
}

// Plain reports whether p, the first bytes that a client sent, begins something else than TLS.
func Plain(p []byte) bool { return len(p) >= header && !plausible(p) }

// plausible reports whether crypto/tls reads on behind a first header like that of p.
func plausible(p []byte) bool {
	return (p[0] == handshakeRecord || p[0] == alertRecord) && p[1] < 0x10
}

// oversized reports whether the record claims more than it may without encryption.
func oversized(p []byte) bool { return len(p) >= header && plausible(p) && payload(p) > MaxPlaintext }

// recordOverflow is what crypto/tls answers to a record that is too long, as an alert of its own kind: fatal.
var recordOverflow = []byte{alertRecord, 3, 1, 0, 2, 2, 22}

// errOversized is what crypto/tls says of such a record, which it may wait for as it does not know yet that the record
// cannot be encrypted.
func errOversized(p []byte) error {
	return tls.RecordHeaderError{
		Msg:          fmt.Sprintf("oversized record received with length %d", payload(p)),
		RecordHeader: [header]byte(p),
	}
}

// A cutter cuts a ClientHello's record into short ones, which say the same: a message may be cut into records anywhere
// (RFC 8446, section 5.1). For as long as it lives crypto/tls keeps a buffer as long as the longest record that it has
// read, and on most idle connections of a server that is the first.
type cutter struct {
	header [header]byte // of every short record
	given  int          // bytes of the current one's header
	most   int          // bytes that a short record carries
	now    int          // bytes of the current one that are still to be read
	left   int          // bytes of the message that are
}

// cut returns the cutter for the record that p begins with, one that does nothing if it need not be cut.
func cut(p []byte) (k cutter) {
	const short = 500
	if len(p) < header || p[0] != handshakeRecord || payload(p) <= short || oversized(p) {
		return cutter{}
	}
	k.left = payload(p)
	for k.most = k.left; k.most > short; {
		k.most = (k.most + 1) / 2 // halves of halves suit the buffer that crypto/tls joins them in
	}
	copy(k.header[:], p)
	k.given = header
	return k
}

// read is framing.read for the first record, whose own header must not be in in. It gives header and payload in one piece,
// which fits the buffer that crypto/tls begins with.
func (k *cutter) read(p, in []byte) (n int, rest []byte) {
	if k.now == 0 && k.given == header {
		k.now, k.given = min(k.most, k.left), 0
		k.header[3], k.header[4] = byte(k.now>>8), byte(k.now)
	}
	if k.given < header {
		n = copy(p, k.header[k.given:])
		k.given += n
		p = p[n:]
	}
	carried := copy(p[:min(len(p), k.now)], in)
	k.now -= carried
	k.left -= carried
	return n + carried, in[carried:]
}

// ClientHello reads the message that p begins with, a client's first: which server it asks for, which protocols and
// versions it offers. A proxy can choose a target so, without taking part in the handshake. The error is
// io.ErrUnexpectedEOF while more bytes are needed, which a client may send in as many pieces as it likes; any other error
// is final. The Conn of the result is nil, and its Context is over.
func ClientHello(p []byte) (*tls.ClientHelloInfo, error) {
	if !Greeted(p) {
		return nil, io.ErrUnexpectedEOF
	}
	if oversized(p) {
		return nil, errOversized(p)
	}
	var hello *tls.ClientHelloInfo
	c := Server(&tls.Config{GetConfigForClient: func(h *tls.ClientHelloInfo) (*tls.Config, error) {
		hello = h
		return nil, errRead
	}}, nowhere{})
	c.in = p
	switch err := c.tls.Handshake(); {
	case hello != nil:
		hello.Conn = nil
		return hello, nil
	case err == errDry:
		return nil, io.ErrUnexpectedEOF
	default:
		return nil, err
	}
}

// errRead ends the handshake of a ClientHello that was only to be read.
var errRead = errors.New("tlsconn: the ClientHello was read")

type nowhere struct{}

func (nowhere) LocalAddr() net.Addr  { return nil }
func (nowhere) RemoteAddr() net.Addr { return nil }
