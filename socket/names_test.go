//go:build unix

package socket

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// ask has Python evaluate an expression for each of the questions q, and returns the answers, whose text is that of
// the exception when there is one.
func ask(t *testing.T, expression string, questions [][]any) (answers []any) {
	t.Helper()
	cmd := program(t, "python3", "-c", `
import json, sys
from socket import *
for q in json.load(sys.stdin):
    try:
        a = `+expression+`
    except gaierror as e:
        a = 'gaierror %d' % e.errno
    except OSError as e:
        a = 'OSError'
    print(json.dumps(a))`)
	in, err := json.Marshal(questions)
	noError(t, err)
	cmd.Stdin = bytes.NewReader(in)
	out, err := cmd.Output()
	noError(t, err)
	for d := json.NewDecoder(bytes.NewReader(out)); d.More(); {
		var a any
		noError(t, d.Decode(&a))
		answers = append(answers, a)
	}
	if len(answers) != len(questions) {
		t.Fatal(len(answers), "answers to", len(questions))
	}
	return answers
}

// inPython is a result as Python's would be in JSON.
func inPython(t *testing.T, result any, err error) any {
	t.Helper()
	if err != nil {
		var code EAI
		if errors.As(err, &code) {
			return fmt.Sprint("gaierror ", int(code))
		}
		return "OSError"
	}
	text, err := json.Marshal(result)
	noError(t, err)
	var a any
	noError(t, json.Unmarshal(text, &a))
	return a
}

func same(t *testing.T, question, got, want any) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v: %v, CPython says %v", question, got, want)
	}
}

