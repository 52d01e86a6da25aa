package socket

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// loopback returns the network interface of loopback.
func loopback(t *testing.T) NameIndex {
	t.Helper()
	all, err := net.Interfaces()
	if err != nil && runtime.GOOS == "windows" {
		return NameIndex{1, "1"} // Wine has Linux's numbers, and may give no names
	}
	noError(t, err)
	for _, i := range all {
		if i.Flags&net.FlagLoopback != 0 {
			return NameIndex{i.Index, i.Name}
		}
	}
	t.Fatal("there is no loopback interface")
	return NameIndex{}
}

// windowsLayout is where Windows has the parts of what multicast options are set with, in the words of C. It is compared with
// what this package makes on Windows, and on Linux with the headers for Windows.
var windowsLayout = map[string]int{
	"sizeof(IP_MREQ_SOURCE)":                       12,
	"offsetof(IP_MREQ_SOURCE, imr_multiaddr)":      0,
	"offsetof(IP_MREQ_SOURCE, imr_sourceaddr)":     4,
	"offsetof(IP_MREQ_SOURCE, imr_interface)":      8,
	"sizeof(GROUP_SOURCE_REQ)":                     264,
	"offsetof(GROUP_SOURCE_REQ, gsr_interface)":    0,
	"offsetof(GROUP_SOURCE_REQ, gsr_group)":        8,
	"offsetof(GROUP_SOURCE_REQ, gsr_source)":       136,
	"offsetof(struct sockaddr_in6, sin6_family)":   0,
	"offsetof(struct sockaddr_in6, sin6_addr)":     8,
	"offsetof(struct sockaddr_in6, sin6_scope_id)": 24,
}

// A speaker is Python, which sends over loopback to groups of IPv4 from the address that it is told.
type speaker struct {
	t   *testing.T
	in  *json.Encoder
	out *bufio.Scanner
}

const speakerCode = `
import json, sys
from socket import *
for line in sys.stdin:
    text, own, to, port = json.loads(line)
    s = socket(AF_INET, SOCK_DGRAM)
    s.setsockopt(IPPROTO_IP, IP_MULTICAST_IF, inet_aton('127.0.0.1'))
    s.bind((own, 0))
    s.sendto(text.encode(), (to, port))
    s.close()
    print('sent', flush=True)
`

func newSpeaker(t *testing.T) *speaker {
	t.Helper()
	cmd := program(t, "python3", "-c", speakerCode)
	in, err := cmd.StdinPipe()
	noError(t, err)
	out, err := cmd.StdoutPipe()
	noError(t, err)
	noError(t, cmd.Start())
	t.Cleanup(func() {
		in.Close()
		io.Copy(io.Discard, out)
		if err := cmd.Wait(); err != nil {
			t.Error("Python:", err)
		}
	})
	return &speaker{t, json.NewEncoder(in), bufio.NewScanner(out)}
}

func (p *speaker) say(text, own string, to netip.Addr, port int) {
	p.t.Helper()
	noError(p.t, p.in.Encode([]any{text, own, to.String(), port}))
	if !p.out.Scan() {
		p.t.Fatal("Python ended")
	}
}

// member is a socket at every address, whose groups Python speaks to. On some systems such a socket hears every group that
// any program of the machine has joined: see groupOf.
func member(t *testing.T, family int) (s *Socket, port int) {
	t.Helper()
	s = made(t, family, SOCK_DGRAM)
	host := "0.0.0.0:0"
	if family == AF_INET6 {
		host = "[::]:0"
	}
	noError(t, s.Bind(parsed(t, host)))
	noError(t, s.SetTimeout(time.Minute))
	return s, localAddr(t, s).Port()
}

// groupOf returns a group that other programs do not join while the port is in use, if they ask groupOf too.
func groupOf(format string, port int) netip.Addr {
	return netip.MustParseAddr(fmt.Sprintf(format, port>>8, port&0xff))
}

// hears checks that s receives what the address own says to the group, or does not. After what shall not come a datagram
// to s alone comes first.
func (p *speaker) hears(s *Socket, port int, when, own string, group netip.Addr, want bool) {
	p.t.Helper()
	p.say(when, own, group, port)
	if !want {
		when = "not " + when
		p.say(when, "127.0.0.1", netip.MustParseAddr("127.0.0.1"), port)
	}
	b := make([]byte, 100)
	n, from, err := s.RecvFrom(b)
	if string(b[:n]) != when || err != nil {
		p.t.Fatalf("%s, from %s: received %q from %v, %v; want %q", group, own, b[:n], from, err, when)
	}
}

