package tlsconn

import (
	"net"
	"time"
)

// A transport is a Conn as crypto/tls sees it: its network connection. During the handshake Read waits for the next step.
// After it nothing waits: a Read that finds nothing returns an error that crypto/tls does not remember, and half a record
// stays inside crypto/tls until the rest is there.
type transport Conn

// Read implements net.Conn.
func (t *transport) Read(p []byte) (int, error) {
	if len(t.in) == 0 {
		if t.hand == nil {
			return 0, errDry
		}
		if err := t.hand.wait(); err != nil {
			return 0, err
		}
	}
	var n int
	if t.hand != nil && t.hand.cut.left > 0 {
		n, t.in = t.hand.cut.read(p, t.in)
	} else {
		n, t.in = t.framing.read(p, t.in)
	}
	return n, nil
}

// Write implements net.Conn: the owner takes the bytes when the step, or its own call, is over.
func (t *transport) Write(p []byte) (int, error) {
	t.out = append(t.out, p...)
	return len(p), nil
}

// Close implements net.Conn. The connection is the owner's to close.
func (t *transport) Close() error { return nil }

// LocalAddr implements net.Conn.
func (t *transport) LocalAddr() net.Addr { return t.addrs.LocalAddr() }

// RemoteAddr implements net.Conn.
func (t *transport) RemoteAddr() net.Addr { return t.addrs.RemoteAddr() }

// SetDeadline implements net.Conn. The owner keeps the time.
func (t *transport) SetDeadline(time.Time) error { return nil }

// SetReadDeadline implements net.Conn.
func (t *transport) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline implements net.Conn.
func (t *transport) SetWriteDeadline(time.Time) error { return nil }

// errDry is temporary, and such errors crypto/tls does not remember.
var errDry net.Error = dry{}

type dry struct{}

func (dry) Error() string   { return "tlsconn: nothing to read now" }
func (dry) Timeout() bool   { return false }
func (dry) Temporary() bool { return true }

// header is the size of a TLS record's header: type, version, length (RFC 8446, section 5.1).
const header = 5

// payload returns the length in the header that p begins with.
func payload(p []byte) int { return int(p[3])<<8 | int(p[4]) }

// framing follows the records of the input, which may be cut anywhere.
type framing struct {
	left   int32        // bytes of the record that are still to be read, once its length is known
	known  uint8        // bytes of its header that were read before that
	header [header]byte // these
}

// read copies from in to p, and returns how much and what is left of in. It copies bytes of one record only: with more,
// crypto/tls would keep those that follow the record it asked for, and nobody could tell that there is something to read.
func (f *framing) read(p, in []byte) (n int, rest []byte) {
	if f.left == 0 && f.known == 0 && len(in) >= header {
		f.left = int32(header + payload(in))
	}
	if f.left > 0 {
		n = copy(p[:min(len(p), int(f.left))], in)
		f.left -= int32(n)
		return n, in[n:]
	}
	n = copy(f.header[f.known:], in[:min(len(in), len(p))])
	f.known += uint8(n)
	copy(p, in[:n])
	if f.known == header {
		f.left, f.known = int32(payload(f.header[:])), 0
	}
	return n, in[n:]
}

// midRecord reports whether a part of a record was read and not the rest.
func (f *framing) midRecord() bool { return f.left > 0 || f.known > 0 }
