package tlsconn_test

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
	"fmt"
	"hash"
	"io"
	"strings"
	"sync"
	"testing"
)

// A rogue makes TLS 1.3 records that crypto/tls would not send. It learns the secret of its side from the log of keys
// (RFC 8446, sections 5.2 and 7).
type rogue struct {
	mu     sync.Mutex
	log    bytes.Buffer
	secret []byte
	number uint64
	hash   func() hash.Hash
	length int // of a key
}

// Write implements io.Writer for tls.Config.KeyLogWriter.
func (r *rogue) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.Write(p)
}

// learn takes over the sending side of a connection that has sent nothing since its handshake.
func (r *rogue) learn(t testing.TB, label string, suite uint16) {
	r.mu.Lock()
	defer r.mu.Unlock()
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
		t.Skipf("the cipher suite is %s, as this machine has no AES instructions", tls.CipherSuiteName(suite))
	}
	if r.secret == nil {
		t.Fatal("no secret in the log")
	}
}

func (r *rogue) expand(label string, n int) []byte {
	info := binary.BigEndian.AppendUint16(nil, uint16(n))
	info = append(info, byte(len("tls13 ")+len(label)))
	info = append(append(info, "tls13 "+label...), 0)
	key, err := hkdf.Expand(r.hash, r.secret, string(info), n)
	if err != nil {
		panic(err)
	}
	return key
}

// seals appends to out a record of the given type.
func (r *rogue) seals(out []byte, kind byte, plain ...byte) []byte {
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

// updates appends to out a KeyUpdate, which asks the other side for one of its own or not, and changes the key.
func (r *rogue) updates(out []byte, requested byte) []byte {
	out = r.seals(out, 22, 24, 0, 0, 1, requested)
	r.secret, r.number = r.expand("traffic upd", r.hash().Size()), 0
	return out
}

// roguePeer is a Conn of either side, whose handshake is over, and a rogue on the other end.
func roguePeer(t *testing.T, side string, part func(c *tls.Conn) error) (*owner, *peer, *rogue) {
	server, client := serverConfig(tls.VersionTLS13), clientConfig(tls.VersionTLS13)
	server.SessionTicketsDisabled = true // a ticket is a record too
	r := new(rogue)
	shaken := make(chan *tls.Conn, 1)
	play := func(c *tls.Conn) error {
		if err := c.Handshake(); err != nil {
			return err
		}
		shaken <- c
		return part(c)
	}
	var o *owner
	var p *peer
	label := "CLIENT_TRAFFIC_SECRET_0"
	if side == "server" {
		client.KeyLogWriter = r
		o, p = serverWith(t, server, client, whole, play)
	} else {
		server.KeyLogWriter, label = r, "SERVER_TRAFFIC_SECRET_0"
		o, p = clientWith(t, client, server, whole, play)
	}
	o.shakes()
	r.learn(t, label, next(t, shaken).ConnectionState().CipherSuite)
	return o, p, r
}

var sides = []string{"server", "client"}

// A flood of KeyUpdates that ask for an answer, with just enough data between them, is answered with bytes that the owner
// can count: no more than came. The peer can read them, and what is encrypted after them.
func TestAnswersToKeyUpdatesAreGivenBack(t *testing.T) {
	for _, side := range sides {
		t.Run(side, func(t *testing.T) {
			leavesNothing(t)
			o, p, r := roguePeer(t, side, func(c *tls.Conn) error {
				got := make([]byte, 50)
				if _, err := io.ReadFull(c, got); string(got) != strings.Repeat("reply", 10) {
					return fmt.Errorf("%q, %v", got, err)
				}
				return nil
			})
			flood := func(rounds int) (answers []byte) {
				var came []byte
				for range rounds {
					for range 15 {
						came = r.updates(came, 1)
					}
					came = r.seals(came, 23, 'x')
				}
				plain, rest, answers, err := o.c.Decrypt(make([]byte, 0, 20_000), came, nil)
				if string(plain) != strings.Repeat("x", rounds) || len(rest) > 0 || err != nil {
					t.Fatalf("%q, %d left, %v", plain, len(rest), err)
				}
				if len(answers) < rounds*15*5 || len(answers) > len(came) {
					t.Errorf("%d bytes came, and the answers are %d", len(came), len(answers))
				}
				return answers
			}
			for range 10 {
				o.send(flood(1))
				o.writes([]byte("reply"))
			}
			p.did(t)
			flood(100)
		})
	}
}

// More updates without data than crypto/tls bears end it.
func TestNothingButKeyUpdatesEndsTheConnection(t *testing.T) {
	for _, side := range sides {
		t.Run(side, func(t *testing.T) {
			leavesNothing(t)
			o, p, r := roguePeer(t, side, func(*tls.Conn) error { return nil })
			p.did(t)
			var flood []byte
			for range 1000 {
				flood = r.updates(flood, 1)
			}
			plain, _, answers, err := o.c.Decrypt(make([]byte, 0, 20_000), flood, nil)
			if err == nil || !o.c.Spoilt() || len(plain) > 0 || len(answers) == 0 || len(answers) > 1000 {
				t.Errorf("%q, %d bytes of answers, %v", plain, len(answers), err)
			}
		})
	}
}

// Messages may not span a change of keys: many updates in one record are refused, or they would be answered with more
// than came.
func TestManyKeyUpdatesInOneRecordAreRefused(t *testing.T) {
	for _, side := range sides {
		t.Run(side, func(t *testing.T) {
			leavesNothing(t)
			o, p, r := roguePeer(t, side, func(*tls.Conn) error { return nil })
			p.did(t)
			record := r.seals(nil, 22, bytes.Repeat([]byte{24, 0, 0, 1, 1}, 3000)...)
			_, _, answers, err := o.c.Decrypt(make([]byte, 0, 20_000), record, nil)
			if err == nil || len(answers) > 1000 {
				t.Errorf("%d bytes of answers, %v", len(answers), err)
			}
		})
	}
}
