package socket

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A zone is what a name server of the test knows: addresses of any name, each family with its own delay.
type zone struct {
	ip6, ip4  []string
	delayed   chan struct{} // answers for IPv6 wait until it is closed, if there is one
	nameError bool
}

// resolver starts a name server and returns what asks it.
func (z zone) resolver(t *testing.T) *net.Resolver {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	noError(t, err)
	t.Cleanup(func() { conn.Close() })
	go func() {
		for {
			p := make([]byte, 512)
			n, from, err := conn.ReadFrom(p)
			if err != nil {
				return
			}
			reply, aaaa := z.answer(p[:n])
			go func() {
				if aaaa && z.delayed != nil {
					<-z.delayed
				}
				conn.WriteTo(reply, from)
			}()
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

// answer replies to a query that has one question (RFC 1035, section 4).
func (z zone) answer(query []byte) (reply []byte, aaaa bool) {
	end := 12
	for query[end] != 0 {
		end += 1 + int(query[end])
	}
	end += 5
	kind := binary.BigEndian.Uint16(query[end-4:])
	const typeA, typeAAAA = 1, 28
	var ips []string
	switch kind {
	case typeA:
		ips = z.ip4
	case typeAAAA:
		ips = z.ip6
	}
	reply = append(reply, query[:2]...)
	flags := uint16(0x8180)
	if z.nameError {
		flags |= 3
	}
	reply = binary.BigEndian.AppendUint16(reply, flags)
	for _, count := range []int{1, len(ips), 0, 0} {
		reply = binary.BigEndian.AppendUint16(reply, uint16(count))
	}
	reply = append(reply, query[12:end]...)
	for _, text := range ips {
		ip := netip.MustParseAddr(text).AsSlice()
		reply = append(reply, 0xc0, 12)
		reply = binary.BigEndian.AppendUint16(reply, kind)
		reply = append(reply, 0, 1, 0, 0, 0, 60)
		reply = binary.BigEndian.AppendUint16(reply, uint16(len(ip)))
		reply = append(reply, ip...)
	}
	return reply, kind == typeAAAA
}

// samePort makes a server on the second address with the port of the first.
func samePort(t *testing.T, first Addr, host string) *Socket {
	t.Helper()
	l, _ := listening(t, fmt.Sprintf("%s:%d", host, first.Port()), nil)
	return l
}

func (z zone) connect(t *testing.T, port int, o ConnectOptions) (*Socket, error) {
	t.Helper()
	o.Resolver = z.resolver(t)
	if o.Timeout == 0 {
		o.Timeout = time.Minute
	}
	s, err := CreateConnection(context.Background(), fmt.Sprintf("host.test.:%d", port), &o)
	if s != nil {
		t.Cleanup(func() { s.Close() })
	}
	return s, err
}

func peerHost(t *testing.T, s *Socket) string {
	t.Helper()
	a, err := s.PeerAddr()
	noError(t, err)
	return a.AddrPort().Addr().String()
}

func TestIPv6IsPreferred(t *testing.T) {
	_, a := listening(t, "127.0.0.1:0", nil)
	samePort(t, a, "[::1]")
	s, err := zone{ip6: []string{"::1"}, ip4: []string{"127.0.0.1"}}.connect(t, a.Port(), ConnectOptions{})
	noError(t, err)
	if host := peerHost(t, s); host != "::1" {
		t.Error(host)
	}
}

func TestSilentAddressIsOvertaken(t *testing.T) {
	hole := blackHole(t, "[::1]:0")
	samePort(t, hole, "127.0.0.1")
	before := len(openFiles())
	s, err := zone{ip6: []string{"::1"}, ip4: []string{"127.0.0.1"}}.connect(t, hole.Port(),
		ConnectOptions{AttemptDelay: 10 * time.Millisecond})
	noError(t, err)
	if host := peerHost(t, s); host != "127.0.0.1" {
		t.Error(host)
	}
	// The attempt that lost is closed: there is the name server, and the connection.
	if !settled(func() bool { return len(openFiles()) <= before+2 }) {
		t.Error("open still:", openFiles())
	}
}

func TestRefusedAddressDelaysNothing(t *testing.T) {
	_, a := listening(t, "127.0.0.9:0", nil)
	s, err := zone{ip6: []string{"::1"}, ip4: []string{"127.0.0.7", "127.0.0.8", "127.0.0.9"}}.connect(t, a.Port(),
		ConnectOptions{AttemptDelay: time.Hour})
	noError(t, err)
	if host := peerHost(t, s); host != "127.0.0.9" {
		t.Error(host)
	}
}

func TestSlowNameServerForIPv6IsNotWaitedFor(t *testing.T) {
	_, a := listening(t, "127.0.0.1:0", nil)
	samePort(t, a, "[::1]")
	delayed := make(chan struct{})
	defer close(delayed)
	s, err := zone{ip6: []string{"::1"}, ip4: []string{"127.0.0.1"}, delayed: delayed}.connect(t, a.Port(), ConnectOptions{})
	noError(t, err)
	if host := peerHost(t, s); host != "127.0.0.1" {
		t.Error(host)
	}
}

func TestErrorListsEveryAddress(t *testing.T) {
	port := unusedPort(t, AF_INET).Port()
	_, err := zone{ip6: []string{"::1"}, ip4: []string{"127.0.0.1", "127.0.0.2"}}.connect(t, port, ConnectOptions{})
	if !errors.Is(err, syscall.ECONNREFUSED) {
		t.Error(err)
	}
	want := fmt.Sprintf("connect host.test.:%d: [::1]:%[1]d: connection refused; "+
		"127.0.0.1:%[1]d: connection refused; 127.0.0.2:%[1]d: connection refused", port)
	if err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestUnknownNameSaysSo(t *testing.T) {
	_, err := zone{nameError: true}.connect(t, 80, ConnectOptions{})
	dns := new(net.DNSError)
	if !errors.As(err, &dns) || !dns.IsNotFound ||
		!strings.HasPrefix(err.Error(), "connect host.test.:80: lookup host.test.") {
		t.Error(err)
	}
	_, err = zone{}.connect(t, 80, ConnectOptions{}) // a name without addresses
	if !errors.As(err, &dns) {
		t.Error(err)
	}
}

func TestConnectionTimeoutListsWhatWasTried(t *testing.T) {
	hole := blackHole(t, "127.0.0.1:0")
	other := blackHole(t, fmt.Sprintf("127.0.0.2:%d", hole.Port()))
	_, err := zone{ip4: []string{"127.0.0.1", "127.0.0.2"}}.connect(t, hole.Port(),
		ConnectOptions{AttemptDelay: time.Millisecond, Timeout: 300 * time.Millisecond})
	if !errors.Is(err, os.ErrDeadlineExceeded) || !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	for _, a := range []Addr{hole, other} {
		if !strings.Contains(err.Error(), a.String()+": i/o timeout") {
			t.Error(err)
		}
	}
	// One address alone is an error like Connect's.
	_, err = CreateConnection(context.Background(), hole.String(), &ConnectOptions{Timeout: 10 * time.Millisecond})
	if err == nil || err.Error() != "connect "+hole.String()+": i/o timeout" {
		t.Error(err)
	}
}

func TestCancelEndsTheConnecting(t *testing.T) {
	hole := blackHole(t, "127.0.0.1:0")
	z := zone{ip4: []string{"127.0.0.1"}}
	r := z.resolver(t)
	ctx, cancel := context.WithCancel(context.Background())
	done := in(func() error {
		_, err := CreateConnection(ctx, fmt.Sprintf("host.test.:%d", hole.Port()), &ConnectOptions{Resolver: r})
		return err
	})
	waitParked(t, "Connect", 1)
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), hole.String()) {
		t.Error(err)
	}
	if _, err := CreateConnection(ctx, hole.String(), nil); !errors.Is(err, context.Canceled) {
		t.Error("already cancelled:", err)
	}
}

func TestSourceAddress(t *testing.T) {
	l, a := listening(t, "127.0.0.1:0", nil)
	source := parsed(t, "127.0.0.5:0")
	z := zone{ip6: []string{"::1"}, ip4: []string{"127.0.0.1"}}
	_, err := z.connect(t, a.Port(), ConnectOptions{Source: source})
	noError(t, err)
	c, from, err := l.Accept()
	noError(t, err)
	c.Close()
	if from.AddrPort().Addr() != source.AddrPort().Addr() {
		t.Error(from)
	}
	_, err = CreateConnection(context.Background(), a.String(), &ConnectOptions{Source: parsed(t, "[::1]:0")})
	if !errors.Is(err, syscall.EAFNOSUPPORT) || !strings.Contains(err.Error(), "[::1]:0") {
		t.Error(err)
	}
}

func TestConnectionToThisMachineAndToAPath(t *testing.T) {
	_, a := listening(t, "127.0.0.1:0", nil)
	s, err := CreateConnection(context.Background(), fmt.Sprintf(":%d", a.Port()), nil)
	noError(t, err)
	s.Close()

	_, path := listening(t, t.TempDir()+"/s.sock", nil)
	s, err = CreateConnection(context.Background(), path.String(), nil)
	noError(t, err)
	s.Close()

	for address, want := range map[string]string{
		"/nowhere/s.sock": "connect /nowhere/s.sock: no such file or directory (no server has made this socket file)",
		"localhost":       "connect localhost: no port: ",
		"localhost:70000": "connect localhost:70000: port 70000 is over 65535",
		"localhost:":      "connect localhost:: ",
	} {
		_, err := CreateConnection(context.Background(), address, nil)
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v", address, err)
		}
	}
}
