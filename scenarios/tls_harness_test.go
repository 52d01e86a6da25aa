package scenarios

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"net"
	"sync"
	"testing"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/certs"
)

// ours is the certificate of every server here, made once.
var ours = sync.OnceValue(func() tls.Certificate {
	c, err := certs.SelfSigned("localhost", "127.0.0.1", "::1")
	if err != nil {
		panic(err)
	}
	return c
})

// serverTLS is a server's configuration with that certificate.
func serverTLS() *tls.Config { return &tls.Config{Certificates: []tls.Certificate{ours()}} }

// clientTLS is that of a client who knows the certificate.
func clientTLS() *tls.Config {
	roots := x509.NewCertPool()
	roots.AddCert(ours().Leaf)
	return &tls.Config{RootCAs: roots, ServerName: "localhost"}
}

// overTLS runs a test with servers that speak TLS: on the engines that are of different kinds, or the only one.
func overTLS(t *testing.T, promise func(t *testing.T, s *switchboard.Server)) {
	for _, engine := range engines() {
		if engine == "poll" || engine == "select" {
			continue
		}
		t.Run(engine+" over TLS", func(t *testing.T) {
			leavesNothing(t)
			s := newServer(t, engine)
			s.TLSConfig = serverTLS()
			promise(t, s)
		})
	}
}

// onEveryVersion is overTLS for each of the two versions in use.
func onEveryVersion(t *testing.T, promise func(t *testing.T, s *switchboard.Server, client *tls.Config)) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			overTLS(t, func(t *testing.T, s *switchboard.Server) {
				client := clientTLS()
				client.MinVersion, client.MaxVersion = version, version
				s.TLSConfig.MinVersion, s.TLSConfig.MaxVersion = version, version
				promise(t, s, client)
			})
		})
	}
}

// callTLS is call with a configuration of the test's.
func callTLS(t testing.TB, address string, config *tls.Config) peer {
	t.Helper()
	return reach(t, address, net.Dialer{}).secures(config)
}

// A tapped connection is below a crypto/tls, and changes how bytes go over the wire.
type tapped struct {
	net.Conn
	change func(p []byte) // may change what is written
	byByte bool           // each byte is written on its own
	hold   bool           // what is written waits for release
	held   []byte
	read   func(p []byte) // is told what one system call read
	buf    []byte
	rest   []byte // of it
}

func (c *tapped) Write(p []byte) (int, error) {
	if c.change != nil {
		p = bytes.Clone(p)
		c.change(p)
	}
	if c.hold {
		c.held = append(c.held, p...)
		return len(p), nil
	}
	if !c.byByte {
		return c.Conn.Write(p)
	}
	for i := range p {
		if _, err := c.Conn.Write(p[i : i+1]); err != nil {
			return i, err
		}
	}
	return len(p), nil
}

// release writes in one call what was held back.
func (c *tapped) release() error {
	c.hold, c.read = false, nil
	_, err := c.Conn.Write(c.held)
	return err
}

func (c *tapped) Read(p []byte) (int, error) {
	if len(c.rest) == 0 {
		if c.buf == nil {
			c.buf = make([]byte, 64<<10)
		}
		n, err := c.Conn.Read(c.buf)
		if n == 0 {
			return 0, err
		}
		c.rest = c.buf[:n]
		if c.read != nil {
			c.read(c.rest)
		}
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}
