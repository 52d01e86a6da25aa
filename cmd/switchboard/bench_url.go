package main

import (
	"cmp"
	"fmt"
	"net"
	"net/url"
	"strings"

	"github.com/spf13/pflag"
)

// byURL takes a target that is the URL of a web page apart: it stands for --expect http and --path. Others it returns as
// they are.
func (b *benching) byURL(flags *pflag.FlagSet, target string) (string, error) {
	scheme, _, _ := strings.Cut(target, "://")
	if scheme != "http" && scheme != "https" {
		return target, nil
	}
	u, err := url.Parse(target)
	switch {
	case err != nil:
		return "", err
	case u.Hostname() == "" || u.User != nil || u.Fragment != "":
		return "", fmt.Errorf("%s: it is %s://HOST, a port if need be, and a path", target, scheme)
	case flags.Changed("path") || flags.Changed("expect") && b.expect != "http":
		return "", fmt.Errorf("%s: the URL says what --path and --expect would", target)
	}
	b.expect, b.cfg.Path = "http", cmp.Or(u.RequestURI(), "/")
	if scheme == "https" {
		return "tls://" + net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), "443")), nil
	}
	return net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), "80")), nil
}
