package zmtp

import (
	"encoding/binary"

	"golang.org/x/crypto/nacl/box"
)

// A cipher encrypts frames into MESSAGE commands, and back. Encrypting belongs to the goroutine that writes to the connection,
// decrypting to its loop.
type cipher struct {
	shared                 [32]byte
	sendPrefix, recvPrefix string // prefixes of nonces
	sendNonce, recvNonce   uint64
}

const (
	messageName = "\x07MESSAGE"
	// sealOverhead is by how much the body of an encrypted frame is longer than the frame's own.
	sealOverhead = len(messageName) + 8 + boxOverhead + 1

	innerMore    = 1
	innerCommand = 2
)

// seal appends the frames of plain, encrypted.
func (c *cipher) seal(out, plain []byte) []byte {
	for len(plain) > 0 {
		h, _ := parseHeader(plain)
		body := plain[h.len : h.len+int(h.size)]
		out = c.sealFrame(out, h.flags, body)
		plain = plain[h.len+int(h.size):]
	}
	return out
}

func (c *cipher) sealFrame(out []byte, flags byte, body []byte) []byte {
	inner := make([]byte, 1, 1+len(body))
	inner[0] = flags & flagMore
	if flags&flagCommand != 0 {
		inner[0] |= innerCommand
	}
	inner = append(inner, body...)
	c.sendNonce++
	n := counter(c.sendNonce)
	nonce := shortNonce(c.sendPrefix, n)
	out = appendHeader(out, 0, len(body)+sealOverhead)
	out = append(append(out, messageName...), n...)
	return box.SealAfterPrecomputation(out, inner, &nonce, &c.shared)
}

// open decrypts the body of a frame, into scratch if it is large enough. It returns the frame's flags and its body.
func (c *cipher) open(scratch, body []byte) (flags byte, plain []byte, err error) {
	if len(body) < len(messageName) || string(body[:len(messageName)]) != messageName {
		return 0, nil, protocolErrorf("a frame that is not encrypted, or a command out of turn: %s", excerpt(body))
	}
	if len(body) < sealOverhead {
		return 0, nil, protocolErrorf("a CURVE MESSAGE of %d bytes", len(body))
	}
	rest := body[len(messageName):]
	n := binary.BigEndian.Uint64(rest)
	if n <= c.recvNonce {
		return 0, nil, protocolErrorf("a CURVE MESSAGE with a number that was used before: it was sent again, or forged")
	}
	nonce := shortNonce(c.recvPrefix, rest[:8])
	plain, ok := box.OpenAfterPrecomputation(scratch[:0], rest[8:], &nonce, &c.shared)
	if !ok {
		return 0, nil, errCurve("MESSAGE")
	}
	c.recvNonce = n
	if plain[0]&innerMore != 0 {
		flags |= flagMore
	}
	if plain[0]&innerCommand != 0 {
		flags |= flagCommand
	}
	if plain[0] > innerMore|innerCommand || flags == flagMore|flagCommand {
		return 0, nil, protocolErrorf("a CURVE MESSAGE with the flags 0x%02x", plain[0])
	}
	return flags, plain[1:], nil
}
