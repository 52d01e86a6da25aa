// Package tlstest helps tests to be a peer that keeps to the letter of TLS and not to its spirit.
package tlstest

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"strings"
	"sync"
)

// Types of records (RFC 8446, section 5.1).
const (
	Handshake       = 22
	ApplicationData = 23
)

// A Rogue makes TLS 1.3 records that crypto/tls would not send. It learns the secret of its side from the log of keys
// (RFC 8446, sections 5.2 and 7), and takes over a connection that has sent nothing since its handshake.
type Rogue struct {
	mu     sync.Mutex
	log    bytes.Buffer
	secret []byte
	number uint64
	hash   func() hash.Hash
	length int // of a key
}

// Write implements io.Writer for tls.Config.KeyLogWriter.
func (r *Rogue) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.Write(p)
}

// Learn takes over the sending side of a connection that has agreed on suite: that of a client, or of a server.
func (r *Rogue) Learn(client bool, suite uint16) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	label := "SERVER_TRAFFIC_SECRET_0"
	if client {
		label = "CLIENT_TRAFFIC_SECRET_0"
	}
	for line := range strings.Lines(r.log.String()) {
		if f := strings.Fields(line); f[0] == label {
			r.secret, _ = hex.DecodeString(f[2])
		}
	}
	switch suite {
	case tls.TLS_AES_128_GCM_SHA256:
		r.hash, r.length = sha256.New, 16
	case tls.TLS_AES_256_GCM_SHA384:
		r.hash, r.length = sha512.New384, 32
	default:
		return fmt.Errorf("the cipher suite is %s: this machine has no AES instructions", tls.CipherSuiteName(suite))
	}
	if r.secret == nil {
		return errors.New("no secret in the log of keys")
	}
	r.number = 0
	return nil
}

func (r *Rogue) expand(label string, n int) []byte {
	info := binary.BigEndian.AppendUint16(nil, uint16(n))
	info = append(info, byte(len("tls13 ")+len(label)))
	info = append(append(info, "tls13 "+label...), 0)
	key, err := hkdf.Expand(r.hash, r.secret, string(info), n)
	if err != nil {
		panic(err)
	}
	return key
}

// Seal appends to out a record of the given type.
func (r *Rogue) Seal(out []byte, kind byte, plain ...byte) []byte {
	block, err := aes.NewCipher(r.expand("key", r.length))
	if err != nil {
		panic(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	nonce := r.expand("iv", 12)
	for i := range 8 {
		nonce[4+i] ^= byte(r.number >> (56 - 8*i))
	}
	r.number++
	plain = append(plain, kind)
	n := len(plain) + aead.Overhead()
	head := []byte{23, 3, 3, byte(n >> 8), byte(n)}
	return aead.Seal(append(out, head...), nonce, plain, head)
}

// Update appends to out a KeyUpdate, which asks the other side for one of its own or not, and changes the key.
func (r *Rogue) Update(out []byte, requested bool) []byte {
	asks := byte(0)
	if requested {
		asks = 1
	}
	out = r.Seal(out, Handshake, 24, 0, 0, 1, asks)
	r.secret, r.number = r.expand("traffic upd", r.hash().Size()), 0
	return out
}

// Flood appends to out rounds of as many KeyUpdates that ask for an answer as crypto/tls bears, each with a byte of data behind.
func (r *Rogue) Flood(out []byte, rounds int) []byte {
	for range rounds {
		for range 15 {
			out = r.Update(out, true)
		}
		out = r.Seal(out, ApplicationData, 'x')
	}
	return out
}
