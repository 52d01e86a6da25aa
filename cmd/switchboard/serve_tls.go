package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/switchboard-go/switchboard/certs"
)

// A serverTLS is what serve is told about TLS with its clients.
type serverTLS struct {
	certs, keys []string
	clientCA    string
	revoked     []string
	selfSigned  bool
	handshakes  int
	timeout     time.Duration
	protocols   []string // of ALPN
}

// add adds the flags to those that only event loops have.
func (f *serverTLS) add(flags *pflag.FlagSet) {
	flags.StringSliceVar(&f.certs, "tls-cert", nil, "speak TLS with the certificate in `FILE` (PEM), which is read again when it changes; may be repeated: "+
		"the server name of the client chooses")
	flags.StringSliceVar(&f.keys, "tls-key", nil, "`FILE` with the private key (PEM) of each --tls-cert, in the same order")
	flags.StringVar(&f.clientCA, "tls-client-ca", "", "require client certificates of an authority in `FILE` (PEM), which is read again when it "+
		"changes")
	flags.StringSliceVar(&f.revoked, "tls-crl", nil, "refuse client certificates in the revocation list in `FILE` (PEM or DER), which is read again "+
		"when it changes; may be repeated: each issuer needs a list")
	flags.BoolVar(&f.selfSigned, "tls-self-signed", false, "speak TLS with a new self-signed certificate, for testing")
	flags.IntVar(&f.handshakes, "tls-handshakes", 1024, "limit of TLS handshakes at the same time on each loop")
	flags.DurationVar(&f.timeout, "tls-timeout", 10*time.Second, "limit of the time of a TLS handshake (0: no limit)")
}

// check makes sure that those of flags that are f's make sense together. A server with targets shakes hands with them as well.
func (f *serverTLS) check(flags *pflag.FlagSet) error {
	secure, targets := len(f.certs) > 0 || f.selfSigned, flags.Lookup("to") != nil
	for _, flag := range []string{"tls-handshakes", "tls-timeout"} {
		if flags.Changed(flag) && !secure && !targets {
			return fmt.Errorf("--%s needs --tls-cert and --tls-key, or --tls-self-signed", flag)
		}
	}
	switch {
	case len(f.certs) != len(f.keys):
		return fmt.Errorf("%d of --tls-cert and %d of --tls-key: each certificate needs its key", len(f.certs), len(f.keys))
	case len(f.certs) > 0 && f.selfSigned:
		return errors.New("--tls-self-signed and --tls-cert exclude each other")
	case f.clientCA != "" && !secure:
		return errors.New("--tls-client-ca needs --tls-cert and --tls-key, or --tls-self-signed")
	case len(f.revoked) > 0 && f.clientCA == "":
		return errors.New("--tls-crl needs --tls-client-ca: it applies to client certificates")
	case f.handshakes < 1:
		return fmt.Errorf("--tls-handshakes %d: at least 1", f.handshakes)
	}
	return nil
}

// config reads or makes the certificates, and returns what to log about them. It is nil if TLS is not spoken.
func (f *serverTLS) config(log *slog.Logger, listen []string) (config *tls.Config, about []any, err error) {
	config = &tls.Config{NextProtos: f.protocols}
	switch {
	case f.selfSigned:
		own, err := certs.SelfSigned(hostsOf(listen)...)
		if err != nil {
			return nil, nil, failure{exitFailed, err}
		}
		config.Certificates = []tls.Certificate{own}
		about = []any{"tls", "self-signed", "sha256", certs.Fingerprint(own)}
	case len(f.certs) > 0:
		var pairs []certs.Pair
		for i, cert := range f.certs {
			pairs = append(pairs, certs.Pair{Cert: cert, Key: f.keys[i]})
		}
		files, err := certs.Load(log, pairs...)
		if err != nil {
			return nil, nil, fileFailure(err, flagFiles{{"--tls-cert", f.certs}, {"--tls-key", f.keys}})
		}
		config.GetCertificate = files.GetCertificate
		about = []any{"tls", strings.Join(f.certs, ",")}
	default:
		return nil, nil, nil
	}
	if f.clientCA != "" {
		clients, err := certs.LoadClients(log, f.clientCA, f.revoked...)
		if err != nil {
			return nil, nil, fileFailure(err, flagFiles{{"--tls-client-ca", []string{f.clientCA}}, {"--tls-crl", f.revoked}})
		}
		clients.Apply(config)
	}
	return config, about, nil
}

// hostsOf returns the names by which a server on this machine is called.
func hostsOf(listen []string) []string {
	hosts := []string{"localhost", "127.0.0.1", "::1"}
	if name, err := os.Hostname(); err == nil && name != "" {
		hosts = append(hosts, name)
	}
	for _, text := range listen {
		a, err := parseAddress(text)
		if err != nil || a.network != "tcp" && a.network != "wss" {
			continue
		}
		host, _, _ := net.SplitHostPort(a.name)
		if ip, err := netip.ParseAddr(host); err == nil {
			host = ip.WithZone("").String()
		}
		if host != "" && host != "0.0.0.0" && host != "::" && !slices.Contains(hosts, host) {
			hosts = append(hosts, host)
		}
	}
	return hosts
}
