package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/switchboard-go/switchboard/internal/bench"
	"github.com/switchboard-go/switchboard/internal/field"
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
	c.set.StringVar(&c.ca, prefix+"-ca", "", "`FILE` with certificates (PEM) to trust, instead of those of the system")
	c.set.StringVar(&c.name, prefix+"-server-name", "", "`NAME` that the server's certificate must have (default: the host)")
	c.set.BoolVar(&c.insecure, prefix+"-insecure", false, "accept any certificate")
	c.set.StringVar(&c.cert, prefix+"-cert", "", "`FILE` with the client certificate (PEM), for servers that ask for one")
	c.set.StringVar(&c.key, prefix+"-key", "", "`FILE` with the private key (PEM) of the client certificate")
	c.set.StringSliceVar(&c.alpn, prefix+"-alpn", nil, "`PROTOCOL` to offer with ALPN; the preferred one first: h2,http/1.1")
	cmd.Flags().AddFlagSet(c.set)
	cmd.RegisterFlagCompletionFunc(prefix+"-server-name", cobra.NoFileCompletions)
	cmd.RegisterFlagCompletionFunc(prefix+"-alpn", cobra.NoFileCompletions)
}

// A destination is an address to connect to, and how to speak TLS there: not at all if tls is nil.
type destination struct {
	address
	tls *tls.Config
}

// parse reads addresses to connect to. Those that speak TLS begin with tls://; without one the flags make no sense.
func (c *clientTLS) parse(texts ...string) (destinations []destination, err error) {
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
			return nil, inFull(inTermsOf(c.command, c.schemes, err), text, rest)
		}
		if !secure {
			destinations = append(destinations, destination{address: to})
			continue
		}
		if config == nil {
			if config, err = c.load(); err != nil {
				return nil, err
			}
		}
		destinations = append(destinations, destination{to, config})
	}
	if config == nil {
		c.set.VisitAll(func(flag *pflag.Flag) {
			if flag.Changed && err == nil {
				err = fmt.Errorf("--%s is for tls://HOST:PORT", flag.Name)
			}
		})
	}
	return destinations, err
}

// load reads what the flags name.
func (c *clientTLS) load() (config *tls.Config, err error) {
	own := new(tls.Certificate) // none
	switch {
	case (c.cert == "") != (c.key == ""):
		return nil, fmt.Errorf("--%s-cert and --%[1]s-key belong together", c.prefix)
	case c.insecure && c.ca != "":
		return nil, fmt.Errorf("--%s-insecure and --%[1]s-ca exclude each other", c.prefix)
	case slices.Contains(c.alpn, "") || slices.ContainsFunc(c.alpn, func(name string) bool { return len(name) > 255 }):
		return nil, fmt.Errorf("--%s-alpn: %q: a protocol has a name of 1 to 255 bytes", c.prefix, c.alpn)
	case c.name != "" && net.ParseIP(c.name) == nil && field.CheckName(strings.TrimSuffix(c.name, ".")) != nil:
		return nil, fmt.Errorf("--%s-server-name: %w", c.prefix, field.CheckName(c.name))
	case c.cert != "":
		if *own, err = tls.LoadX509KeyPair(c.cert, c.key); err != nil {
			return nil, fileFailure(fmt.Errorf("%s with %s: %w", c.cert, c.key, err), c.files())
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
		if config.RootCAs, err = readCertificates(c.ca); err != nil {
			return nil, fileFailure(err, flagFiles{{"--" + c.prefix + "-ca", []string{c.ca}}})
		}
	}
	return config, nil
}

func (c *clientTLS) files() flagFiles {
	return flagFiles{{"--" + c.prefix + "-cert", []string{c.cert}}, {"--" + c.prefix + "-key", []string{c.key}}}
}

// hinted says what to do about an error of TLS, where something can be done.
func (c *clientTLS) hinted(err error) error {
	var hint string
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, new(tls.RecordHeaderError)):
		hint = "it does not speak TLS"
	case strings.Contains(err.Error(), "*tls.clientHelloMsg"): // our own
		hint = "it does not speak TLS, but sends back what it receives"
	case errors.As(err, new(x509.UnknownAuthorityError)):
		hint = fmt.Sprintf("--%s-ca FILE sets the authorities to trust, --%[1]s-insecure accepts any certificate", c.prefix)
	case errors.As(err, new(x509.HostnameError)):
		hint = fmt.Sprintf("--%s-server-name NAME sets the name to expect", c.prefix)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		hint = fmt.Sprintf("the server needs a new one; --%s-insecure accepts any", c.prefix)
	case bench.IsTLSAlert(err) && c.cert == "" && c.asked.Load():
		hint = fmt.Sprintf("it asked for a client certificate: see --%s-cert and --%[1]s-key", c.prefix)
	default:
		return err
	}
	return fmt.Errorf("%w (%s)", err, hint)
}

// readCertificates reads a file of certificates that are trusted.
func readCertificates(file string) (*x509.CertPool, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s has no certificate in it (PEM)", file)
	}
	return pool, nil
}
