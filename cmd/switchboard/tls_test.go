package main

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// An authority makes certificates, which those believe in who know its file.
type authority struct {
	t    testing.TB
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	a := &authority{t: t}
	a.cert = &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	var der []byte
	der, a.key = a.sign(a.cert, "authority")
	a.cert, _ = x509.ParseCertificate(der)
	a.file = filepath.Join(t.TempDir(), "authority.pem")
	writePEM(t, a.file, "CERTIFICATE", der)
	return a
}

// sign makes a certificate for a name: the authority's own as long as it has no key.
func (a *authority) sign(template *x509.Certificate, name string) (der []byte, key *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	signs := a.key
	if signs == nil {
		signs = key
	}
	template.SerialNumber, _ = rand.Int(rand.Reader, big.NewInt(1<<60))
	template.Subject = pkix.Name{CommonName: name}
	template.NotBefore = time.Now().Add(-24 * time.Hour)
	if template.NotAfter.IsZero() {
		template.NotAfter = time.Now().Add(24 * time.Hour)
	}
	if der, err = x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, signs); err != nil {
		a.t.Fatal(err)
	}
	return der, key
}

// writes puts a new certificate for a name and its key into two files.
func (a *authority) writes(cert, key, name string, until time.Time) {
	a.t.Helper()
	either := []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	template := &x509.Certificate{NotAfter: until, ExtKeyUsage: either}
	if ip := net.ParseIP(name); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{name}
	}
	der, private := a.sign(template, name)
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		a.t.Fatal(err)
	}
	writePEM(a.t, key, "PRIVATE KEY", secret)
	writePEM(a.t, cert, "CERTIFICATE", der)
}

// pair is writes for files of its own.
func (a *authority) pair(name string) (cert, key string) {
	a.t.Helper()
	dir := a.t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	a.writes(cert, key, name, time.Time{})
	return cert, key
}

func writePEM(t testing.TB, file, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

// inEveryVersion runs a test with each version of TLS that is in use.
func inEveryVersion(t *testing.T, test func(t *testing.T, version string)) {
	for _, version := range []string{"1.2", "1.3"} {
		t.Run("TLS "+version, func(t *testing.T) {
			t.Parallel()
			test(t, version)
		})
	}
}

// opensslVersion is the flag of openssl for a version.
func opensslVersion(version string) string { return "-tls" + strings.Replace(version, ".", "_", 1) }

// A program runs until the test ends.
type program struct {
	t      testing.TB
	input  io.WriteCloser
	output *bufio.Reader
}

func runs(t testing.TB, name string, args ...string) *program {
	t.Helper()
	cmd := exec.Command(installed(t, name), args...)
	input, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = w, w
	err = cmd.Start()
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		output.Close()
	})
	output.SetReadDeadline(time.Now().Add(patience))
	return &program{t, input, bufio.NewReader(output)}
}

func (p *program) says(s string) {
	p.t.Helper()
	if _, err := io.WriteString(p.input, s); err != nil {
		p.t.Fatal(err)
	}
}

// hears waits for a line that has a text in it, and returns it. What comes before does not matter.
func (p *program) hears(text string) string {
	p.t.Helper()
	for {
		line, err := p.output.ReadString('\n')
		if strings.Contains(line, text) {
			return strings.TrimSpace(line)
		}
		if err != nil {
			p.t.Fatalf("it never said %q: %v", text, err)
		}
	}
}

// opensslServer starts openssl's server, which sends back each line reversed, and returns its address.
func opensslServer(t testing.TB, args ...string) string {
	t.Helper()
	s := runs(t, "openssl", append([]string{"s_server", "-accept", "127.0.0.1:0", "-rev"}, args...)...)
	return strings.TrimPrefix(s.hears("ACCEPT 127.0.0.1:"), "ACCEPT ")
}

// pythonTLS starts Python's server, which answers in upper case when its client has ended.
func pythonTLS(t testing.TB, cert, key, version, how string) string {
	t.Helper()
	p := runs(t, "python3", "testdata/tls_server.py", cert, key, version, how)
	line, err := p.output.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return "127.0.0.1:" + strings.TrimSpace(line)
}
