package switchboard

import (
	"crypto/tls"
	"net"
	"sync/atomic"
	"time"

	"github.com/switchboard-go/switchboard/internal/buffer"
)

// A transport is what crypto/tls takes for its network connection. A handshake reads it on a goroutine of its own, where
// Read waits. Once that is done only the loop reads and writes, and nothing waits: a Read that finds nothing says so with
// an error which crypto/tls does not remember, and half a record stays inside crypto/tls until the rest is there.
type transport struct {
	c    *Conn
	tls  *tls.Conn
	hand *handshake  // nil once it is done
	up   atomic.Bool // it is, and went well

	// Input, the loop's, and during a step of the handshake its goroutine's.
	in     []byte  // received and not yet read
	left   int32   // bytes of the record under way that are still to be read, once its length is known
	known  uint8   // bytes of its header that were read before that
	header [5]byte // these

	// Output, under Conn.mu.
	plain   buffer.Queue // taken by Write and not yet encrypted; Conn.queue holds what is
	tail    int32        // the last bytes of that which carry nothing of what Write took
	saidEnd bool         // the close_notify is made
	spoilt  bool         // crypto/tls has given up: nothing more can be encrypted
}

// recordHeader is the size of a TLS record's header: type, version, length (RFC 8446, section 5.1).
const recordHeader = 5

// recordSize returns the size of the record that begins with p, at least a header long.
func recordSize(p []byte) int32 { return recordHeader + int32(p[3])<<8 + int32(p[4]) }

// Read implements net.Conn for crypto/tls. It gives one record at a time at most: with more, crypto/tls would keep what
// follows the record it was asked for, and nobody could tell that there is something to read.
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
	switch {
	case t.left > 0 || t.known == 0 && len(t.in) >= recordHeader:
		if t.left == 0 {
			t.left = recordSize(t.in)
		}
		n = copy(p[:min(len(p), int(t.left))], t.in)
		t.left -= int32(n)
	default:
		n = copy(p[:min(len(p), recordHeader-int(t.known))], t.in)
		t.known += uint8(copy(t.header[t.known:], t.in[:n]))
		if t.known == recordHeader {
			t.left, t.known = recordSize(t.header[:])-recordHeader, 0
		}
	}
	t.in = t.in[n:]
	return n, nil
}

// midRecord tells whether the peer has sent a part of a record and not the rest.
func (t *transport) midRecord() bool { return t.left > 0 || t.known > 0 }

// Write implements net.Conn for crypto/tls: the loop sends what it gets when the handshake's step, or its own reading or
// writing, is over.
func (t *transport) Write(p []byte) (int, error) {
	if t.hand != nil {
		t.hand.out = append(t.hand.out, p...)
	} else {
		l := t.c.loop
		l.cipher = append(l.cipher, p...)
	}
	return len(p), nil
}

// Close implements net.Conn. The connection is not crypto/tls's to close.
func (t *transport) Close() error { return nil }

// LocalAddr implements net.Conn.
func (t *transport) LocalAddr() net.Addr { return t.c.LocalAddr() }

// RemoteAddr implements net.Conn.
func (t *transport) RemoteAddr() net.Addr { return t.c.RemoteAddr() }

// SetDeadline implements net.Conn. The loop keeps the time.
func (t *transport) SetDeadline(time.Time) error { return nil }

// SetReadDeadline implements net.Conn.
func (t *transport) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline implements net.Conn.
func (t *transport) SetWriteDeadline(time.Time) error { return nil }

// errDry is the error that crypto/tls does not remember.
var errDry net.Error = dry{}

type dry struct{}

func (dry) Error() string   { return "switchboard: nothing to read now" }
func (dry) Timeout() bool   { return false }
func (dry) Temporary() bool { return true }
