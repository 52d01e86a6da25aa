package websocket

import (
	"crypto/rand"
	"encoding/binary"
	"math/bits"
	"sync"
)

// mask masks p in place, or unmasks it, which is the same (RFC 6455, section 5.3), and returns the key turned to where
// the rest of the payload goes on.
//
// Eight words at a time are faster than subtle.XORBytes, which needs the key repeated in memory.
func mask(p []byte, key uint32) uint32 {
	k := uint64(key)<<32 | uint64(key)
	for len(p) >= 64 {
		q := (*[64]byte)(p)
		binary.LittleEndian.PutUint64(q[:], binary.LittleEndian.Uint64(q[:])^k)
		binary.LittleEndian.PutUint64(q[8:], binary.LittleEndian.Uint64(q[8:])^k)
		binary.LittleEndian.PutUint64(q[16:], binary.LittleEndian.Uint64(q[16:])^k)
		binary.LittleEndian.PutUint64(q[24:], binary.LittleEndian.Uint64(q[24:])^k)
		binary.LittleEndian.PutUint64(q[32:], binary.LittleEndian.Uint64(q[32:])^k)
		binary.LittleEndian.PutUint64(q[40:], binary.LittleEndian.Uint64(q[40:])^k)
		binary.LittleEndian.PutUint64(q[48:], binary.LittleEndian.Uint64(q[48:])^k)
		binary.LittleEndian.PutUint64(q[56:], binary.LittleEndian.Uint64(q[56:])^k)
		p = p[64:]
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
