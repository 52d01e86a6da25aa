package certs

import (
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// A Pair names the files of a certificate (PEM, followed by its intermediate certificates) and of its private key
// (PEM).
type Pair struct {
	Cert, Key string
}

// Files are certificates that are read again when their files change. Handshakes that begin a second or more after a
// new pair was written use it; established connections keep theirs. There is no background goroutine: a handshake
// checks the files, at most once a second. If a new pair is invalid, the previous one stays in use and the log says
// why. A pair that could not be read (because of a permission, or for lack of descriptors) is tried again every
// second. Files that are no regular ones, such as pipes, are read only by Load.
type Files struct {
	log   *slog.Logger
	every time.Duration

	mu    sync.Mutex
	pairs []*pair
	next  atomic.Int64 // when to look again, in nanoseconds of the Unix era
	known atomic.Pointer[index]
}

// An index finds certificates by the names in them, in lower case; a wildcard's is "*.example.com".
type index struct {
	all    []*tls.Certificate
	byName map[string][]*tls.Certificate
}

// A pair is a Pair with its files and the certificate that was good last.
type pair struct {
	Pair
	files contents
	cert  *tls.Certificate
}

// Load reads the pairs. Each of them must be valid. Later changes of the files are logged to log; nil means
// slog.Default.
func Load(log *slog.Logger, pairs ...Pair) (*Files, error) {
	if len(pairs) == 0 {
		return nil, errors.New("certs: no files are named")
	}
	f := &Files{log: log, every: time.Second}
	now := time.Now()
	for _, names := range pairs {
		p := &pair{Pair: names}
		p.files = contents{paths: []string{p.Cert, p.Key}, use: p.use}
		if _, err := p.files.read(now); err != nil {
			return nil, fmt.Errorf("certs: %w", err)
		}
		WarnExposed(log, p.Key)
		f.pairs = append(f.pairs, p)
	}
	f.index()
	f.next.Store(now.Add(f.every).UnixNano())
	return f, nil
}

// GetCertificate is for the field GetCertificate of a tls.Config. Of the certificates with the server name that the
// client asks for, it returns the first that the client supports; without such a name, the first of all that it
// supports. Any goroutine may call it.
func (f *Files) GetCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	f.look(time.Now())
	known := f.known.Load()
	for _, c := range known.named(hello.ServerName) {
		if hello.SupportsCertificate(c) == nil {
			return c, nil
		}
	}
	for _, c := range known.all {
		if hello.SupportsCertificate(c) == nil {
			return c, nil
		}
	}
	return known.all[0], nil // crypto/tls tells the client what does not fit
}

// look reads the files that have changed, if it is time.
func (f *Files) look(now time.Time) {
	next := f.next.Load()
	if now.UnixNano() < next || !f.next.CompareAndSwap(next, now.Add(f.every).UnixNano()) {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	some := false
	log := loggerOr(f.log)
	for _, p := range f.pairs {
		if p.files.follow(now, log, "certificate") {
			log.Info("a changed certificate serves from now on", "cert", p.Cert, "until", p.cert.Leaf.NotAfter)
			WarnExposed(log, p.Key)
			some = true
		}
	}
	if some {
		f.index()
	}
}

// use makes a certificate of what is in the two files.
func (p *pair) use(parts [][]byte) error {
	cert, err := tls.X509KeyPair(parts[0], parts[1])
	if err != nil {
		if block, _ := pem.Decode(parts[1]); block != nil && (strings.Contains(block.Type, "ENCRYPTED") || block.Headers["DEK-Info"] != "") {
			err = fmt.Errorf("%w (the key is encrypted: openssl pkey -in %s writes it without its passphrase)", err, p.Key)
		}
		return fmt.Errorf("%s with %s: %w", p.Cert, p.Key, err)
	}
	p.cert = &cert
	return nil
}

// index makes what is read known. mu is held, or nobody else is there yet.
func (f *Files) index() {
	known := &index{byName: map[string][]*tls.Certificate{}}
	for _, p := range f.pairs {
		known.all = append(known.all, p.cert)
		for _, name := range p.cert.Leaf.DNSNames {
			name = strings.ToLower(name)
			known.byName[name] = append(known.byName[name], p.cert)
		}
	}
	f.known.Store(known)
}

// named returns the certificates that have a name, or the wildcard for it if none has.
func (k *index) named(name string) []*tls.Certificate {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if found := k.byName[name]; len(found) > 0 {
		return found
	}
	_, domain, _ := strings.Cut(name, ".")
	return k.byName["*."+domain]
}
