package certs

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// write puts a new certificate for the names into the files of a pair.
func write(t *testing.T, p Pair, names ...string) tls.Certificate {
	t.Helper()
	c, err := SelfSigned(names...)
	if err != nil {
		t.Fatal(err)
	}
	writeOne(t, p.Cert, c)
	writeOne(t, p.Key, c)
	return c
}

// writeOne puts the certificate or the key of c into a file, as its name wants it.
func writeOne(t *testing.T, path string, c tls.Certificate) {
	t.Helper()
	block := &pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]}
	if strings.HasSuffix(path, ".key") {
		der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
		if err != nil {
			t.Fatal(err)
		}
		block = &pem.Block{Type: "PRIVATE KEY", Bytes: der}
	}
	if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
}

func pairIn(dir, name string) Pair {
	return Pair{Cert: filepath.Join(dir, name+".pem"), Key: filepath.Join(dir, name+".key")}
}

// served does a handshake for a name, and returns the certificate that it got.
func served(t *testing.T, f *Files, name string) *x509.Certificate {
	t.Helper()
	here, there := net.Pipe()
	defer here.Close()
	defer there.Close()
	go tls.Server(there, &tls.Config{GetCertificate: f.GetCertificate}).Handshake()
	c := tls.Client(here, &tls.Config{ServerName: name, InsecureSkipVerify: true})
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	return c.ConnectionState().PeerCertificates[0]
}

func TestCertificateIsChosenByName(t *testing.T) {
	dir := t.TempDir()
	one, wild, two := pairIn(dir, "one"), pairIn(dir, "wild"), pairIn(dir, "two")
	certs := []tls.Certificate{write(t, one, "one.example", "uno.example"), write(t, wild, "*.example.net"), write(t, two, "Two.example.net")}
	f, err := Load(nil, one, wild, two)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int{
		"one.example": 0, "UNO.example": 0, "any.example.net": 1, "two.example.net": 2, "deep.any.example.net": 0, "other.example": 0, "": 0,
	} {
		if got := served(t, f, name); !got.Equal(certs[want].Leaf) {
			t.Errorf("%q: %v", name, got.DNSNames)
		}
	}
}

func TestChangedFilesServeSoon(t *testing.T) {
	p := pairIn(t.TempDir(), "one")
	write(t, p, "one.example")
	var log bytes.Buffer
	f, err := Load(slog.New(slog.NewTextHandler(&log, nil)), p)
	if err != nil {
		t.Fatal(err)
	}
	f.next.Store(math.MaxInt64) // the second goes on
	second := write(t, p, "one.example")
	if got := served(t, f, "one.example"); got.Equal(second.Leaf) {
		t.Error("the files were looked at within the second")
	}
	f.next.Store(0) // a second is over
	if got := served(t, f, "one.example"); !got.Equal(second.Leaf) {
		t.Error("the one before still serves")
	}
	if !strings.Contains(log.String(), "serves from now on") || !strings.Contains(log.String(), p.Cert) {
		t.Errorf("the log: %s", log.String())
	}
}

func TestBrokenPairLeavesTheOneBefore(t *testing.T) {
	dir := t.TempDir()
	p, other := pairIn(dir, "one"), pairIn(dir, "other")
	first := write(t, p, "one.example")
	write(t, other, "other.example")
	var log bytes.Buffer
	f, err := Load(slog.New(slog.NewTextHandler(&log, nil)), other, p)
	if err != nil {
		t.Fatal(err)
	}
	mended, err := SelfSigned("one.example")
	if err != nil {
		t.Fatal(err)
	}
	for what, change := range map[string]func(){
		"an empty file":      func() { os.WriteFile(p.Cert, nil, 0o600) },
		"no file":            func() { os.Remove(p.Key) },
		"a key of another's": func() { write(t, p, "x.example"); writeOne(t, p.Key, mended) },
		"something else":     func() { os.WriteFile(p.Cert, []byte("certificate"), 0o600) },
		"half a file":        func() { b, _ := os.ReadFile(other.Cert); os.WriteFile(p.Cert, b[:len(b)/2], 0o600) },
	} {
		log.Reset()
		change()
		for range 3 {
			f.next.Store(0)
			if got := served(t, f, "one.example"); !got.Equal(first.Leaf) {
				t.Errorf("%s: %v serves", what, got.DNSNames)
			}
		}
		if n := strings.Count(log.String(), "cannot be used"); n != 1 {
			t.Errorf("%s: the log told %d times: %s", what, n, log.String())
		}
	}
	// What comes last makes it whole again.
	writeOne(t, p.Cert, mended)
	writeOne(t, p.Key, mended)
	f.next.Store(0)
	if got := served(t, f, "one.example"); !got.Equal(mended.Leaf) {
		t.Errorf("%v serves", got.DNSNames)
	}
}

