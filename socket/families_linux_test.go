package socket

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"syscall"
	"testing"

	"github.com/switchboard-go/switchboard/internal/netns"
	"golang.org/x/sys/unix"
)

// lease gets a flow label for a socket: in6_flowlabel_req of linux/in6.h.
func lease(t *testing.T, s *Socket, to Addr, label uint32) {
	t.Helper()
	ip := to.AddrPort().Addr().As16()
	b := binary.BigEndian.AppendUint32(ip[:], label)
	b = append(b, 0, 1)                               // IPV6_FL_A_GET, IPV6_FL_S_EXCL
	b = binary.NativeEndian.AppendUint16(b, 1)        // IPV6_FL_F_CREATE
	b = append(b, make([]byte, 8)...)                 // how long: the usual
	noError(t, s.SetOptionBytes(IPPROTO_IPV6, 32, b)) // IPV6_FLOWLABEL_MGR
}

func TestFlowInfoIsCPythons(t *testing.T) {
	flow := 1 + rand.Uint32N(0xffffe) // another run of this test may have leased one that is fixed
	l, to := listening(t, "[::1]:0", nil)
	s := made(t, AF_INET6, SOCK_STREAM)
	noError(t, s.SetOptionBool(IPPROTO_IPV6, IPV6_FLOWINFO_SEND, true))
	lease(t, s, to, flow)
	noError(t, s.Connect(to.WithFlowInfo(flow)))
	accepted(t, l)
	peer, err := s.PeerAddr()
	noError(t, err)
	if peer != to.WithFlowInfo(flow) || peer == to || peer.WithFlowInfo(0) != to || peer.FlowInfo() != flow {
		t.Errorf("%v, flow info %#x", peer, peer.FlowInfo())
	}
	got := python(t, `
import socket, struct, sys
to = ('::1', int(sys.argv[1]), 0x23456, 0)
s = socket.socket(socket.AF_INET6)
s.setsockopt(socket.IPPROTO_IPV6, 33, 1)
s.setsockopt(socket.IPPROTO_IPV6, 32, socket.inet_pton(socket.AF_INET6, '::1') + struct.pack('!IBB', 0x23456, 0, 255) + struct.pack('@H8x', 1))
s.connect(to)
print(hex(s.getpeername()[2]))
`, fmt.Sprint(to.Port()))
	if got != "0x23456" {
		t.Error("Python disagrees:", got)
	}

	// What comes with a datagram is told as control data.
	x, own := boundDatagram(t, AF_INET6)
	noError(t, x.SetOptionBool(IPPROTO_IPV6, IPV6_FLOWINFO, true))
	noError(t, x.SetOptionBool(IPPROTO_IPV6, IPV6_FLOWINFO_SEND, true))
	lease(t, x, own, flow+1)
	_, err = x.SendTo([]byte("x"), own.WithFlowInfo(flow+1))
	noError(t, err)
	_, m, err := x.RecvMsg([][]byte{make([]byte, 1)}, ControlSpace(4), 0)
	noError(t, err)
	if len(m.Control) != 1 || binary.BigEndian.Uint32(m.Control[0].Data) != flow+1 || m.Addr != own {
		t.Errorf("%+v", m)
	}
	if a := parsed(t, "127.0.0.1:1"); a.WithFlowInfo(1) != a {
		t.Error("flow info of IPv4")
	}
}

