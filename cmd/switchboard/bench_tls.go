package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/pflag"
)

// A benchTLS is what bench is told about a server that speaks TLS.
type benchTLS struct {
	ca       string
	name     string
	insecure bool
}

func (b *benchTLS) addFlags(flags *pflag.FlagSet) {
	flags.StringVar(&b.ca, "tls-ca", "", "`FILE` of certificates to trust, instead of the system's, in tls://HOST:PORT")
	flags.StringVar(&b.name, "tls-server-name", "", "`NAME` that the server's certificate must have (default: the host)")
	flags.BoolVar(&b.insecure, "tls-insecure", false, "trust any certificate")
}

// config takes tls:// off the target and returns how to speak TLS to it, nil if it had no tls://.
func (b *benchTLS) config(flags *pflag.FlagSet, target *string) (*tls.Config, error) {
	rest, secure := strings.CutPrefix(*target, "tls://")
	if !secure {
		for _, name := range []string{"tls-ca", "tls-server-name", "tls-insecure"} {
			if flags.Changed(name) {
				return nil, fmt.Errorf("--%s is for tls://%s", name, *target)
			}
		}
		return nil, nil
	}
	*target = rest
	c := &tls.Config{ServerName: b.name, InsecureSkipVerify: b.insecure}
	if b.ca != "" {
		text, err := os.ReadFile(b.ca)
		if err != nil {
			return nil, failure{exitFailed, err}
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(text) {
			return nil, failure{exitFailed, errors.New(b.ca + " has no certificate in it (PEM)")}
		}
	}
	return c, nil
}
