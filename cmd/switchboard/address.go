package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// An address is what --listen and dial take: where to listen, or whom to call.
type address struct {
	network string // "tcp", "unix", "ws", "wss", or "fd", "systemd": listening sockets that this process was started with
	name    string // HOST:PORT, a path or @NAME, a descriptor's number, or the name of passed sockets
}

// parseAddress reads HOST:PORT or a path, with or without a scheme: tcp://HOST:PORT, unix:PATH, unix://PATH,
// unix:@NAME for Linux's abstract names, fd://NUMBER, systemd:NAME. The error says what a user would write instead.
func parseAddress(s string) (address, error) {
	a, err := splitScheme(s)
	if err != nil {
		return address{}, fmt.Errorf("address %q: %w", s, err)
	}
	switch a.network {
	case "tcp":
		a.name, err = checkHostPort(a.name)
	case "ws", "wss":
		a.name, err = checkHostPort(strings.TrimSuffix(a.name, "/"))
	case "unix":
		a.name, err = checkPath(a.name)
	case "fd":
		if n, bad := strconv.ParseUint(a.name, 10, 31); bad != nil {
			err = fmt.Errorf("%q is not a descriptor number (try fd://3)", a.name)
		} else {
			a.name = strconv.FormatUint(n, 10)
		}
	}
	if err != nil {
		return address{}, fmt.Errorf("address %q: %w", s, err)
	}
	return a, nil
}

// String gives a form that parseAddress reads back as the same address.
func (a address) String() string {
	switch a.network {
	case "unix":
		if a.name[0] == '@' {
			return "unix:" + a.name
		}
		return "unix://" + a.name
	case "fd", "ws", "wss":
		return a.network + "://" + a.name
	case "systemd":
		return "systemd:" + a.name
	}
	return a.name
}

// callable tells what keeps an address, which was written as text, from being connected to.
func (a address) callable(text string) error {
	switch {
	case a.network == "fd" || a.network == "systemd":
		return fmt.Errorf("address %q: connecting takes no open descriptor", text)
	case a.network == "ws" || a.network == "wss":
		return fmt.Errorf("address %q: only dial and bench speak WebSocket", text)
	case strings.HasPrefix(a.name, ":"):
		return fmt.Errorf("address %q: the host is missing (try 127.0.0.1%s)", text, a.name)
	case a.network == "tcp" && strings.HasSuffix(a.name, ":0"):
		return fmt.Errorf("address %q: nothing listens on port 0: it stands for any free port, where a server listens", text)
	}
	return nil
}

// An unknownScheme is one that parseAddress does not know. Its text is that of serve; other commands have others.
type unknownScheme string

func (s unknownScheme) Error() string {
	switch s {
	case "udp":
		return "datagrams are not served; switchboard listen --udp takes them, dial --udp sends them"
	case "tls":
		return "--tls-cert and --tls-self-signed have every --listen speak TLS"
	}
	return fmt.Sprintf("unknown scheme %q (there are tcp://, ws://, wss://, unix:, fd:// and systemd:)", string(s))
}

// inTermsOf has an error about a scheme name those that a command knows.
func inTermsOf(command, schemes string, err error) error {
	var unknown unknownScheme
	if schemes == "" || !errors.As(err, &unknown) {
		return err
	}
	text, _, _ := strings.Cut(err.Error(), unknown.Error())
	return fmt.Errorf("%sunknown scheme %q (%s takes %s)", text, string(unknown), command, schemes)
}

// inFull has an error about the rest of an address, behind its scheme, name the whole of it and propose one with the scheme.
func inFull(err error, whole, rest string) error {
	scheme, found := strings.CutSuffix(whole, rest)
	text := err.Error()
	after, ours := strings.CutPrefix(text, fmt.Sprintf("address %q: ", rest))
	if !found || !ours || scheme == "" {
		return err
	}
	return fmt.Errorf("address %q: %s", whole, strings.Replace(after, "(try ", "(try "+scheme, 1))
}

func splitScheme(s string) (address, error) {
	if scheme, rest, ok := strings.Cut(s, "://"); ok && !strings.ContainsAny(scheme, "/.@:[") {
		switch scheme {
		case "tcp", "unix", "fd", "ws", "wss":
			return address{scheme, rest}, nil
		}
		return address{}, unknownScheme(scheme)
	}
	if rest, ok := strings.CutPrefix(s, "systemd:"); ok {
		return address{"systemd", rest}, nil
	}
	if rest, ok := strings.CutPrefix(s, "unix:"); ok {
		return address{"unix", rest}, nil
	}
	if isPath(s) || strings.HasPrefix(s, "@") {
		return address{"unix", s}, nil
	}
	return address{"tcp", s}, nil
}

// isPath tells a path from any other address: it begins with a slash, or with dots and a slash, or on Windows with a drive
// and a slash. There a slash may be a backslash, too.
func isPath(s string) bool {
	if filepath.IsAbs(s) {
		return true
	}
	rest := strings.TrimPrefix(strings.TrimPrefix(s, "."), ".")
	return rest != "" && os.IsPathSeparator(rest[0])
}

// checkPath returns the path with a slash or a dot in front, or @, which tell it from any other address.
func checkPath(path string) (string, error) {
	switch {
	case path == "" || path == "@":
		return "", errors.New("the path is missing (try unix:/tmp/switchboard.sock)")
	case strings.ContainsRune(path, 0):
		return "", errors.New("a path cannot hold a zero byte")
	case !isPath(path) && path[0] != '.' && path[0] != '@':
		return "./" + path, nil
	}
	return path, nil
}

// checkHostPort returns s with its port as a number. An empty host stays empty: to listen, it means every interface.
func checkHostPort(s string) (string, error) {
	if s == "" {
		return "", errors.New("it is empty (try 127.0.0.1:7007)")
	}
	if strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f || r == '/' }) {
		return "", errors.New("neither HOST:PORT nor a path (a path begins with /, ./ or unix:)")
	}
	if ip, err := netip.ParseAddr(s); err == nil {
		return "", fmt.Errorf("the port is missing (try %s)", net.JoinHostPort(ip.String(), "7007"))
	}
	if _, err := strconv.ParseUint(s, 10, 16); err == nil {
		return "", fmt.Errorf("the host is missing (try 127.0.0.1:%s, or :%[1]s for every interface)", s)
	}
	if strings.Trim(s, "0123456789") == "" {
		return "", fmt.Errorf("%q is not a port (0 to 65535)", s)
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		var why *net.AddrError
		errors.As(err, &why)
		if why.Err == "missing port in address" {
			return "", fmt.Errorf("the port is missing (try %s:7007)", s)
		}
		return "", fmt.Errorf("%s (try HOST:PORT, or [::1]:7007 for IPv6)", why.Err)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		if n, err := net.LookupPort("tcp", port); err == nil && port != "" {
			return net.JoinHostPort(host, strconv.Itoa(n)), nil
		}
		return "", fmt.Errorf("%q is not a port (0 to 65535)", port)
	}
	return net.JoinHostPort(host, strconv.FormatUint(n, 10)), nil
}
