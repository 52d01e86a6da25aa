//go:build unix

package switchboard_test

import (
	"crypto/tls"
	"crypto/x509"
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

// onEveryEngineOverTLS is onEveryEngine for the two versions of TLS in use.
func onEveryEngineOverTLS(t *testing.T, promise func(t *testing.T, s *switchboard.Server, client *tls.Config)) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
				s.TLSConfig = serverTLS()
				client := clientTLS()
				client.MinVersion, client.MaxVersion = version, version
				promise(t, s, client)
			})
		})
	}
}

// callTLS connects with crypto/tls as it is used everywhere else.
func callTLS(t testing.TB, address string, config *tls.Config) peer {
	t.Helper()
	raw := call(t, address).Conn
	c := tls.Client(raw, config)
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	return peer{c, t}
}