func TestGetAddrInfoIsCPythons(t *testing.T) {
	wantGlibc(t)
	const lo = "127.0.0.1"
	// The flags, as getaddrinfo(3) numbers them.
	theirs := map[int]int{
		AI_PASSIVE: 1, AI_CANONNAME: 2, AI_NUMERICHOST: 4, AI_V4MAPPED: 8, AI_ALL: 0x10, AI_ADDRCONFIG: 0x20,
		AI_NUMERICSERV: 0x400, 1 << 20: 1 << 20,
	}
	cases := []struct {
		host, service string
		hints         AddrInfo
	}{
		{lo, "80", AddrInfo{}}, {lo, "", AddrInfo{}}, {lo, "http", AddrInfo{}}, {lo, "domain", AddrInfo{}}, {lo, "nosuch", AddrInfo{}},
		{lo, "HTTP", AddrInfo{}}, {"", "", AddrInfo{}},
		{lo, "", AddrInfo{Type: SOCK_RAW}}, {lo, "", AddrInfo{Type: SOCK_RAW, Proto: IPPROTO_ICMP}}, {"::1", "", AddrInfo{Proto: IPPROTO_ICMPV6}},
		{lo, "80", AddrInfo{Type: SOCK_RAW}}, {lo, "http", AddrInfo{Type: SOCK_RAW}}, {lo, "80", AddrInfo{Proto: 99}}, {lo, "", AddrInfo{Proto: 99}},
		{lo, "80", AddrInfo{Proto: IPPROTO_SCTP}}, {lo, "80", AddrInfo{Type: SOCK_STREAM, Proto: IPPROTO_SCTP}},
		{lo, "80", AddrInfo{Type: SOCK_SEQPACKET}}, {lo, "80", AddrInfo{Type: SOCK_SEQPACKET, Proto: IPPROTO_SCTP}},
		{lo, "80", AddrInfo{Type: SOCK_DGRAM, Proto: IPPROTO_UDPLITE}}, {lo, "80", AddrInfo{Proto: IPPROTO_UDPLITE}},
		{lo, "80", AddrInfo{Proto: IPPROTO_DCCP}}, {lo, "domain", AddrInfo{Type: SOCK_SEQPACKET}},
		{lo, "80", AddrInfo{Type: SOCK_STREAM, Proto: IPPROTO_UDP}}, {lo, "80", AddrInfo{Type: 9}}, {lo, "http", AddrInfo{Type: SOCK_DGRAM}},
		{lo, "80", AddrInfo{Family: AF_INET6}}, {"::1", "80", AddrInfo{Family: AF_INET}}, {lo, "80", AddrInfo{Family: 99}},
		{lo, "80", AddrInfo{Family: AF_UNIX}},
		{"nosuch.invalid", "80", AddrInfo{}}, {"a b", "80", AddrInfo{}},
		{"localhost", "80", AddrInfo{Family: AF_INET, Type: SOCK_STREAM, Flags: AI_NUMERICHOST}},
		{lo, "http", AddrInfo{Type: SOCK_STREAM, Flags: AI_NUMERICSERV}},
		{"", "80", AddrInfo{Type: SOCK_STREAM}}, {"", "80", AddrInfo{Type: SOCK_STREAM, Flags: AI_PASSIVE}},
		{"", "80", AddrInfo{Type: SOCK_STREAM, Flags: AI_CANONNAME}}, {lo, "80", AddrInfo{Flags: 1 << 20}},
		{lo, "80", AddrInfo{Type: SOCK_STREAM, Flags: AI_CANONNAME}},
		{lo, "80", AddrInfo{Family: AF_INET6, Type: SOCK_STREAM, Flags: AI_V4MAPPED}},
		{"localhost", "80", AddrInfo{Family: AF_INET, Type: SOCK_STREAM}},
		{"localhost", "80", AddrInfo{Family: AF_INET6, Type: SOCK_STREAM, Flags: AI_V4MAPPED}},
		{"localhost", "80", AddrInfo{Family: AF_INET6, Type: SOCK_STREAM, Flags: AI_V4MAPPED | AI_ALL}},
		{"::1", "80", AddrInfo{Family: AF_INET6, Type: SOCK_STREAM, Flags: AI_V4MAPPED | AI_ALL}},
		{"::1", "80", AddrInfo{Type: SOCK_STREAM, Flags: AI_ADDRCONFIG}},
		{"127.1", "80", AddrInfo{Type: SOCK_STREAM}}, {"127.1", "80", AddrInfo{Type: SOCK_STREAM, Flags: AI_NUMERICHOST | AI_CANONNAME}},
		{"010.1", "80", AddrInfo{Type: SOCK_STREAM}}, {"0x7f000001", "", AddrInfo{Type: SOCK_STREAM}},
		{"::ffff:1.2.3.4", "80", AddrInfo{Family: AF_INET, Type: SOCK_STREAM}}, {"::ffff:1.2.3.4", "80", AddrInfo{Type: SOCK_STREAM}},
		{"fe80::1%nosuch", "80", AddrInfo{Type: SOCK_STREAM}},
	}
	var questions [][]any
	for _, c := range cases {
		var flags int
		for ours, flag := range theirs {
			if c.hints.Flags&ours != 0 {
				flags |= flag
			}
		}
		questions = append(questions, []any{c.host, c.service, c.hints.Family, c.hints.Type, c.hints.Proto, flags})
	}
	const expression = `[[int(f), int(t), p, name, a[0], a[1]]
            for f, t, p, name, a in getaddrinfo(q[0] or None, q[1] or None, *q[2:])]`
	for i, want := range ask(t, expression, questions) {
		c := cases[i]
		infos, err := GetAddrInfo(context.Background(), c.host, c.service, &c.hints)
		list := [][]any{}
		for _, i := range infos {
			list = append(list, []any{i.Family, i.Type, i.Proto, i.CanonName, i.Addr.AddrPort().Addr(), i.Addr.Port()})
		}
		same(t, questions[i], inPython(t, list, err), want)
	}
}

// wantGlibc skips the test where CPython asks another C library than that of GNU, which answers otherwise here and there.
func wantGlibc(t *testing.T) {
	t.Helper()
	for _, pattern := range []string{"/lib*/ld-linux*", "/lib/*/ld-linux*"} {
		if found, _ := filepath.Glob(pattern); len(found) > 0 {
			return
		}
	}
	t.Skip("the C library is not that of GNU")
}

