package websocket

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/binary"
	"math/bits"
	"sync"
)

// mask masks p in place, or unmasks it, which is the same (RFC 6455, section 5.3), and returns the key turned to where
// the rest of the payload goes on.
func mask(p []byte, key uint32) uint32 {
	k := uint64(key)<<32 | uint64(key)
	if len(p) >= 8*maskBlock {
		var block [maskBlock]byte // the key over and over, which XORBytes applies with vector instructions
		for i := 0; i < maskBlock; i += 8 {
			binary.LittleEndian.PutUint64(block[i:], k)
		}
		for len(p) >= maskBlock {
			subtle.XORBytes(p, p[:maskBlock], block[:])
			p = p[maskBlock:]
		}
	}
	for len(p) >= 32 {
		q := (*[32]byte)(p)
		binary.LittleEndian.PutUint64(q[:], binary.LittleEndian.Uint64(q[:])^k)
		binary.LittleEndian.PutUint64(q[8:], binary.LittleEndian.Uint64(q[8:])^k)
		binary.LittleEndian.PutUint64(q[16:], binary.LittleEndian.Uint64(q[16:])^k)
		binary.LittleEndian.PutUint64(q[24:], binary.LittleEndian.Uint64(q[24:])^k)
		p = p[32:]
	}
	for len(p) >= 8 {
		binary.LittleEndian.PutUint64(p, binary.LittleEndian.Uint64(p)^k)
		p = p[8:]
	}
	if len(p) >= 4 {
		binary.LittleEndian.PutUint32(p, binary.LittleEndian.Uint32(p)^key)
		p = p[4:]
	}
	for i := range p {
		p[i] ^= byte(key)
		key = bits.RotateLeft32(key, -8)
	}
	return key
}

const maskBlock = 256 // bytes

// keys are random bytes for masking keys. A key must be unpredictable (RFC 6455, section 10.3); one read of the system's
// source serves many.
type keys struct {
	bytes [512]byte
	used  int
}

var keyPool = sync.Pool{New: func() any { return &keys{used: len(keys{}.bytes)} }}

// newKey returns a masking key.
func newKey() uint32 {
	k := keyPool.Get().(*keys)
	if k.used == len(k.bytes) {
		rand.Read(k.bytes[:])
		k.used = 0
	}
	key := binary.LittleEndian.Uint32(k.bytes[k.used:])
	k.used += 4
	keyPool.Put(k)
	return key
}
