//go:build unix

package bench

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/switchboard-go/switchboard/certs"
)

// certified makes a certificate for localhost, as files and as what a client trusts.
func certified(t *testing.T) (cert, key string, trusted *x509.CertPool) {
	t.Helper()
	c, err := certs.SelfSigned("localhost")
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key, trusted = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), x509.NewCertPool()
	public := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]})
	trusted.AppendCertsFromPEM(public)
	os.WriteFile(cert, public, 0o600)
	os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600)
	return cert, key, trusted
}

func TestTotalsAreThoseThatPythonCountsBehindTLS(t *testing.T) {
	cert, key, trusted := certified(t)
	for name, cfg := range map[string]Config{
		"closed loop": {Size: Range{1, 20000}, Depth: 3},
		"open loop":   {Rate: 1000},
		"churn":       {Churn: true, Conns: 3},
		"one version": {TLS: &tls.Config{MaxVersion: tls.VersionTLS12}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address, counts := counting(t, "asyncio_echo.py", cert, key)
			cfg.Address = strings.Replace(address, "127.0.0.1", "localhost", 1)
			version := "TLS 1.2"
			if cfg.TLS == nil {
				cfg.TLS, version = &tls.Config{}, "TLS 1.3"
			}
			cfg.TLS.RootCAs = trusted
			r := load(t, cfg)
			well(t, r)
			connections, bytes := counts()
			if r.Totals.BytesOut != bytes || r.Totals.BytesIn != bytes || r.Totals.Connections != connections {
				t.Errorf("%+v, the server has counted %d connections and %d bytes", r.Totals, connections, bytes)
			}
			if r.Settings.TLS != version {
				t.Errorf("it was %q", r.Settings.TLS)
			}
		})
	}
}

func TestACertificateThatIsNotTrustedIsAnError(t *testing.T) {
	cert, key, trusted := certified(t)
	address, _ := counting(t, "asyncio_echo.py", cert, key)
	for name, c := range map[string]*tls.Config{
		"unknown":    {ServerName: "localhost"},
		"wrong name": {ServerName: "example.org", RootCAs: trusted},
	} {
		if _, err := Run(t.Context(), filled(Config{Address: address, TLS: c})); err == nil || !strings.Contains(err.Error(), "certificate") {
			t.Errorf("%s: %v", name, err)
		}
	}
	plain := serve(t, "tcp", "127.0.0.1:0", echoing)
	if _, err := Run(t.Context(), filled(Config{Address: plain.at(), TLS: &tls.Config{}})); err == nil || !strings.Contains(err.Error(), "tls") {
		t.Errorf("a server without TLS: %v", err)
	}
}
