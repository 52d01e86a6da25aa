package socket

import (
	"errors"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/windows"

	"github.com/switchboard-go/switchboard/internal/winsock"
)

func TestErrorsHaveBothNumbers(t *testing.T) {
	s := made(t, AF_INET, SOCK_STREAM)
	err := s.Connect(unusedPort(t, AF_INET))
	if !errors.Is(err, syscall.ECONNREFUSED) || !errors.Is(err, windows.WSAECONNREFUSED) || errors.Is(err, windows.WSAECONNRESET) {
		t.Error(err)
	}
	x, _ := tcpPair(t)
	_, err = x.RecvFlags(make([]byte, 1), MSG_DONTWAIT)
	for _, want := range []error{ErrWouldBlock, syscall.EAGAIN, syscall.EWOULDBLOCK, windows.WSAEWOULDBLOCK} {
		if !errors.Is(err, want) {
			t.Errorf("%v is not %v", err, want)
		}
	}
}

func TestWhatWindowsLacksIsAnErrorThatSaysSo(t *testing.T) {
	a, b := unixPair(t, SOCK_STREAM)
	for name, call := range map[string]func() error{
		"Unix datagrams":        func() error { _, err := New(AF_UNIX, SOCK_DGRAM, 0); return err },
		"a pair of datagrams":   func() error { _, _, err := Pair(AF_UNIX, SOCK_DGRAM, 0); return err },
		"a pair of packets":     func() error { _, _, err := Pair(AF_UNIX, SOCK_SEQPACKET, 0); return err },
		"descriptors":           func() error { _, err := a.SendFDs([]byte("x"), b.FD()); return err },
		"control data":          func() error { _, err := a.SendMsg([][]byte{{1}}, []Control{{Level: 1}}, Addr{}, 0); return err },
		"ports that are shared": func() error { return a.SetReusePort(true) },
		"a user timeout":        func() error { return a.SetUserTimeout(1) },
	} {
		if err := call(); !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), "windows does not have") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A connection that another program makes to a pair's port first is not the pair's.
func TestAPairIsOfItsTwoEndsAlone(t *testing.T) {
	server, to := listening(t, "127.0.0.1:0", nil)
	var at winsock.Sockaddr
	at.SetInet(to.AddrPort(), 0)
	stranger := connectedTo(t, to)
	a := made(t, AF_INET, SOCK_STREAM)
	fd, errno := join(a.FD(), server.FD(), &at)
	if errno != 0 {
		t.Fatal(errno)
	}
	b, err := FromFD(fd)
	noError(t, err)
	defer b.Close()
	if peer, err := b.PeerAddr(); err != nil || peer != localAddr(t, a) {
		t.Errorf("the other end is %v, %v", peer, err)
	}
	if _, err := stranger.Recv(make([]byte, 1)); err == nil {
		t.Error("the stranger got something")
	}
}

// Winsock would take all of it.
func TestASendIsBounded(t *testing.T) {
	x, _ := tcpPair(t)
	x.SetBlocking(false)
	big := make([]byte, 64<<20)
	for name, send := range map[string]func() (int, error){
		"send":    func() (int, error) { return x.Send(big) },
		"sendmsg": func() (int, error) { return x.SendMsg([][]byte{big[:1000], big}, nil, Addr{}, 0) },
	} {
		if n, err := send(); n > winsock.MaxSend || n <= 0 || err != nil {
			t.Errorf("%s took %d bytes, %v", name, n, err)
		}
	}
}

func TestADriveBeginsAPath(t *testing.T) {
	for in, want := range map[string]string{
		`C:\run\s.sock`:   `C:\run\s.sock`,
		`c:/run/s.sock`:   `c:/run/s.sock`,
		`\run\s.sock`:     `\run\s.sock`,
		`run\s.sock`:      `./run\s.sock`,
		`..\s.sock`:       `..\s.sock`,
		`\\server\run\s`:  `\\server\run\s`,
		`C:\odd:7\s.sock`: `C:\odd:7\s.sock`,
	} {
		a, err := ParseAddr(in)
		if err != nil || a.Path() != want {
			t.Errorf("%s: %q, %v", in, a.Path(), err)
			continue
		}
		if again, err := ParseAddr(a.String()); again != a || err != nil {
			t.Errorf("%s: read again it is %v, %v", in, again, err)
		}
	}
}

func TestAPortIsNotTakenOver(t *testing.T) {
	_, to := listening(t, "127.0.0.1:0", nil)
	thief := made(t, AF_INET, SOCK_STREAM)
	noError(t, thief.SetOption(SOL_SOCKET, SO_REUSEADDR, 1))
	if err := thief.Bind(to); !errors.Is(err, syscall.EACCES) && !errors.Is(err, syscall.EADDRINUSE) {
		t.Error(err)
	}
}
