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
	case u.Hostname() == "":
		return "", fmt.Errorf("address %q: the host is missing", target)
	case u.Fragment != "" || strings.Contains(target, "#"):
		return "", fmt.Errorf("address %q: a fragment (#) means nothing here", target)
	case flags.Changed("path") || flags.Changed("expect") && b.expect != "http":
		return "", fmt.Errorf("%s: the URL says what --path and --expect would", target)
	}
	b.ws.user = u.User
	b.expect, b.cfg.Path = "http", cmp.Or(u.RequestURI(), "/")
	if scheme == "https" {
		return "tls://" + net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), "443")), nil
	}
	return net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), "80")), nil
}