func TestNetlinkTellsTheInterfaces(t *testing.T) {
	s, err := New(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE)
	noError(t, err)
	defer s.Close()
	noError(t, s.Bind(NetlinkAddr(0, 0)))
	own := localAddr(t, s)
	pid, groups, ok := own.Netlink()
	if pid == 0 || groups != 0 || !ok || own.String() != fmt.Sprintf("netlink:%d:0", pid) {
		t.Error(own, pid, groups, ok)
	}
	// RTM_GETLINK: netlink(7), rtnetlink(7).
	request := make([]byte, unix.SizeofNlMsghdr+unix.SizeofIfInfomsg)
	binary.NativeEndian.PutUint32(request, uint32(len(request)))
	binary.NativeEndian.PutUint16(request[4:], unix.RTM_GETLINK)
	binary.NativeEndian.PutUint16(request[6:], unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
	_, err = s.SendTo(request, NetlinkAddr(0, 0))
	noError(t, err)
	var got []string
	for done := false; !done; {
		size, err := s.RecvFlags(nil, MSG_PEEK|MSG_TRUNC) // an empty buffer sees a datagram's length
		noError(t, err)
		p := make([]byte, size)
		n, from, err := s.RecvFrom(p)
		noError(t, err)
		if n != size || from != NetlinkAddr(0, 0) {
			t.Fatal(n, size, from)
		}
		messages, err := syscall.ParseNetlinkMessage(p[:n])
		noError(t, err)
		for _, m := range messages {
			done = done || m.Header.Type == unix.NLMSG_DONE
			if m.Header.Type != unix.RTM_NEWLINK {
				continue
			}
			attributes, err := syscall.ParseNetlinkRouteAttr(&m)
			noError(t, err)
			for _, a := range attributes {
				if a.Attr.Type == unix.IFLA_IFNAME {
					got = append(got, string(bytes.TrimRight(a.Value, "\x00")))
				}
			}
		}
	}
	interfaces, err := net.Interfaces()
	noError(t, err)
	var want []string
	for _, i := range interfaces {
		want = append(want, i.Name)
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", got, want)
	}
	fd, err := s.Detach()
	noError(t, err)
	again, err := FromFD(fd)
	noError(t, err)
	defer again.Close()
	if again.Family() != AF_NETLINK || again.Type() != SOCK_RAW || localAddr(t, again) != own {
		t.Error(again.Family(), again.Type(), localAddr(t, again))
	}
	if err := again.Bind(UnixAddr("/x")); !errors.Is(err, syscall.EAFNOSUPPORT) ||
		!strings.Contains(err.Error(), "an AF_UNIX address on an AF_NETLINK socket") {
		t.Error(err)
	}
}

func TestPacketsAreSeenAsPythonSeesThem(t *testing.T) {
	if !netns.Enter(t) {
		return
	}
	n := newNeighbour(t)
	near, err := IfNameToIndex("near")
	noError(t, err)
	s, err := New(AF_PACKET, SOCK_DGRAM, int(Htons(0x88b5))) // a protocol for experiments (IEEE 802)
	noError(t, err)
	defer s.Close()
	noError(t, s.Bind(PacketAddr(Packet{Interface: near, Protocol: 0x88b5})))

	i, err := net.InterfaceByName("near")
	noError(t, err)
	mac := strings.Trim(n.run(`
s = socket(AF_PACKET, SOCK_DGRAM, htons(0x88b5))
s.bind(('far', 0x88b5))
result = s.getsockname()[4].hex(':')
s.sendto(b'from python', ('far', 0x88b5, 0, 0, bytes.fromhex('%s'.replace(':', ''))))`, i.HardwareAddr), `"`)
	p := make([]byte, 100)
	got, from, err := s.RecvFrom(p)
	noError(t, err)
	if string(p[:got]) != "from python" || from.String() != "packet:near:0x88b5 "+mac {
		t.Errorf("%q from %v, want %s", p[:got], from, mac)
	}
	if packet, ok := from.Packet(); !ok || packet.Interface != near || packet.Type != PACKET_HOST || packet.HardwareType != 1 {
		t.Errorf("%+v, %v", packet, ok)
	}
	_, err = s.SendTo([]byte("back"), from)
	noError(t, err)
	want := fmt.Sprintf(`["back", "far", %d, %d, 1, "%s"]`, 0x88b5, PACKET_HOST, i.HardwareAddr)
	if got := n.run(`
p, a = s.recvfrom(100)
result = [p.decode(), *a[:4], a[4].hex(':')]`); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if a := localAddr(t, s); a.String() != "packet:near:0x88b5 "+i.HardwareAddr.String() {
		t.Error(a)
	}
}

func TestVsock(t *testing.T) {
	a := VsockAddr(VMADDR_CID_HOST, 1024)
	if cid, port, ok := a.Vsock(); cid != 2 || port != 1024 || !ok || a.String() != "vsock:2:1024" || a.Path() != "" {
		t.Error(a, cid, port, ok)
	}
	if _, _, ok := NetlinkAddr(1, 2).Vsock(); ok || (Addr{}).IsAbstract() || VsockAddr('@', '@').IsAbstract() {
		t.Error("one family is taken for another")
	}
	if a != VsockAddr(2, 1024) || a == VsockAddr(2, 1025) {
		t.Error("addresses do not compare")
	}
	l, err := New(AF_VSOCK, SOCK_STREAM, 0)
	if err != nil {
		t.Skip(err)
	}
	defer l.Close()
	noError(t, l.Bind(VsockAddr(VMADDR_CID_ANY, VMADDR_PORT_ANY)))
	noError(t, l.Listen(1))
	cid, port, ok := localAddr(t, l).Vsock()
	if cid != VMADDR_CID_ANY || port == VMADDR_PORT_ANY || port == 0 || !ok {
		t.Error(localAddr(t, l))
	}
	l2 := made(t, AF_VSOCK, SOCK_STREAM)
	if err := l2.Bind(VsockAddr(VMADDR_CID_LOCAL, VMADDR_PORT_ANY)); err != nil {
		t.Skip("this machine has no loopback of vsock: ", err)
	}
	noError(t, l2.Listen(1))
	s := made(t, AF_VSOCK, SOCK_STREAM)
	noError(t, s.Connect(localAddr(t, l2)))
	c := accepted(t, l2)
	s.Send([]byte("hello"))
	p := make([]byte, 10)
	if n, err := c.Recv(p); string(p[:n]) != "hello" || err != nil {
		t.Errorf("%q, %v", p[:n], err)
	}
}