func TestAddressesOfTheFamilyArePicked(t *testing.T) {
	four, six, mapped := netip.MustParseAddr("1.2.3.4"), netip.MustParseAddr("::6"), netip.MustParseAddr("::ffff:1.2.3.4")
	type ips = []netip.Addr
	for _, c := range []struct {
		from        ips
		family      int
		mapped, all bool
		want        ips
	}{
		{ips{four, six}, AF_UNSPEC, false, false, ips{four, six}},
		{ips{four, six}, AF_INET, false, false, ips{four}},
		{ips{four, six}, AF_INET6, false, false, ips{six}},
		{ips{four, six}, AF_INET6, true, false, ips{six}},
		{ips{four, six}, AF_INET6, true, true, ips{six, mapped}},
		{ips{four}, AF_INET6, true, false, ips{mapped}},
		{ips{four}, AF_INET6, false, true, nil},
	} {
		if got := ofFamily(c.from, c.family, c.mapped, c.all); !slices.Equal(got, c.want) {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

func TestLookupErrorsHaveCodes(t *testing.T) {
	for _, c := range []struct {
		err  error
		want EAI
	}{
		{&net.DNSError{IsNotFound: true}, EAI_NONAME},
		{&net.DNSError{IsTimeout: true}, EAI_AGAIN},
		{&net.DNSError{IsTemporary: true}, EAI_AGAIN},
		{&net.DNSError{Err: "server misbehaving"}, EAI_FAIL},
		{&net.AddrError{}, EAI_NONAME},
		{context.Canceled, EAI_SYSTEM},
	} {
		if got := withCode(c.err); !errors.Is(got, c.want) || !errors.Is(got, c.err) || got.Error() != c.err.Error() {
			t.Errorf("%v: %#v", c.err, got)
		}
	}
	_, err := GetAddrInfo(context.Background(), "127.0.0.1", "nosuch", nil)
	if want := `getaddrinfo 127.0.0.1:nosuch: no tcp service "nosuch" is known`; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	if EAI_SERVICE.Error() != "servname not supported for ai_socktype" {
		t.Error(EAI_SERVICE)
	}
}

func TestServicesAndProtocolsAreCPythons(t *testing.T) {
	wantGlibc(t)
	list, err := services()
	if err != nil {
		t.Skip(err)
	}
	// Each question reads the file: one line in four will do, and those of several protocols.
	var some []service
	for i, s := range list {
		if i%4 == 0 || s.port == 53 || s.port == 512 {
			some = append(some, s)
		}
	}
	list = some
	questions := [][]any{{"nosuch"}, {"nosuch", "tcp"}, {"http", "nosuch"}, {"HTTP", "tcp"}, {""}}
	for _, s := range list {
		for _, name := range s.names {
			questions = append(questions, []any{name}, []any{name, s.protocol}, []any{name, "udp"})
		}
	}
	arg := func(q []any) string {
		if len(q) < 2 {
			return ""
		}
		return q[1].(string)
	}
	for i, want := range ask(t, "getservbyname(*q)", questions) {
		got, err := GetServByName(questions[i][0].(string), arg(questions[i]))
		if err != nil {
			same(t, questions[i], "OSError", want)
		} else {
			same(t, questions[i], got, want)
		}
	}
	questions = [][]any{{54321}, {80, "nosuch"}, {0}}
	for _, s := range list {
		questions = append(questions, []any{s.port}, []any{s.port, s.protocol}, []any{s.port, "tcp"})
	}
	for i, want := range ask(t, "getservbyport(*q)", questions) {
		got, err := GetServByPort(questions[i][0].(int), arg(questions[i]))
		if err != nil {
			same(t, questions[i], "OSError", want)
		} else {
			same(t, questions[i], got, want)
		}
	}
	questions = nil
	for _, name := range []string{"tcp", "udp", "icmp", "ipv6-icmp", "TCP", "Tcp", "sctp", "ip", "nosuch", ""} {
		questions = append(questions, []any{name})
	}
	for i, want := range ask(t, "getprotobyname(*q)", questions) {
		got, err := GetProtoByName(questions[i][0].(string))
		same(t, questions[i], inPython(t, got, err), want)
	}
}

func TestHostsAreCPythons(t *testing.T) {
	wantGlibc(t)
	ctx := context.Background()
	own, err := GetHostName()
	noError(t, err)
	questions := [][]any{{"localhost"}, {"LOCALHOST"}, {own}, {"127.0.0.1"}, {"10.1.2.3"}, {"127.1"}, {"nosuch.invalid"}}
	known := func(e HostEntry, err error) any {
		if e.Aliases == nil {
			e.Aliases = []string{}
		}
		return inPython(t, []any{e.Name, e.Aliases, e.Addrs}, err)
	}
	for i, want := range ask(t, "gethostbyname_ex(*q)", questions) {
		same(t, questions[i], known(GetHostByName(ctx, questions[i][0].(string))), want)
	}
	questions = [][]any{{"localhost"}, {own}, {"127.0.0.1"}, {"nosuch.invalid"}}
	for i, want := range ask(t, "gethostbyaddr(*q)", questions) {
		same(t, questions[i], known(GetHostByAddr(ctx, questions[i][0].(string))), want)
	}
	questions = append(questions, []any{""}, []any{" localhost "}, []any{"0.0.0.0"})
	for i, want := range ask(t, "getfqdn(*q)", questions) {
		same(t, questions[i], GetFQDN(ctx, questions[i][0].(string)), want)
	}
}

func TestNameInfoIsCPythons(t *testing.T) {
	wantGlibc(t)
	var questions [][]any
	for _, c := range []struct {
		host string
		port int
	}{{"127.0.0.1", 80}, {"127.0.0.1", 512}, {"127.0.0.1", 54321}, {"::1", 53}} {
		for flags := range 32 {
			questions = append(questions, []any{[]any{c.host, c.port}, flags})
		}
	}
	// The flags, as getnameinfo(3) numbers them, are ours on Linux.
	for i, want := range ask(t, "getnameinfo(tuple(q[0]), q[1])", questions) {
		q := questions[i][0].([]any)
		a := parsed(t, net.JoinHostPort(q[0].(string), fmt.Sprint(q[1])))
		host, service, err := GetNameInfo(context.Background(), a, questions[i][1].(int))
		same(t, questions[i], inPython(t, []any{host, service}, err), want)
	}
	if _, _, err := GetNameInfo(context.Background(), UnixAddr("/s"), 0); !errors.Is(err, EAI_FAMILY) {
		t.Error(err)
	}
}

func TestInterfacesAreCPythons(t *testing.T) {
	var want [][]any
	noError(t, json.Unmarshal([]byte(python(t, `
import json, socket
print(json.dumps(socket.if_nameindex()))`)), &want))
	list, err := IfNameIndex()
	noError(t, err)
	var got [][]any
	for _, i := range list {
		got = append(got, []any{i.Index, i.Name})
		if index, err := IfNameToIndex(i.Name); index != i.Index || err != nil {
			t.Error(i, index, err)
		}
		if name, err := IfIndexToName(i.Index); name != i.Name || err != nil {
			t.Error(i, name, err)
		}
	}
	same(t, "if_nameindex", got, want)
	for _, err := range []error{
		func() error { _, err := IfNameToIndex("nosuch"); return err }(),
		func() error { _, err := IfIndexToName(1 << 20); return err }(),
	} {
		if !errors.Is(err, errNoInterface) || !strings.HasPrefix(err.Error(), "if_") {
			t.Error(err)
		}
	}
}

func TestHostsFileIsRead(t *testing.T) {
	path := t.TempDir() + "/hosts"
	noError(t, os.WriteFile(path, []byte("# nobody\n\n10.0.0.1\tproper alias # a comment\n10.0.0.2 other\n"), 0o600))
	var lines [][]string
	noError(t, eachLine(path, func(fields []string) bool {
		lines = append(lines, fields)
		return len(lines) < 2
	}))
	if !slices.EqualFunc(lines, [][]string{{"10.0.0.1", "proper", "alias"}, {"10.0.0.2", "other"}}, slices.Equal) {
		t.Error(lines)
	}
}
