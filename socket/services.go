package socket

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// GetServByName returns the port of a service: getservbyname(3). protocol is "tcp", "udp", or empty for either. It
// reads /etc/services on each call. On systems without that file it knows the services that package net knows.
func GetServByName(name, protocol string) (port int, err error) {
	p, err := servicePort(context.Background(), name, protocol)
	return int(p), failed("getservbyname", name, err)
}

// GetServByPort returns the name of the service at a port: getservbyport(3). protocol is "tcp", "udp", or empty for
// either. It reads /etc/services on each call.
func GetServByPort(port int, protocol string) (name string, err error) {
	list, _ := services()
	for _, s := range list {
		if s.port == port && (protocol == "" || s.protocol == protocol) {
			return s.names[0], nil
		}
	}
	return "", failed("getservbyport", strconv.Itoa(port),
		&lookupError{EAI_SERVICE, invalid(syscall.ENOENT, "no "+protocol+" service is known at this port")})
}

// GetProtoByName returns the number of a protocol: getprotobyname(3). It reads /etc/protocols on each call. On
// systems without that file it knows the protocols for which this package has constants.
func GetProtoByName(name string) (int, error) {
	number, found := 0, false
	err := eachLine(systemFile("protocols"), func(fields []string) bool {
		if len(fields) < 2 || fields[0] != name && !slices.Contains(fields[2:], name) {
			return true
		}
		n, err := strconv.Atoi(fields[1])
		number, found = n, err == nil
		return !found
	})
	if err != nil {
		number, found = map[string]int{
			"ip": IPPROTO_IP, "icmp": IPPROTO_ICMP, "igmp": IPPROTO_IGMP, "tcp": IPPROTO_TCP, "udp": IPPROTO_UDP,
			"dccp": IPPROTO_DCCP, "ipv6": IPPROTO_IPV6, "ipv6-icmp": IPPROTO_ICMPV6, "sctp": IPPROTO_SCTP,
			"udplite": IPPROTO_UDPLITE,
		}[name]
	}
	if !found {
		return 0, failed("getprotobyname", name, invalid(syscall.ENOENT, "no such protocol"))
	}
	return number, nil
}

// servicePort finds the port of a service of a protocol, of any when that is empty.
func servicePort(ctx context.Context, name, protocol string) (uint16, error) {
	list, err := services()
	for _, s := range list {
		if slices.Contains(s.names, name) && (protocol == "" || s.protocol == protocol) {
			return uint16(s.port), nil
		}
	}
	if err != nil && (protocol == "" || protocol == "tcp" || protocol == "udp") {
		if n, err := net.DefaultResolver.LookupPort(ctx, protocol, name); err == nil {
			return uint16(n), nil
		}
	}
	return 0, &lookupError{EAI_SERVICE, invalid(syscall.ENOENT, "no "+protocol+" service "+quote(name)+" is known")}
}

// A service is a line of services(5).
type service struct {
	names    []string
	port     int
	protocol string
}

func services() (list []service, err error) {
	err = eachLine(systemFile("services"), func(fields []string) bool {
		if len(fields) < 2 {
			return true
		}
		port, protocol, _ := strings.Cut(fields[1], "/")
		if n, err := strconv.ParseUint(port, 10, 16); err == nil {
			names := append([]string{fields[0]}, fields[2:]...)
			list = append(list, service{names, int(n), protocol})
		}
		return true
	})
	return list, err
}

// systemFile is the path of one of the tables that every system has in one place.
func systemFile(name string) string {
	if runtime.GOOS != "windows" {
		return "/etc/" + name
	}
	if name == "protocols" {
		name = "protocol" // as Windows spells it
	}
	return filepath.Join(os.Getenv("SystemRoot"), "System32", "drivers", "etc", name)
}

// eachLine gives the fields of each line of a table to f, without comments, until f returns false.
func eachLine(path string, f func(fields []string) bool) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		if fields := strings.Fields(line); len(fields) > 0 && !f(fields) {
			break
		}
	}
	return nil
}
