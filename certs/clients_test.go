package certs

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// openssl runs openssl in a directory.
func openssl(t *testing.T, dir string, args ...string) {
	t.Helper()
	program, err := exec.LookPath("openssl")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	cmd := exec.Command(program, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("openssl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// An authority is a directory in which openssl makes and revokes certificates.
type authority struct {
	t   *testing.T
	dir string
}

func newAuthority(t *testing.T, name string) authority {
	t.Helper()
	a := authority{t, t.TempDir()}
	config := `[ca]
default_ca = here
[here]
database = index.txt
serial = serial
crlnumber = crlnumber
new_certs_dir = .
certificate = ca.pem
private_key = ca.key
default_md = sha256
default_days = 30
default_crl_days = 30
policy = any
[any]
commonName = supplied
[req]
distinguished_name = dn
[dn]
`
	for file, text := range map[string]string{"ca.cnf": config, "index.txt": "", "serial": "1000\n", "crlnumber": "01\n"} {
		if err := os.WriteFile(filepath.Join(a.dir, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	a.run("req", "-config", "ca.cnf", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-days", "30",
		"-subj", "/CN="+name, "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
	return a
}

func (a authority) run(args ...string) { a.t.Helper(); openssl(a.t, a.dir, args...) }

func (a authority) path(file string) string { return filepath.Join(a.dir, file) }

// certifies returns a certificate for a name.
func (a authority) certifies(name string) tls.Certificate {
	a.t.Helper()
	a.run("req", "-config", "ca.cnf", "-newkey", "rsa:2048", "-nodes", "-keyout", name+".key", "-out", name+".csr", "-subj", "/CN="+name)
	a.run("ca", "-batch", "-config", "ca.cnf", "-in", name+".csr", "-out", name+".pem", "-notext")
	cert, err := tls.LoadX509KeyPair(a.path(name+".pem"), a.path(name+".key"))
	if err != nil {
		a.t.Fatal(err)
	}
	return cert
}

// lists writes the revocation list into a file.
func (a authority) lists(more ...string) string {
	a.t.Helper()
	a.run(append([]string{"ca", "-config", "ca.cnf", "-gencrl", "-out", "list.pem"}, more...)...)
	return a.path("list.pem")
}

// admitted does a handshake as a client with a certificate, and returns what the server says of it.
func admitted(t *testing.T, config *tls.Config, client *tls.Config) error {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0") // a net.Pipe has no buffers, and both sides may be writing
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	here, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer here.Close()
	said := make(chan error, 1)
	go func() {
		there, err := l.Accept()
		if err != nil {
			said <- err
			return
		}
		defer there.Close()
		s := tls.Server(there, config)
		err = s.Handshake()
		if err == nil {
			_, err = s.Write([]byte("welcome"))
		}
		said <- err
	}()
	c := tls.Client(here, client)
	c.Read(make([]byte, 7))
	return <-said
}

func configFor(t *testing.T, c *Clients) *tls.Config {
	t.Helper()
	own, err := SelfSigned("server.example")
	if err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{own}}
	c.Apply(config)
	return config
}

func clientWith(cert tls.Certificate) *tls.Config {
	return &tls.Config{InsecureSkipVerify: true, ServerName: "server.example", Certificates: []tls.Certificate{cert},
		ClientSessionCache: tls.NewLRUClientSessionCache(4)}
}

func TestARevokedClientIsRefused(t *testing.T) {
	a := newAuthority(t, "authority")
	good, bad := a.certifies("good"), a.certifies("bad")
	var log bytes.Buffer
	c, err := LoadClients(slog.New(slog.NewTextHandler(&log, nil)), a.path("ca.pem"), a.lists())
	if err != nil {
		t.Fatal(err)
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		config := configFor(t, c)
		config.MinVersion, config.MaxVersion = version, version
		before := clientWith(bad)
		for name, client := range map[string]*tls.Config{"good": clientWith(good), "bad": before} {
			if err := admitted(t, config, client); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	config := configFor(t, c)
	resumes := clientWith(bad)
	if err := admitted(t, config, resumes); err != nil {
		t.Fatal(err)
	}
	a.run("ca", "-config", "ca.cnf", "-revoke", "bad.pem")
	a.lists()
	c.next.Store(0)
	for name, client := range map[string]*tls.Config{"anew": clientWith(bad), "resumed": resumes} {
		if err := admitted(t, config, client); err == nil || !strings.Contains(err.Error(), `revoked: that of "CN=bad"`) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := admitted(t, config, clientWith(good)); err != nil {
		t.Error(err)
	}
	if !strings.Contains(log.String(), "a changed revocation list holds") {
		t.Error(log.String())
	}
}

func TestAListThatIsNotGoodRefusesEverybody(t *testing.T) {
	a, other := newAuthority(t, "authority"), newAuthority(t, "other")
	cert := a.certifies("good")
	for want, list := range map[string]string{
		`no revocation list of the issuer "CN=authority"`: other.lists(),
		"is out of date since":                            a.lists("-crl_lastupdate", "20200101000000Z", "-crl_nextupdate", "20200201000000Z"),
	} {
		c, err := LoadClients(nil, a.path("ca.pem"), list)
		if err != nil {
			t.Fatal(err)
		}
		if err := admitted(t, configFor(t, c), clientWith(cert)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	// One of the same name is not the issuer.
	twin := newAuthority(t, "authority")
	c, err := LoadClients(nil, a.path("ca.pem"), twin.lists())
	if err != nil {
		t.Fatal(err)
	}
	if err := admitted(t, configFor(t, c), clientWith(cert)); err == nil || !strings.Contains(err.Error(), "no revocation list") {
		t.Error(err)
	}
	for want, text := range map[string]string{"no revocation list in it": "-----BEGIN X-----\n-----END X-----\n", "list.pem": "\x30\x03abc"} {
		path := filepath.Join(t.TempDir(), "list.pem")
		os.WriteFile(path, []byte(text), 0o600)
		if _, err := LoadClients(nil, a.path("ca.pem"), path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestAuthoritiesAreReadAgain(t *testing.T) {
	a, next := newAuthority(t, "first"), newAuthority(t, "second")
	first, second := a.certifies("client"), next.certifies("client")
	file := filepath.Join(t.TempDir(), "clients.pem")
	put := func(from authority) {
		text, err := os.ReadFile(from.path("ca.pem"))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put(a)
	var log bytes.Buffer
	c, err := LoadClients(slog.New(slog.NewTextHandler(&log, nil)), file)
	if err != nil {
		t.Fatal(err)
	}
	config := configFor(t, c)
	resumes := clientWith(first)
	if err := admitted(t, config, resumes); err != nil {
		t.Fatal(err)
	}
	if err := admitted(t, config, clientWith(second)); err == nil {
		t.Error("a client of the second authority is served")
	}
	put(next)
	c.next.Store(0)
	if err := admitted(t, config, clientWith(second)); err != nil {
		t.Error(err)
	}
	for name, client := range map[string]*tls.Config{"anew": clientWith(first), "resumed": resumes} {
		if err := admitted(t, config, client); err == nil {
			t.Errorf("%s: a client of the first authority is still served", name)
		}
	}
	os.WriteFile(file, []byte("no certificate"), 0o600)
	c.next.Store(0)
	if err := admitted(t, config, clientWith(second)); err != nil {
		t.Error(err)
	}
	if !strings.Contains(log.String(), "has no certificate in it") {
		t.Error(log.String())
	}
}

func TestNothingIsValidBecauseOfASelfSignedCertificate(t *testing.T) {
	own, err := SelfSigned("localhost")
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: own.Leaf.SerialNumber, DNSNames: []string{"bank.example"}, NotAfter: own.Leaf.NotAfter}
	der, err := x509.CreateCertificate(nil, template, own.Leaf, own.Leaf.PublicKey, own.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	forged, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(own.Leaf)
	if _, err := forged.Verify(x509.VerifyOptions{Roots: roots}); err == nil {
		t.Error("it certifies another name")
	}
	p := pairIn(t.TempDir(), "own")
	writeOne(t, p.Cert, own)
	openssl(t, ".", "verify", "-x509_strict", "-purpose", "sslserver", "-verify_hostname", "localhost", "-CAfile", p.Cert, p.Cert)
}

func FuzzParseRevocations(f *testing.F) {
	f.Add([]byte("-----BEGIN X509 CRL-----\nMAA=\n-----END X509 CRL-----\n"))
	f.Add([]byte{0x30, 0x03, 1, 1, 0})
	f.Fuzz(func(t *testing.T, text []byte) {
		found, err := parseRevocations("list", text)
		if err == nil && (found == nil || len(found.lists) == 0) {
			t.Errorf("%d bytes gave no list and no error", len(text))
		}
	})
}
