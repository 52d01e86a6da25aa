//go:build unix

package switchboard_test

import (
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