func TestAGroupIsHeardUntilItIsLeft(t *testing.T) {
	p, lo := newSpeaker(t), loopback(t)
	s, port := member(t, AF_INET)
	group := groupOf("239.1.%d.%d", port)
	p.hears(s, port, "before joining", "127.0.0.1", group, false)
	noError(t, s.JoinGroup(group, lo.Name))
	p.hears(s, port, "after joining", "127.0.0.1", group, true)
	p.hears(s, port, "another group", "127.0.0.1", groupOf("239.2.%d.%d", port), false)
	noError(t, s.BlockSource(group, netip.MustParseAddr("127.0.0.1"), lo.Name))
	p.hears(s, port, "after blocking the source", "127.0.0.1", group, false)
	noError(t, s.UnblockSource(group, netip.MustParseAddr("127.0.0.1"), lo.Name))
	p.hears(s, port, "after unblocking the source", "127.0.0.1", group, true)
	noError(t, s.LeaveGroup(group, lo.Name))
	p.hears(s, port, "after leaving", "127.0.0.1", group, false)
	noError(t, s.JoinGroup(group, fmt.Sprint(lo.Index)))
	p.hears(s, port, "after joining by the number of the interface", "127.0.0.1", group, true)
}

func TestOneSourceOfAGroupIsHeard(t *testing.T) {
	p, lo, source := newSpeaker(t), loopback(t), netip.MustParseAddr("127.0.0.1")
	s, port := member(t, AF_INET)
	group := groupOf("232.1.%d.%d", port)
	supported(t, s.JoinSource(group, source, lo.Name))
	p.hears(s, port, "after joining the source", "127.0.0.1", group, true)
	if runtime.GOOS == "linux" || runtime.GOOS == "windows" { // elsewhere loopback has one address
		p.hears(s, port, "from another source", "127.0.0.2", group, false)
	}
	noError(t, s.LeaveSource(group, source, lo.Name))
	p.hears(s, port, "after leaving the source", "127.0.0.1", group, false)
}

func TestASourceMayBeAnotherThanTheInterface(t *testing.T) {
	if runtime.GOOS != "linux" && runtime.GOOS != "windows" {
		t.Skip("loopback has one address")
	}
	p, lo := newSpeaker(t), loopback(t)
	s, port := member(t, AF_INET)
	group := groupOf("232.1.%d.%d", port)
	noError(t, s.JoinSource(group, netip.MustParseAddr("127.0.0.2"), lo.Name))
	p.hears(s, port, "from another source", "127.0.0.1", group, false)
	p.hears(s, port, "from the source", "127.0.0.2", group, true)
	noError(t, s.JoinSource(group, netip.MustParseAddr("127.0.0.3"), lo.Name))
	p.hears(s, port, "from the first of two sources", "127.0.0.2", group, true)
	p.hears(s, port, "from the second of two sources", "127.0.0.3", group, true)
}

// The kernel of Linux lists the groups of IPv6 that an interface is in. It has no route to them over loopback.
func TestAGroupOfIPv6IsJoinedUntilItIsLeft(t *testing.T) {
	lo := loopback(t)
	s, port := member(t, AF_INET6)
	group := groupOf("ff15::%02x%02x", port)
	joined := func(when string, want string) {
		t.Helper()
		got := strings.TrimSpace(python(t, fmt.Sprintf(`
import os
list = '/proc/net/igmp6'
text = 'ff15000000000000000000000000%04x'
print([int(l.split()[0]) for l in open(list) if text in l] if os.path.exists(list) else '%s')`, port, want)))
		if got != want {
			t.Errorf("%s: on the interfaces %s, want %s", when, got, want)
		}
	}
	joined("before joining", "[]")
	noError(t, s.JoinGroup(group, lo.Name))
	joined("after joining", fmt.Sprintf("[%d]", lo.Index))
	if err := s.JoinGroup(group, lo.Name); err == nil {
		t.Error("a group was joined twice")
	}
	noError(t, s.LeaveGroup(group, lo.Name))
	joined("after leaving", "[]")
	noError(t, s.JoinGroup(group.WithZone(lo.Name), ""))
	noError(t, s.Close())
	joined("after closing", "[]")
}

func TestSourcesOfAGroupOfIPv6(t *testing.T) {
	lo, group := loopback(t), netip.MustParseAddr("ff35::7:1234")
	source, other := netip.MustParseAddr("::1"), netip.MustParseAddr("fd09::2")
	s, _ := member(t, AF_INET6)
	supported(t, s.JoinSource(group, source, lo.Name))
	noError(t, s.JoinSource(group, other, lo.Name))
	noError(t, s.LeaveSource(group, source, lo.Name))
	if err := s.LeaveSource(group, source, lo.Name); !errors.Is(err, syscall.EADDRNOTAVAIL) {
		t.Error("leaving a source that was left:", err)
	}
	noError(t, s.LeaveSource(group, other, lo.Name))
	noError(t, s.JoinGroup(group, lo.Name))
	noError(t, s.BlockSource(group, source, lo.Name))
	noError(t, s.UnblockSource(group, source, lo.Name))
	noError(t, s.LeaveGroup(group, lo.Name))
}

