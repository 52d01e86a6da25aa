package field

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// CheckSubprotocols returns an error if a WebSocket cannot offer or support these names (RFC 6455, section 4.1).
func CheckSubprotocols(names []string) error {
	for i, name := range names {
		if !IsToken(name) {
			return fmt.Errorf("%q is not the name of a subprotocol: it cannot have spaces, separators such as / and :, or letters beyond ASCII", name)
		}
		if slices.Contains(names[:i], name) {
			return fmt.Errorf("%q is there twice", name)
		}
	}
	return nil
}

// CheckOrigin returns an error if no page has an origin that matches a pattern: "*", "null", an origin as browsers send it (RFC
// 6454, section 6.1), or one with "*." before its host.
func CheckOrigin(pattern string) error {
	if pattern == "*" || pattern == "null" {
		return nil
	}
	if err := checkOrigin(pattern); err != nil {
		return fmt.Errorf("%q is not an origin: %w", pattern, err)
	}
	return nil
}

func checkOrigin(pattern string) error {
	scheme, rest, ok := strings.Cut(pattern, "://")
	switch {
	case !ok && IsToken(pattern) && strings.Contains(pattern, "."):
		return fmt.Errorf("the scheme is missing (try https://%s)", pattern)
	case !ok || !IsToken(scheme):
		return errors.New("try https://example.org, https://*.example.org for all its subdomains, or * for all")
	case strings.ContainsAny(rest, "/?#@"):
		host, _, _ := strings.Cut(rest, "/")
		if !strings.ContainsAny(host, "?#@") && host != "" {
			return fmt.Errorf("browsers send no path (try %s://%s)", scheme, host)
		}
		return errors.New("it has a scheme, a host and perhaps a port, and no more")
	}
	if rest == "" {
		return errors.New("the host is missing")
	}
	host, port := rest, ""
	if i := strings.LastIndexByte(rest, ':'); i >= 0 && !strings.HasSuffix(rest, "]") {
		host, port = rest[:i], rest[i+1:]
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return fmt.Errorf("%q is not a port", port)
		}
	}
	if usual := map[string]string{"http": "80", "https": "443"}[strings.ToLower(scheme)]; port != "" && port == usual {
		return fmt.Errorf("browsers leave out the usual port (try %s://%s)", scheme, host)
	}
	if address, ok := strings.CutPrefix(host, "["); ok {
		if ip, err := netip.ParseAddr(strings.TrimSuffix(address, "]")); err != nil || !ip.Is6() {
			return fmt.Errorf("%s is not an IPv6 address", host)
		}
		return nil
	}
	return CheckName(strings.TrimPrefix(host, "*."))
}

// CheckName returns an error if name cannot be the name of a host: labels of letters, digits, hyphens and underscores between
// dots. IP addresses of version 4 are such names.
func CheckName(name string) error {
	for label := range strings.SplitSeq(name, ".") {
		switch {
		case label == "":
			return fmt.Errorf("%q is not the name of a host", name)
		case strings.ContainsFunc(label, func(r rune) bool { return r > 0x7f }):
			return fmt.Errorf("%q has letters beyond ASCII: its form for the DNS begins with xn--", label)
		case strings.Contains(label, "*"):
			return fmt.Errorf("%q has a * that is not the whole first label", name)
		case strings.ContainsFunc(label, func(r rune) bool { return !isHostRune(r) }):
			return fmt.Errorf("%q is not the name of a host", name)
		}
	}
	return nil
}

func isHostRune(r rune) bool {
	return r == '-' || r == '_' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
}
