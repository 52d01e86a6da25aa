package tlsconn_test

import (
	"crypto/tls"
	"errors"
	"io"
	"testing"

	"github.com/switchboard-go/switchboard/internal/tlsconn"
)

// Whatever comes instead of a handshake, in whatever pieces, each step ends, and the handshake ends when it is told.
func FuzzHandshake(f *testing.F) {
	hello := clientHello(f, clientConfig(0))
	f.Add(hello, []byte{200}, false)
	f.Add(hello[:len(hello)-1], []byte{0}, false)
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"), []byte{4}, false)
	f.Add([]byte("\x16\x03\x03\x00\x04\x02\x00\x00\x00"), []byte{3}, true)
	f.Add([]byte("\x15\x03\x01\x00\x02\x01\x00\x15\x03\x01\x00\x02\x01\x00"), []byte{3}, true)
	f.Fuzz(func(t *testing.T, p, cuts []byte, client bool) {
		if len(cuts) == 0 {
			return
		}
		var c *tlsconn.Conn
		done := make(chan bool, 10)
		step := func(p []byte) (over bool) {
			c.Step(p, func() { done <- true })
			next(t, done)
			over, err := c.Handshaken()
			if err == nil && over {
				t.Fatal("it succeeded")
			}
			if panicked := new(tlsconn.PanicError); errors.As(err, &panicked) {
				t.Fatalf("%v\n%s", err, panicked.Stack)
			}
			if len(c.Output()) > 100_000 {
				t.Fatal("it says too much")
			}
			return over
		}
		if client {
			c = tlsconn.Client(clientConfig(0), addrs{})
			step(nil)
		} else {
			c = tlsconn.Server(serverConfig(0), addrs{})
		}
		over := false
		for i := 0; len(p) > 0 && !over; i++ {
			n := min(len(p), 1+int(cuts[i%len(cuts)]))
			over = step(p[:n])
			p = p[n:]
		}
		if !over {
			c.Cancel()
		}
		if len(done) > 0 {
			t.Error("done was called more than once")
		}
	})
}

// Whatever comes after the handshake, Decrypt uses it up or says that it is over, and answers with no more than came and
// an alert.
func FuzzDecrypt(f *testing.F) {
	f.Add([]byte("\x17\x03\x03\x00\x01x"), false, false)
	f.Add([]byte("\x15\x03\x03\x00\x02\x01\x00"), false, true)
	f.Add([]byte("\x16\x03\x03\x00\x04\x00\x00\x00\x00"), true, false)
	f.Add([]byte("\x14\x03\x03\x00\x01\x01\x14\x03\x03\x00\x01\x01"), true, true)
	f.Fuzz(func(t *testing.T, p []byte, client, old bool) {
		version := uint16(tls.VersionTLS13)
		if old {
			version = tls.VersionTLS12
		}
		c, other := connected(t, serverConfig(version), clientConfig(version))
		if client {
			c, other = other, c
		}
		plain, rest, answers, err := c.Decrypt(make([]byte, 0, 20_000), p, nil)
		if err == nil && len(rest) > 0 || len(plain) > 0 || len(answers) > len(p)+100 || err != nil && err != io.EOF && !c.Spoilt() {
			t.Errorf("%q, %d left, %d bytes of answers, %v", plain, len(rest), len(answers), err)
		}
	})
}
