package rawio

import (
	"bytes"
	"net/netip"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// open is a socket that is closed when the test ends.
func open(t *testing.T, family int) int {
	t.Helper()
	fd, err := Socket(family)
	if err == syscall.EAFNOSUPPORT {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { Close(fd) })
	return fd
}

// listening is a socket that listens on loopback, and its address.
func listening(t *testing.T, family int) (fd int, at netip.AddrPort) {
	t.Helper()
	fd = open(t, family)
	loopback := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	if family == INET6 {
		loopback = netip.IPv6Loopback()
	}
	if err := bind(fd, netip.AddrPortFrom(loopback, 0)); err != nil {
		t.Skip(err)
	}
	if err := listen(fd); err != nil {
		t.Fatal(err)
	}
	p, _ := LocalName(fd)
	at, _ = p.AddrPort()
	return fd, at
}

// pair is both ends of a connection to loopback.
func pair(t *testing.T, family int) (client, server int, peer Peer) {
	t.Helper()
	l, at := listening(t, family)
	client = open(t, family)
	if errno := ConnectInet(client, at, 0); errno != 0 && errno != syscall.EINPROGRESS {
		t.Fatal(errno)
	}
	ready(t, client, writable)
	if errno := SocketError(client); errno != 0 {
		t.Fatal(errno)
	}
	ready(t, l, readable)
	server, peer, errno := Accept(l)
	if errno != 0 {
		t.Fatal(errno)
	}
	t.Cleanup(func() { Close(server) })
	return client, server, peer
}

func TestConnectionKnowsBothEnds(t *testing.T) {
	for _, family := range []int{INET, INET6} {
		client, server, peer := pair(t, family)
		own, _ := LocalName(client)
		if peer != own {
			t.Errorf("accepted %v from %v", peer, own)
		}
		if other, _ := PeerName(server); other != own {
			t.Errorf("PeerName is %v, not %v", other, own)
		}
		ap, scope := own.AddrPort()
		if PeerOf(ap, scope) != own || !ap.IsValid() || ap.Addr().Is4() != (family == INET) {
			t.Errorf("%v has the address %v", own, ap)
		}
	}
	if ap, _ := (Peer{}).AddrPort(); ap.IsValid() {
		t.Errorf("no address is %v", ap)
	}
}

func TestAcceptedAndConnectedSocketsDoNotBlock(t *testing.T) {
	l, _ := listening(t, INET)
	if fd, _, errno := Accept(l); !WouldBlock(errno) {
		t.Errorf("nobody was accepted: %d, %v", fd, errno)
	}
	client, server, _ := pair(t, INET)
	for _, fd := range []int{client, server} {
		if n, errno := Recv(fd, make([]byte, 1)); !WouldBlock(errno) {
			t.Errorf("nothing was read: %d, %v", n, errno)
		}
		if inherited(t, fd) {
			t.Error("child processes get it")
		}
	}
}

func TestSendTakesWhatThereIsRoomForAndNoMore(t *testing.T) {
	client, server, _ := pair(t, INET)
	piece := bytes.Repeat([]byte("x"), 1<<20)
	sent := 0
	for {
		n, errno := Send(server, piece)
		if WouldBlock(errno) {
			break
		}
		if errno != 0 || sent > 1<<30 {
			t.Fatal(sent, errno)
		}
		sent += n
	}
	ShutdownWrite(server)
	for got := 0; ; {
		ready(t, client, readable)
		n, errno := Recv(client, piece)
		if errno != 0 {
			t.Fatal(errno)
		}
		if got += n; n == 0 {
			if got != sent {
				t.Errorf("%d bytes came of %d", got, sent)
			}
			return
		}
	}
}

// Sendv keeps the order, skips what is empty, and may leave slices behind the sixteenth.
func TestSendvSendsSlicesInOrder(t *testing.T) {
	client, server, _ := pair(t, INET)
	var slices [][]byte
	for i := range byte(40) {
		slices = append(slices, bytes.Repeat([]byte{'a' + i%26}, int(i)%5))
	}
	want := bytes.Join(slices, nil)
	n, errno := Sendv(server, slices)
	if errno != 0 || n == 0 {
		t.Fatal(n, errno)
	}
	got := make([]byte, 1000)
	ready(t, client, readable)
	m, errno := Recv(client, got)
	if errno != 0 || m != n || !bytes.Equal(got[:m], want[:n]) {
		t.Errorf("%q came of %q, %v", got[:m], want[:n], errno)
	}
	if n, errno := Sendv(server, [][]byte{{}, nil}); n != 0 || errno != 0 {
		t.Errorf("nothing: %d, %v", n, errno)
	}
}

func TestCloseAfterResetIsAReset(t *testing.T) {
	l, at := listening(t, INET)
	client := open(t, INET)
	ConnectInet(client, at, 0)
	ready(t, l, readable)
	server, _, errno := Accept(l)
	if errno != 0 {
		t.Fatal(errno)
	}
	Reset(server)
	Close(server)
	ready(t, client, readable)
	if _, errno := Recv(client, make([]byte, 1)); errno != syscall.ECONNRESET {
		t.Errorf("read: %v", errno)
	}
	// And no SIGPIPE, which would end the test. Windows says again what it has said.
	if _, errno := Send(client, []byte("x")); errno != syscall.EPIPE && errno != syscall.ECONNRESET {
		t.Errorf("write: %v", errno)
	}
}

func TestConnectToNobody(t *testing.T) {
	bound := open(t, INET) // and not listening
	if err := bind(bound, netip.MustParseAddrPort("127.0.0.1:0")); err != nil {
		t.Fatal(err)
	}
	p, _ := LocalName(bound)
	at, _ := p.AddrPort()
	fd := open(t, INET)
	errno := ConnectInet(fd, at, 0)
	if errno == syscall.EINPROGRESS {
		ready(t, fd, writable)
		errno = SocketError(fd)
	}
	if errno != syscall.ECONNREFUSED {
		t.Errorf("connect: %v", errno)
	}
}

func TestConnectToNoPath(t *testing.T) {
	local := open(t, UNIX)
	if errno := ConnectUnix(local, filepath.Join(t.TempDir(), "nobody")); !noFile(errno) {
		t.Errorf("connect to no path: %v", errno)
	}
	if errno := ConnectUnix(local, "/"+strings.Repeat("x", 200)); errno != syscall.EINVAL {
		t.Errorf("connect to a path that is too long: %v", errno)
	}
}

func TestUnixSocketHasAPath(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l := open(t, UNIX)
	if err := bindUnix(l, path); err != nil {
		t.Fatal(err)
	}
	listen(l)
	fd := open(t, UNIX)
	if errno := ConnectUnix(fd, path); errno != 0 {
		t.Fatal(errno)
	}
	if _, got := PeerName(fd); got != path {
		t.Errorf("PeerName is %q", got)
	}
	if _, got := LocalName(l); got != path {
		t.Errorf("LocalName is %q", got)
	}
	server, peer, errno := Accept(l)
	if errno != 0 || peer != (Peer{}) {
		t.Errorf("accepted %v, %v", peer, errno)
	}
	Close(server)
	if p, path := LocalName(-1); p != (Peer{}) || path != "" {
		t.Errorf("no socket is called %v %q", p, path)
	}
}

func TestOptionsReachTheSocket(t *testing.T) {
	fd := open(t, INET)
	if err := NoDelay(fd); err != nil {
		t.Fatal(err)
	}
	if !delaysNot(t, fd) {
		t.Error("TCP_NODELAY is not set")
	}
	if NoDelay(-1) == nil {
		t.Error("no socket took TCP_NODELAY")
	}
}

func TestUntakenIsWhatThePeerHasNotTaken(t *testing.T) {
	client, server, _ := pair(t, INET)
	if Untaken(server) < 0 {
		t.Skip("not known here")
	}
	sent := 0
	for {
		n, errno := Send(server, make([]byte, 1<<20))
		if WouldBlock(errno) {
			break
		}
		sent += n
	}
	full := Untaken(server)
	if full <= 0 || full > sent {
		t.Fatalf("%d of %d are untaken", full, sent)
	}
	p := make([]byte, 1<<20)
	for Untaken(server) == full {
		ready(t, client, readable)
		Recv(client, p)
	}
}

func TestReadyTellsWhatWouldNotWait(t *testing.T) {
	client, server, _ := pair(t, INET)
	if r, w := Ready(client, true, true); r || !w {
		t.Errorf("connected, nothing there: read %v, write %v", r, w)
	}
	Send(server, []byte("x"))
	ready(t, client, readable)
	if r, w := Ready(client, true, false); !r || w {
		t.Errorf("a byte is there, and only reading was asked about: read %v, write %v", r, w)
	}
	Recv(client, make([]byte, 1))
	ShutdownWrite(server)
	ready(t, client, readable)
	if r, _ := Ready(client, true, true); !r {
		t.Error("the end of input cannot be read")
	}
}

func TestDupIsTheSameSocket(t *testing.T) {
	client, server, _ := pair(t, INET)
	other, err := Dup(client)
	if err != nil {
		t.Fatal(err)
	}
	defer Close(other)
	if n, errno := Recv(other, make([]byte, 1)); !WouldBlock(errno) {
		t.Errorf("nothing was read: %d, %v", n, errno)
	}
	Close(client)
	Send(server, []byte("x"))
	ready(t, other, readable)
	if n, errno := Recv(other, make([]byte, 10)); n != 1 || errno != 0 {
		t.Errorf("%d, %v", n, errno)
	}
}

func TestKeepAliveTakesAnyTime(t *testing.T) {
	fd := open(t, INET)
	for _, after := range []time.Duration{time.Millisecond, time.Minute, 1000 * time.Hour} {
		if err := KeepAlive(fd, after); err != nil {
			t.Errorf("%v: %v", after, err)
		}
	}
	if KeepAlive(-1, time.Minute) == nil {
		t.Error("no socket took SO_KEEPALIVE")
	}
}
