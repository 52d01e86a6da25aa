package zmtp

import (
	"crypto/rand"
	"errors"
	"fmt"

	"golang.org/x/crypto/curve25519"
)

// A Key is a public or secret key of CURVE.
type Key [32]byte

// NewKeyPair makes a random pair of keys.
func NewKeyPair() (public, secret Key) {
	rand.Read(secret[:])
	p, err := curve25519.X25519(secret[:], curve25519.Basepoint)
	if err != nil {
		panic(err) // the base point is never of low order
	}
	return Key(p), secret
}

// Public returns the public key of a secret key.
func (k Key) Public() (Key, error) {
	p, err := curve25519.X25519(k[:], curve25519.Basepoint)
	if err != nil {
		return Key{}, err
	}
	return Key(p), nil
}

// z85 is the alphabet of RFC 32.
const z85 = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"

var z85Value = func() (v [256]int8) {
	for i := range v {
		v[i] = -1
	}
	for i := range z85 {
		v[z85[i]] = int8(i)
	}
	return v
}()

// String returns the key in Z85 (RFC 32): 40 characters, as the tools of libzmq print it.
func (k Key) String() string {
	out := make([]byte, 0, 40)
	for at := 0; at < len(k); at += 4 {
		v := uint32(k[at])<<24 | uint32(k[at+1])<<16 | uint32(k[at+2])<<8 | uint32(k[at+3])
		for div := uint32(85 * 85 * 85 * 85); div > 0; div /= 85 {
			out = append(out, z85[v/div%85])
		}
	}
	return string(out)
}

// ParseKey reads a key in Z85 (RFC 32): 40 characters.
func ParseKey(s string) (k Key, err error) {
	if len(s) != 40 {
		return Key{}, fmt.Errorf("zmtp: a key in Z85 has 40 characters, and not %d", len(s))
	}
	for i := 0; i < 8; i++ {
		v := uint64(0)
		for _, ch := range []byte(s[i*5 : i*5+5]) {
			n := z85Value[ch]
			if n < 0 {
				return Key{}, fmt.Errorf("zmtp: a key in Z85 cannot have the character %q", ch)
			}
			v = v*85 + uint64(n)
		}
		if v > 1<<32-1 {
			return Key{}, errors.New("zmtp: the characters are no key in Z85")
		}
		k[i*4], k[i*4+1], k[i*4+2], k[i*4+3] = byte(v>>24), byte(v>>16), byte(v>>8), byte(v)
	}
	return k, nil
}