// Python hears what a socket says to a group, and, where Python can tell it, with which time to live.
func TestPythonHearsAGroup(t *testing.T) {
	lo, group := loopback(t), netip.MustParseAddr("239.1.2.3")
	cmd := program(t, "python3", "-c", `
from socket import *
import struct
s = socket(AF_INET, SOCK_DGRAM)
s.bind(('0.0.0.0', 0))
s.setsockopt(IPPROTO_IP, IP_ADD_MEMBERSHIP, inet_aton('239.1.2.3') + inet_aton('127.0.0.1'))
tell = hasattr(s, 'recvmsg')
if tell:
    s.setsockopt(IPPROTO_IP, 12, 1) # IP_RECVTTL of Linux
print(s.getsockname()[1], flush=True)
if tell:
    p, c, _, _ = s.recvmsg(100, 100)
    print(p.decode(), [struct.unpack('@i', v)[0] for _, k, v in c if k == 2]) # IP_TTL of Linux
else:
    print(s.recv(100).decode(), [5])
`)
	out, err := cmd.StdoutPipe()
	noError(t, err)
	noError(t, cmd.Start())
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		t.Fatal("Python has no port:", cmd.Wait())
	}
	var port uint16
	_, err = fmt.Sscan(lines.Text(), &port)
	noError(t, err)
	s := made(t, AF_INET, SOCK_DGRAM)
	noError(t, s.SetMulticastInterface(lo.Name))
	noError(t, s.SetMulticastTTL(5))
	_, err = s.SendTo([]byte("to the group"), InetAddr(netip.AddrPortFrom(group, port)))
	noError(t, err)
	if !lines.Scan() || lines.Text() != "to the group [5]" {
		t.Errorf("Python heard %q", lines.Text())
	}
	noError(t, cmd.Wait())
}

func TestWrongGroupsSaySo(t *testing.T) {
	s := made(t, AF_INET, SOCK_DGRAM)
	lo := loopback(t).Name
	ip := netip.MustParseAddr
	group := ip("239.1.2.3")
	notJoined := syscall.EADDRNOTAVAIL
	if err := s.LeaveGroup(group, lo); runtime.GOOS == "windows" && errors.Is(err, syscall.EINVAL) {
		notJoined = syscall.EINVAL // as Wine says for it
	}
	for _, c := range []struct {
		err   error
		cause error
		text  string
	}{
		{s.JoinGroup(ip("10.0.0.1"), ""), syscall.EINVAL, "join group 10.0.0.1: the address is not a multicast group"},
		{s.JoinGroup(netip.Addr{}, ""), syscall.EINVAL, "join group invalid IP: the address is not a multicast group"},
		{s.JoinGroup(group, "nosuch"), errNoInterface, "join group 239.1.2.3%nosuch: no such network interface"},
		{s.JoinSource(group, netip.Addr{}, ""), syscall.EINVAL, "join source 239.1.2.3: the source must be"},
		{s.BlockSource(group, ip("::1"), ""), syscall.EINVAL, "block source 239.1.2.3: the source must be"},
		{s.LeaveGroup(group, lo), notJoined, "leave group 239.1.2.3%" + lo + ": "},
		{s.SetMulticastTTL(256), syscall.EINVAL, "set multicast ttl: the number must be"},
		{s.SetMulticastTTL(-1), syscall.EINVAL, "set multicast ttl: the number must be"},
		{s.SetMulticastInterface("nosuch"), errNoInterface, "set multicast interface: no such"},
	} {
		if !errors.Is(c.err, c.cause) || !strings.HasPrefix(c.err.Error(), c.text) {
			t.Errorf("%v, want %s", c.err, c.text)
		}
	}
	noError(t, s.JoinGroup(group, lo))
	if err := s.JoinGroup(group, lo); err == nil || !strings.HasSuffix(err.Error(), "(the socket has joined it already)") {
		t.Error("a group is joined twice:", err)
	}
	if err := s.JoinGroup(ip("ff02::1"), lo); err == nil || !strings.HasPrefix(err.Error(), "join group ff02::1%"+lo+": ") {
		t.Error("a group of IPv6 on a socket of IPv4:", err)
	}
}

func TestOptionsOfMulticastAreWhatWasSet(t *testing.T) {
	lo := loopback(t)
	for _, family := range []int{AF_INET, AF_INET6} {
		s := made(t, family, SOCK_DGRAM)
		level, ttl, loop := IPPROTO_IP, IP_MULTICAST_TTL, IP_MULTICAST_LOOP
		if family == AF_INET6 {
			level, ttl, loop = IPPROTO_IPV6, IPV6_MULTICAST_HOPS, IPV6_MULTICAST_LOOP
		}
		for _, hops := range []int{255, 0, 1} {
			noError(t, s.SetMulticastTTL(hops))
			if n, err := s.Option(level, ttl); n != hops || err != nil {
				t.Error(n, err)
			}
		}
		for _, want := range []bool{false, true} {
			noError(t, s.SetMulticastLoop(want))
			if on, err := s.OptionBool(level, loop); on != want || err != nil {
				t.Error(on, err)
			}
		}
		noError(t, s.SetMulticastInterface(lo.Name))
		if family == AF_INET6 {
			if n, err := s.Option(level, IPV6_MULTICAST_IF); n != lo.Index || err != nil {
				t.Error(n, err)
			}
		} else if runtime.GOOS == "windows" { // other systems give no address for a number
			if b, err := s.OptionBytes(level, IP_MULTICAST_IF, 4); string(b) != "\x7f\x00\x00\x01" || err != nil {
				t.Error(b, err)
			}
		}
		noError(t, s.SetMulticastInterface(""))
	}
}
