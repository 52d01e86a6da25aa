package certs

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Clients verifies certificates of clients: an authority in a file must have signed them, and no revocation list may
// contain them. It reads the files again when they change, as Files does. That does not affect established
// connections. Any goroutine may use it.
type Clients struct {
	log   *slog.Logger
	every time.Duration
	base  *tls.Config

	mu          sync.Mutex
	authorities contents
	lists       []*contents
	next        atomic.Int64 // when to look again, in nanoseconds of the Unix era
	pool        *x509.CertPool
	read        []*revocations // one of each file of lists
	known       atomic.Pointer[tls.Config]
}

// LoadClients reads certificates of authorities from a file (PEM), and certificate revocation lists (RFC 5280; PEM or
// DER) from others. With at least one list, the issuer of every client certificate needs a list that has not expired:
// otherwise the certificate is refused. Later changes of the files are logged to log; nil means slog.Default.
func LoadClients(log *slog.Logger, authorities string, lists ...string) (*Clients, error) {
	c := &Clients{log: log, every: time.Second, read: make([]*revocations, len(lists))}
	c.authorities = contents{paths: []string{authorities}, use: c.useAuthorities}
	now := time.Now()
	if _, err := c.authorities.read(now); err != nil {
		return nil, fmt.Errorf("certs: %w", err)
	}
	for i, path := range lists {
		list := &contents{paths: []string{path}, use: func(parts [][]byte) (err error) {
			read, err := parseRevocations(path, parts[0])
			if err == nil {
				c.read[i] = read
			}
			return err
		}}
		if _, err := list.read(now); err != nil {
			return nil, fmt.Errorf("certs: %w", err)
		}
		c.lists = append(c.lists, list)
	}
	c.next.Store(now.Add(c.every).UnixNano())
	return c, nil
}

// Apply makes config ask clients for a certificate and verify it. Call it after all other fields of config are set,
// and once. It sets ClientAuth, ClientCAs, VerifyConnection and GetConfigForClient, which returns a copy of config
// with the current authorities.
func (c *Clients) Apply(config *tls.Config) {
	config.ClientAuth = tls.RequireAndVerifyClientCert
	c.base = config.Clone()
	config.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		c.look(time.Now())
		return c.known.Load(), nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.publish()
	config.ClientCAs, config.VerifyConnection = c.pool, c.known.Load().VerifyConnection
}

// look reads the files that have changed, if it is time.
func (c *Clients) look(now time.Time) {
	next := c.next.Load()
	if now.UnixNano() < next || !c.next.CompareAndSwap(next, now.Add(c.every).UnixNano()) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	log := loggerOr(c.log)
	some := false
	if c.authorities.follow(now, log, "file of authorities") {
		log.Info("changed authorities certify clients from now on", "file", c.authorities.paths[0])
		some = true
	}
	for _, list := range c.lists {
		if list.follow(now, log, "revocation list") {
			log.Info("a changed revocation list holds from now on", "file", list.paths[0])
			some = true
		}
	}
	if some {
		c.publish()
	}
}

// publish makes what is read known. mu is held.
func (c *Clients) publish() {
	config := c.base.Clone()
	config.ClientCAs = c.pool
	if len(c.lists) > 0 {
		valid := revoker(append([]*revocations(nil), c.read...))
		before := c.base.VerifyConnection
		config.VerifyConnection = func(state tls.ConnectionState) error {
			if err := valid.check(state.VerifiedChains, time.Now()); err != nil || before == nil {
				return err
			}
			return before(state)
		}
	}
	c.known.Store(config)
}

// useAuthorities takes the certificates of a file.
func (c *Clients) useAuthorities(parts [][]byte) error {
	pool := x509.NewCertPool()
	some := false
	for block, rest := pem.Decode(parts[0]); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return fmt.Errorf("%s: %w", c.authorities.paths[0], err)
		}
		pool.AddCert(cert)
		some = true
	}
	if !some {
		return fmt.Errorf("%s has no certificate in it (PEM)", c.authorities.paths[0])
	}
	c.pool = pool
	return nil
}
