package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/switchboard-go/switchboard/internal/bench"
)

// A clientTLS is what dial, bench and proxy are told about servers that speak TLS, in flags of one prefix.
type clientTLS struct {
	command   string // whose flags these are
	schemes   string // that it knows, in words
	prefix    string
	ca        string
	name      string
	insecure  bool
	cert, key string
	alpn      []string

	set   *pflag.FlagSet
	asked atomic.Bool // for a certificate, by a server
}

// addTo adds the flags to those of a command: --tls-ca with the prefix "tls", and so on.
func (c *clientTLS) addTo(cmd *cobra.Command, prefix string) {
	c.command, c.schemes = cmd.Name(), map[string]string{
		"dial":  "HOST:PORT, tls://, udp://, ws://, wss://, zmq+TYPE:// and unix:",
		"bench": "HOST:PORT, tls://, http://, https://, ws://, wss:// and unix:",
		"proxy": "HOST:PORT, tls://, ws://, wss:// and unix:",
	}[cmd.Name()]
	c.prefix, c.set = prefix, pflag.NewFlagSet(prefix, pflag.ContinueOnError)
	c.set.SortFlags = false
	c.set.StringVar(&c.ca, prefix+"-ca", "", "`FILE` of certificates (PEM) to trust at tls://…, instead of the system's")
	c.set.StringVar(&c.name, prefix+"-server-name", "", "`NAME` that the server's certificate must have (default: the host)")
	c.set.BoolVar(&c.insecure, prefix+"-insecure", false, "trust any certificate")
	c.set.StringVar(&c.cert, prefix+"-cert", "", "`FILE` of the certificate (PEM) to show a server that asks for one")
	c.set.StringVar(&c.key, prefix+"-key", "", "`FILE` of its private key")
	c.set.StringSliceVar(&c.alpn, prefix+"-alpn", nil, "`PROTOCOL` to offer, the best first (ALPN: h2,http/1.1)")
	cmd.Flags().AddFlagSet(c.set)
	cmd.RegisterFlagCompletionFunc(prefix+"-server-name", cobra.NoFileCompletions)
	cmd.RegisterFlagCompletionFunc(prefix+"-alpn", cobra.NoFileCompletions)
}

// A callee is an address to connect to, and how to speak TLS there: not at all if tls is nil.
type callee struct {
	address
	tls *tls.Config
}

// parse reads addresses to connect to. Those that speak TLS begin with tls://; without one the flags make no sense.
func (c *clientTLS) parse(texts ...string) (callees []callee, err error) {
	var config *tls.Config
	for _, text := range texts {
		rest, secure := strings.CutPrefix(text, "tls://")
		to, err := parseAddress(rest)
		if err == nil {
			err = to.callable(rest)
		}
		if err == nil && secure && to.network != "tcp" {
			err = fmt.Errorf("address %q: tls:// takes HOST:PORT", text)
		}
		if err != nil {
			return nil, inTermsOf(c.command, c.schemes, err)
		}
		if !secure {
			callees = append(callees, callee{address: to})
			continue
		}
		if config == nil {
			if config, err = c.load(); err != nil {
				return nil, err
			}
		}
		callees = append(callees, callee{to, config})
	}
	if config == nil {
		c.set.VisitAll(func(flag *pflag.Flag) {
			if flag.Changed && err == nil {
				err = fmt.Errorf("--%s is for tls://HOST:PORT", flag.Name)
			}
		})
	}
	return callees, err
}

// load reads what the flags name.
func (c *clientTLS) load() (config *tls.Config, err error) {
	own := new(tls.Certificate) // none
	switch {
	case (c.cert == "") != (c.key == ""):
		return nil, fmt.Errorf("--%s-cert and --%[1]s-key belong together", c.prefix)
	case c.insecure && c.ca != "":
		return nil, fmt.Errorf("--%s-insecure trusts anybody, and --%[1]s-ca says whom to trust", c.prefix)
	case c.cert != "":
		if *own, err = tls.LoadX509KeyPair(c.cert, c.key); err != nil {
			return nil, failure{exitFailed, fmt.Errorf("%s with %s: %w", c.cert, c.key, err)}
		}
	}
	config = &tls.Config{
		ServerName: c.name, InsecureSkipVerify: c.insecure, NextProtos: c.alpn,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			c.asked.Store(true)
			return own, nil
		},
	}
	if c.ca != "" {
		config.RootCAs, err = readCertificates(c.ca)
	}
	return config, err
}

// hinted says what to do about an error of TLS, where something can be done.
func (c *clientTLS) hinted(err error) error {
	var hint string
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, new(tls.RecordHeaderError)):
		hint = "it does not speak TLS"
	case errors.As(err, new(x509.UnknownAuthorityError)):
		hint = fmt.Sprintf("--%s-ca FILE says whom to trust, --%[1]s-insecure trusts anybody", c.prefix)
	case errors.As(err, new(x509.HostnameError)):
		hint = fmt.Sprintf("--%s-server-name NAME says whom to expect", c.prefix)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		hint = fmt.Sprintf("the server needs a new one; --%s-insecure trusts any", c.prefix)
	case bench.IsTLSAlert(err) && c.cert == "" && c.asked.Load():
		hint = fmt.Sprintf("it asked for a certificate: --%s-cert and --%[1]s-key show one", c.prefix)
	default:
		return err
	}
	return fmt.Errorf("%w (%s)", err, hint)
}

// readCertificates reads a file of certificates that are trusted.
func readCertificates(file string) (*x509.CertPool, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, failure{exitFailed, err}
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, failure{exitFailed, fmt.Errorf("%s has no certificate in it (PEM)", file)}
	}
	return pool, nil
}
