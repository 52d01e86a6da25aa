package socket

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"
)

func TestConnectionOfNetBecomesASocketAndBack(t *testing.T) {
	x, y := tcpPair(t)
	c, err := x.Conn()
	noError(t, err)
	if c.RemoteAddr().String() != localAddr(t, y).String() {
		t.Error(c.RemoteAddr())
	}
	noError(t, x.Close()) // the other lives on
	s, err := FromConn(c)
	noError(t, err)
	defer s.Close()
	noError(t, c.Close())
	if s.Family() != AF_INET || s.Type() != SOCK_STREAM {
		t.Error(s.Family(), s.Type())
	}
	s.SendAll([]byte("hello"))
	p := make([]byte, 10)
	if n, err := y.Recv(p); err != nil || string(p[:n]) != "hello" {
		t.Errorf("%q, %v", p[:n], err)
	}
}

func TestListenerOfNetBecomesASocketAndBack(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", t.TempDir() + "/s.sock"} {
		l, to := listening(t, address, nil)
		n, err := l.Listener()
		noError(t, err)
		back, err := FromListener(n)
		noError(t, err)
		noError(t, n.Close())
		connectedTo(t, to)
		accepted(t, back)
		noError(t, back.Close())
		connectedTo(t, to)
		accepted(t, l)
	}
	x, _ := tcpPair(t)
	if _, err := x.Listener(); !errors.Is(err, syscall.EINVAL) {
		t.Error(err)
	}
}

func TestConnectionWithoutDescriptorSaysSo(t *testing.T) {
	x, _ := net.Pipe()
	for _, c := range []net.Conn{tls.Client(x, nil), x} {
		if _, err := FromConn(c); !errors.Is(err, errors.ErrUnsupported) {
			t.Error(err)
		}
	}
}

func TestMakeFileSendsAtFlush(t *testing.T) {
	x, y := tcpPair(t)
	f, g := x.MakeFile(), y.MakeFile()
	f.WriteString("one\ntwo\n")
	y.SetBlocking(false)
	if _, err := y.Recv(make([]byte, 1)); !errors.Is(err, ErrWouldBlock) {
		t.Error("sent before Flush:", err)
	}
	y.SetBlocking(true)
	noError(t, f.Flush())
	for _, want := range []string{"one\n", "two\n"} {
		if line, err := g.ReadString('\n'); line != want || err != nil {
			t.Errorf("%q, %v", line, err)
		}
	}
	f.WriteString("last")
	noError(t, f.Close())
	if _, err := x.Send([]byte(" words")); err != nil {
		t.Error("Close of the File closed the socket:", err)
	}
	x.Close()
	if text, err := io.ReadAll(g); string(text) != "last words" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
	f.WriteString("lost")
	if err := f.Close(); !errors.Is(err, net.ErrClosed) {
		t.Error("what was not sent is not told:", err)
	}
}

func TestSocketIsAReadWriteCloser(t *testing.T) {
	x, y := unixPair(t, SOCK_STREAM)
	var rwc io.ReadWriteCloser = x
	echoed := in(func() error { _, err := io.Copy(y, y); y.Close(); return err })
	go func() {
		io.Copy(rwc, bytes.NewReader(make([]byte, 1<<20)))
		x.Shutdown(SHUT_WR)
	}()
	n, err := io.Copy(io.Discard, bufio.NewReader(rwc))
	if n != 1<<20 || err != nil {
		t.Error(n, err)
	}
	noError(t, <-echoed)
}

func TestDupIsASecondHandle(t *testing.T) {
	x, y := unixPair(t, SOCK_STREAM)
	x.SetTimeout(time.Hour)
	d, err := x.Dup()
	noError(t, err)
	defer d.Close()
	if d.Timeout() != time.Hour || d.FD() == x.FD() {
		t.Error(d.Timeout(), d.FD())
	}
	noError(t, x.Close())
	d.Send([]byte("still"))
	p := make([]byte, 10)
	if n, err := y.Recv(p); string(p[:n]) != "still" || err != nil {
		t.Errorf("%q, %v", p[:n], err)
	}
}

func TestGetAddrInfo(t *testing.T) {
	ctx := context.Background()
	addrs := func(host, service string, hints *AddrInfo) (list []string) {
		t.Helper()
		infos, err := GetAddrInfo(ctx, host, service, hints)
		noError(t, err)
		for _, i := range infos {
			if i.Family != i.Addr.Family() {
				t.Errorf("%+v", i)
			}
			list = append(list, i.Addr.String())
		}
		return list
	}
	stream := &AddrInfo{Type: SOCK_STREAM}
	for _, c := range []struct {
		host, service string
		hints         *AddrInfo
		want          []string
	}{
		{"127.0.0.1", "80", stream, []string{"127.0.0.1:80"}},
		{"127.0.0.1", "http", stream, []string{"127.0.0.1:80"}},
		{"127.0.0.1", "domain", &AddrInfo{Type: SOCK_DGRAM}, []string{"127.0.0.1:53"}},
		{"127.0.0.1", "80", nil, []string{"127.0.0.1:80", "127.0.0.1:80", "127.0.0.1:80"}},
		{"::1", "80", stream, []string{"[::1]:80"}},
		{"", "80", &AddrInfo{Type: SOCK_STREAM, Family: AF_INET}, []string{"127.0.0.1:80"}},
		{"", "80", stream, []string{"[::1]:80", "127.0.0.1:80"}},
		{"", "80", &AddrInfo{Type: SOCK_STREAM, Flags: AI_PASSIVE}, []string{"0.0.0.0:80", "[::]:80"}},
		{"localhost", "", &AddrInfo{Type: SOCK_STREAM, Family: AF_INET}, []string{"127.0.0.1:0"}},
	} {
		if got := addrs(c.host, c.service, c.hints); !slices.Equal(got, c.want) {
			t.Errorf("%q, %q, %+v: %v, want %v", c.host, c.service, c.hints, got, c.want)
		}
	}
	list, err := GetAddrInfo(ctx, "127.0.0.1", "80", &AddrInfo{Flags: AI_CANONNAME})
	noError(t, err)
	if list[0].CanonName != "127.0.0.1" || list[0].Type != SOCK_STREAM || list[0].Proto != IPPROTO_TCP ||
		list[1].Type != SOCK_DGRAM || list[1].Proto != IPPROTO_UDP {
		t.Errorf("%+v", list)
	}
}

func TestGetHostName(t *testing.T) {
	want, err := os.Hostname()
	noError(t, err)
	if name, err := GetHostName(); name != want || err != nil {
		t.Error(name, err)
	}
}