// Kubernetes and certbot change a symbolic link, not the file.
func TestSymbolicLinksAreFollowed(t *testing.T) {
	dir := t.TempDir()
	old, fresh, p := pairIn(dir, "old"), pairIn(dir, "fresh"), pairIn(dir, "live")
	write(t, old, "one.example")
	second := write(t, fresh, "one.example")
	for live, was := range map[string]string{p.Cert: old.Cert, p.Key: old.Key} {
		if err := os.Symlink(was, live); err != nil {
			t.Skip(err)
		}
	}
	f, err := Load(nil, p)
	if err != nil {
		t.Fatal(err)
	}
	for live, is := range map[string]string{p.Cert: fresh.Cert, p.Key: fresh.Key} {
		os.Remove(live)
		os.Symlink(is, live)
	}
	f.next.Store(0)
	if got := served(t, f, ""); !got.Equal(second.Leaf) {
		t.Error("the one before still serves")
	}
}

func TestLoadWantsEveryPairGood(t *testing.T) {
	dir := t.TempDir()
	good := pairIn(dir, "good")
	write(t, good, "good.example")
	for want, pairs := range map[string][]Pair{
		"no files are named":   nil,
		syscall.ENOENT.Error(): {good, pairIn(dir, "missing")},
		"rather than a key":    {{Cert: good.Cert, Key: good.Cert}},
		"certs: " + good.Key:   {{Cert: good.Key, Key: good.Cert}},
	} {
		if _, err := Load(nil, pairs...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v", pairs, err)
		}
	}
}

func TestAnEncryptedKeyIsExplained(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	out, err := exec.Command("openssl", "req", "-x509", "-newkey", "rsa:2048", "-passout", "pass:secret", "-keyout", key, "-out", cert, "-subj", "/CN=localhost").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if _, err := Load(nil, Pair{Cert: cert, Key: key}); err == nil || !strings.Contains(err.Error(), "the key is encrypted: openssl pkey -in "+key) {
		t.Errorf("%v", err)
	}
}

func TestManyHandshakesWhileFilesChange(t *testing.T) {
	p := pairIn(t.TempDir(), "one")
	write(t, p, "one.example")
	f, err := Load(slog.New(slog.DiscardHandler), p)
	if err != nil {
		t.Fatal(err)
	}
	f.every = 0
	f.next.Store(0)
	var hands sync.WaitGroup
	for range 4 {
		hands.Go(func() {
			for range 20 {
				served(t, f, "one.example")
			}
		})
	}
	for range 20 {
		write(t, p, "one.example")
	}
	hands.Wait()
}

func TestSelfSignedIsWhatItSays(t *testing.T) {
	c, err := SelfSigned("localhost", "127.0.0.1", "::1")
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(c.Leaf)
	for _, name := range []string{"localhost", "127.0.0.1", "::1"} {
		if _, err := c.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: name}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := c.Leaf.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: time.Now().AddDate(1, 0, 1)}); err == nil {
		t.Error("it never expires")
	}
	if _, err := SelfSigned(); err == nil {
		t.Error("it is for nobody")
	}
	if Fingerprint(tls.Certificate{}) != "" {
		t.Error("no certificate has a fingerprint")
	}
}

func TestFingerprintIsOpenssls(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	p := pairIn(t.TempDir(), "one")
	c := write(t, p, "one.example")
	out, err := exec.Command(openssl, "x509", "-in", p.Cert, "-noout", "-fingerprint", "-sha256").Output()
	if err != nil {
		t.Fatal(err)
	}
	if got := Fingerprint(c); !strings.HasSuffix(strings.TrimSpace(string(out)), "="+got) {
		t.Errorf("%s, and openssl says %s", got, out)
	}
}
