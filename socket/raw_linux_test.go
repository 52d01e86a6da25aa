package socket

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/switchboard-go/switchboard/internal/netns"
)

// internetChecksum is that of RFC 1071, over an even number of bytes.
func internetChecksum(b []byte) uint16 {
	var sum uint32
	for i := 0; i < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

func TestRawSocketsSendAndReceiveICMP(t *testing.T) {
	if !netns.Enter(t) {
		return
	}
	n := newNeighbour(t)
	for _, c := range []struct {
		family, proto int
		echo, reply   byte
		to, python    string
		header        int // of IP, which a raw socket of IPv4 gets too
	}{
		{AF_INET, IPPROTO_ICMP, 8, 0, "10.9.0.2:0", "IPPROTO_ICMP", 20},
		{AF_INET6, IPPROTO_ICMPV6, 128, 129, "[fd09::2]:0", "IPPROTO_ICMPV6", 0},
	} {
		n.run("s = socket(%d, SOCK_RAW, %s)", c.family, c.python)
		s, err := New(c.family, SOCK_RAW, c.proto)
		noError(t, err)
		defer s.Close()
		request := append([]byte{c.echo, 0, 0, 0, 0x12, 0x34, 0, 1}, "are you there? "+"!"...)
		if c.family == AF_INET {
			binary.BigEndian.PutUint16(request[2:], internetChecksum(request))
		}
		to := parsed(t, c.to)
		if got, err := s.SendTo(request, to); got != len(request) || err != nil {
			t.Fatal(got, err)
		}
		p := make([]byte, 100)
		for {
			got, from, err := s.RecvFrom(p)
			noError(t, err)
			if got < c.header+8 || p[c.header] != c.reply {
				continue // what IPv6 says of neighbours
			}
			if from != to || !bytes.Equal(p[c.header+4:got], request[4:]) {
				t.Errorf("%x from %v", p[:got], from)
			}
			break
		}
		heard := n.run(`
while True:
    p, a = s.recvfrom(100)
    if p[%d] == %d:
        break
result = [p[%[1]d+8:].decode(), a[0]]`, c.header, c.echo)
		if want := fmt.Sprintf(`["are you there? !", "%s"]`, localAddrTo(t, to)); heard != want {
			t.Errorf("Python heard %s, want %s", heard, want)
		}
	}
}

// localAddrTo is the host part of the address from which the system sends to another.
func localAddrTo(t *testing.T, to Addr) string {
	t.Helper()
	s := made(t, to.Family(), SOCK_DGRAM)
	noError(t, s.Connect(InetAddr(to.AddrPort())))
	return localAddr(t, s).AddrPort().Addr().String()
}

func TestRawSocketWritesTheHeaderOfIP(t *testing.T) {
	if !netns.Enter(t) {
		return
	}
	n := newNeighbour(t)
	port := n.run(`
s = socket(AF_INET, SOCK_DGRAM)
s.bind(('10.9.0.2', 0))
s.setsockopt(IPPROTO_IP, 12, 1) # IP_RECVTTL
result = s.getsockname()[1]`)
	var number int
	_, err := fmt.Sscan(port, &number)
	noError(t, err)
	for _, proto := range []int{IPPROTO_RAW, IPPROTO_UDP} {
		s, err := New(AF_INET, SOCK_RAW, proto)
		noError(t, err)
		defer s.Close()
		noError(t, s.SetOptionBool(IPPROTO_IP, IP_HDRINCL, true))
		text := "from a port that nobody has"
		b := []byte{0x45, 0, 0, 0, 0, 0, 0, 0, 33, IPPROTO_UDP, 0, 0} // 33 routers; the kernel fills in zeros
		b = append(b, 10, 9, 0, 1, 10, 9, 0, 2)
		b = binary.BigEndian.AppendUint16(b, 7)
		b = binary.BigEndian.AppendUint16(b, uint16(number))
		b = binary.BigEndian.AppendUint16(b, uint16(8+len(text)))
		b = append(append(b, 0, 0), text...)
		_, err = s.SendTo(b, parsed(t, "10.9.0.2:0"))
		noError(t, err)
		got := n.run(`
p, c, _, a = s.recvmsg(100, 100)
result = [p.decode(), *a, struct.unpack('@i', c[0][2])[0]]`)
		if want := fmt.Sprintf(`["%s", "10.9.0.1", 7, 33]`, text); got != want {
			t.Errorf("Python heard %s, want %s", got, want)
		}
	}
}
