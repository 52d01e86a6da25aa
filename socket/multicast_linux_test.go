package socket

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"syscall"
	"testing"

	"github.com/switchboard-go/switchboard/internal/netns"
)

// hears tells what came to s up to a datagram that is sent to it alone, and by which Python knows the way.
func (n *neighbour) hears(s *Socket, own Addr) (list []string) {
	n.t.Helper()
	n.run("s.sendto(b'end', ('%s', %d))", own.AddrPort().Addr(), own.Port())
	p := make([]byte, 100)
	for {
		got, err := s.Recv(p)
		noError(n.t, err)
		if string(p[:got]) == "end" {
			return list
		}
		list = append(list, string(p[:got]))
	}
}

func TestGroupsOfPythonAreHeard(t *testing.T) {
	if !netns.Enter(t) {
		return
	}
	n := newNeighbour(t)
	for _, c := range []struct {
		family                            int
		any, own, group, ssm, peer, other string
		python                            string
	}{
		{AF_INET, "0.0.0.0:0", "10.9.0.1", "239.1.2.3", "232.1.2.3", "10.9.0.2", "10.9.0.99",
			"s = socket(AF_INET, SOCK_DGRAM); s.setsockopt(IPPROTO_IP, IP_MULTICAST_IF, inet_aton('10.9.0.2'))"},
		{AF_INET6, "[::]:0", "fd09::1", "ff15::123", "ff35::123", "fd09::2", "fd09::99",
			"s = socket(AF_INET6, SOCK_DGRAM); s.setsockopt(IPPROTO_IPV6, IPV6_MULTICAST_IF, if_nametoindex('far'))"},
	} {
		n.run("%s", c.python)
		s := made(t, c.family, SOCK_DGRAM)
		noError(t, s.Bind(parsed(t, c.any)))
		own := InetAddr(netip.AddrPortFrom(netip.MustParseAddr(c.own), uint16(localAddr(t, s).Port())))
		group, ssm := netip.MustParseAddr(c.group), netip.MustParseAddr(c.ssm)
		peer, other := netip.MustParseAddr(c.peer), netip.MustParseAddr(c.other)
		heard := func(when string, group netip.Addr, want bool) {
			t.Helper()
			n.run("s.sendto(b'to the group', ('%s', %d))", group, own.Port())
			if got := n.hears(s, own); len(got) > 1 || (len(got) == 1) != want {
				t.Errorf("%s, %s: heard %q", group, when, got)
			}
		}
		heard("before joining", group, false)
		noError(t, s.JoinGroup(group, "near"))
		heard("after joining", group, true)
		noError(t, s.BlockSource(group, peer, "near"))
		heard("after blocking the source", group, false)
		noError(t, s.UnblockSource(group, peer, "near"))
		heard("after unblocking the source", group, true)
		noError(t, s.LeaveGroup(group, "near"))
		heard("after leaving", group, false)

		noError(t, s.JoinSource(ssm, other, "near"))
		heard("after joining another source", ssm, false)
		noError(t, s.JoinSource(ssm, peer, "near"))
		heard("after joining the source", ssm, true)
		noError(t, s.LeaveSource(ssm, peer, "near"))
		heard("after leaving the source", ssm, false)

		// Linux has a route to the groups of IPv6 on every interface.
		if err := s.JoinGroup(group, ""); c.family == AF_INET &&
			(!errors.Is(err, syscall.ENODEV) || !strings.Contains(err.Error(), "name one")) {
			t.Error("without a route:", err)
		}
	}
}

func TestGroupsAreHeardByPython(t *testing.T) {
	if !netns.Enter(t) {
		return
	}
	n := newNeighbour(t)
	for _, c := range []struct {
		group, python, hops string
	}{
		{"239.1.2.3:0", `
s = socket(AF_INET, SOCK_DGRAM)
s.bind(('239.1.2.3', 0))
s.setsockopt(IPPROTO_IP, IP_ADD_MEMBERSHIP, inet_aton('239.1.2.3') + inet_aton('10.9.0.2'))
s.setsockopt(IPPROTO_IP, 12, 1) # IP_RECVTTL, which Python does not name
result = s.getsockname()[1]`, "IP_TTL"},
		{"[ff02::123%near]:0", `
s = socket(AF_INET6, SOCK_DGRAM)
s.bind(('::', 0))
s.setsockopt(IPPROTO_IPV6, IPV6_JOIN_GROUP, inet_pton(AF_INET6, 'ff02::123') + struct.pack('@I', if_nametoindex('far')))
s.setsockopt(IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1)
result = s.getsockname()[1]`, "IPV6_HOPLIMIT"},
	} {
		group := parsed(t, c.group).AddrPort().Addr()
		var port uint16
		_, err := fmt.Sscan(n.run("%s", c.python), &port)
		noError(t, err)
		to := InetAddr(netip.AddrPortFrom(group, port))

		own := made(t, to.Family(), SOCK_DGRAM) // the group's member on this machine
		noError(t, own.SetReuseAddr(true))
		noError(t, own.Bind(to))
		noError(t, own.JoinGroup(group, "near"))

		s := made(t, to.Family(), SOCK_DGRAM)
		noError(t, s.SetMulticastInterface("near"))
		noError(t, s.SetMulticastTTL(5))
		noError(t, s.SetMulticastLoop(false))
		if n, err := s.SendTo([]byte("not to this machine"), to); n != 19 || err != nil {
			t.Error(n, err)
		}
		noError(t, s.SetMulticastLoop(true))
		_, err = s.SendTo([]byte("to both"), to)
		noError(t, err)
		const receive = `
p, c, _, _ = s.recvmsg(100, 100)
result = [p.decode()] + [struct.unpack('@i', v)[0] for _, k, v in c if k == %s]`
		for _, want := range []string{`["not to this machine", 5]`, `["to both", 5]`} {
			if got := n.run(receive, c.hops); got != want {
				t.Errorf("Python heard %s, want %s", got, want)
			}
		}
		p := make([]byte, 100)
		if got, from, err := own.RecvFrom(p); string(p[:got]) != "to both" || err != nil {
			t.Errorf("%q from %v, %v", p[:got], from, err)
		} else if to.Family() == AF_INET6 && from.AddrPort().Addr().String() != "fe80::1%near" {
			t.Error("the sender's zone is not the interface's name:", from)
		}
	}
}
