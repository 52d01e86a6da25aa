package socket

import (
	"context"
	"errors"
	"net"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestWrongUseIsAnErrorThatSaysSo(t *testing.T) {
	l, listen := listening(t, "127.0.0.1:0", nil)
	x, y := tcpPair(t)
	peer := localAddr(t, y).String()
	d, datagram := boundDatagram(t, AF_INET)
	unconnected := made(t, AF_INET, SOCK_STREAM)
	six := made(t, AF_INET6, SOCK_STREAM)
	unix := made(t, AF_UNIX, SOCK_STREAM)
	v4, v6 := parsed(t, "127.0.0.1:7"), parsed(t, "[::1]:7")
	long, longName := "/"+strings.Repeat("x", maxPath), "@"+strings.Repeat("x", maxPath+1)
	p := make([]byte, 1)

	closed := connectedTo(t, listen)
	closed.Close()

	for _, c := range []struct {
		name  string
		call  func() error
		text  string // how the error starts
		cause error
		hint  string
	}{
		{"send on a listening socket", func() error { _, err := l.Send(p); return err },
			"send " + listen.String() + ": ", syscall.EPIPE, "not connected"},
		{"receive on a listening socket", func() error { _, err := l.Recv(p); return err },
			"recv " + listen.String() + ": ", syscall.ENOTCONN, "connect the socket first"},
		{"connect a listening socket", func() error { return l.Connect(v4) },
			"connect 127.0.0.1:7: ", syscall.EISCONN, ""},
		{"bind twice", func() error { return d.Bind(datagram) },
			"bind " + datagram.String() + ": ", syscall.EINVAL, "bound already"},
		{"listen on a connected socket", func() error { return x.Listen(1) },
			"listen " + peer + ": ", syscall.EINVAL, ""},
		{"listen on a datagram socket", func() error { return d.Listen(1) },
			"listen " + datagram.String() + ": ", syscall.EOPNOTSUPP, ""},
		{"accept without listening", func() error { _, _, err := unconnected.Accept(); return err },
			"accept: ", syscall.EINVAL, "call Listen first"},
		{"connect twice", func() error { return x.Connect(v4) },
			"connect 127.0.0.1:7: ", syscall.EISCONN, ""},
		{"receive without connecting", func() error { _, err := unconnected.Recv(p); return err },
			"recv: ", syscall.ENOTCONN, "connect the socket first"},
		{"send a datagram nowhere", func() error { _, err := d.Send(p); return err },
			"send " + datagram.String() + ": ", syscall.EDESTADDRREQ, "name a destination"},
		{"too long a datagram", func() error { _, err := d.SendTo(make([]byte, 70_000), datagram); return err },
			"sendto " + datagram.String() + ": ", syscall.EMSGSIZE, "must fit"},
		{"the peer's address of an unconnected socket", func() error { _, err := unconnected.PeerAddr(); return err },
			"getpeername: ", syscall.ENOTCONN, ""},
		{"shutdown of an unconnected socket", func() error { return unconnected.Shutdown(SHUT_WR) },
			"shutdown: ", syscall.ENOTCONN, ""},
		{"shutdown that way", func() error { return x.Shutdown(99) },
			"shutdown " + peer + ": ", syscall.EINVAL, ""},

		{"a port over 65535", func() error { _, err := ParseAddr("127.0.0.1:65536"); return err },
			"parse 127.0.0.1:65536: port 65536 is over 65535", syscall.EINVAL, ""},
		{"a server's port over 65535", func() error { _, err := CreateServer(":65536", nil); return err },
			"bind :65536: port 65536 is over 65535", syscall.EINVAL, ""},
		{"connect to the wrong family", func() error { return six.Connect(v4) },
			"connect 127.0.0.1:7: an AF_INET address on an AF_INET6 socket", syscall.EAFNOSUPPORT, ""},
		{"bind the wrong family", func() error { return unix.Bind(v6) },
			"bind [::1]:7: an AF_INET6 address on an AF_UNIX socket", syscall.EAFNOSUPPORT, ""},
		{"send to the wrong family", func() error { _, err := d.SendTo(p, v6); return err },
			"sendto [::1]:7: ", syscall.EAFNOSUPPORT, ""},
		{"send a message to the wrong family", func() error { _, err := d.SendMsg([][]byte{p}, nil, v6, 0); return err },
			"sendmsg [::1]:7: ", syscall.EAFNOSUPPORT, ""},
		{"bind to no address", func() error { return unconnected.Bind(Addr{}) },
			"bind: no address given", syscall.EINVAL, ""},
		{"bind to an address of another machine", func() error { return unconnected.Bind(parsed(t, "192.0.2.1:0")) },
			"bind 192.0.2.1:0: ", syscall.EADDRNOTAVAIL, "no interface of this machine"},
		{"an unknown interface", func() error { return six.Connect(parsed(t, "[fe80::1%nosuch]:7")) },
			"connect [fe80::1%nosuch]:7: ", errNoInterface, ""},
		{"bind too long a path", func() error { return unix.Bind(UnixAddr(long)) },
			"bind " + long + ": ", syscall.ENAMETOOLONG, "bytes"},
		{"serve at too long a path", func() error { _, err := CreateServer(long, nil); return err },
			"bind " + long + ": ", syscall.ENAMETOOLONG, "bytes"},
		{"too long an abstract name", func() error { return unix.Bind(UnixAddr(longName)) },
			"bind " + longName + ": ", syscall.ENAMETOOLONG, "bytes"},
		{"a zero byte in a path", func() error { return unix.Connect(UnixAddr("/a\x00b")) },
			"connect /a\x00b: a zero byte", syscall.EINVAL, ""},
		{"a path in no directory", func() error { return unix.Bind(UnixAddr("/nowhere/s")) },
			"bind /nowhere/s: ", syscall.ENOENT, ""},

		{"the zero Socket", func() error { _, err := new(Socket).Recv(p); return err }, "recv: ", net.ErrClosed, ""},
		{"an unknown family", func() error { _, err := New(99, SOCK_STREAM, 0); return err },
			"socket: the family must be", syscall.EAFNOSUPPORT, ""},
		{"an unknown type", func() error { _, err := New(AF_INET, 99, 0); return err },
			"socket: ", nil, ""},
		{"a descriptor that is not open", func() error { _, err := FromFD(1 << 20); return err },
			"fromfd: ", syscall.EBADF, ""},
		{"an unknown option", func() error { return x.SetOption(SOL_SOCKET, 9999, 1) },
			"setsockopt " + peer + ": ", syscall.ENOPROTOOPT, ""},
		{"descriptors over TCP", func() error { _, err := x.SendFDs(p, 0); return err },
			"send descriptors " + peer + ": only a Unix socket", syscall.EAFNOSUPPORT, ""},
		{"descriptors without data", func() error { a, _ := unixPair(t, SOCK_STREAM); _, err := a.SendFDs(nil, 0); return err },
			"send descriptors (unnamed): descriptors travel with data", syscall.EINVAL, ""},

		{"send after close", func() error { _, err := closed.Send(p); return err },
			"send " + listen.String() + ": use of a closed socket", net.ErrClosed, ""},
		{"receive after close", func() error { _, err := closed.Recv(p); return err },
			"recv ", syscall.EBADF, ""},
		{"accept after close", func() error { _, _, err := closed.Accept(); return err }, "accept ", net.ErrClosed, ""},
		{"bind after close", func() error { return closed.Bind(v4) }, "bind 127.0.0.1:7: ", net.ErrClosed, ""},
		{"connect after close", func() error { return closed.Connect(v4) }, "connect 127.0.0.1:7: ", net.ErrClosed, ""},
		{"listen after close", func() error { return closed.Listen(1) }, "listen ", net.ErrClosed, ""},
		{"shutdown after close", func() error { return closed.Shutdown(SHUT_WR) }, "shutdown ", net.ErrClosed, ""},
		{"set an option after close", func() error { return closed.SetNoDelay(true) }, "set no-delay ", net.ErrClosed, ""},
		{"set a timeout after close", func() error { return closed.SetTimeout(1) }, "set timeout ", net.ErrClosed, ""},
		{"set a deadline after close", func() error { return closed.SetDeadline(time.Now()) }, "set deadline ", net.ErrClosed, ""},
		{"duplicate after close", func() error { _, err := closed.Dup(); return err }, "dup ", net.ErrClosed, ""},
		{"detach after close", func() error { _, err := closed.Detach(); return err }, "detach ", net.ErrClosed, ""},
		{"convert after close", func() error { _, err := closed.Conn(); return err }, "conn ", net.ErrClosed, ""},
		{"close twice", func() error { return closed.Close() }, "close ", net.ErrClosed, ""},
	} {
		err := c.call()
		e := new(Error)
		if !errors.As(err, &e) || c.cause != nil && !errors.Is(err, c.cause) {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if !strings.HasPrefix(err.Error(), c.text) || !strings.Contains(err.Error(), c.hint) {
			t.Errorf("%s: %q, want %q … %q", c.name, err, c.text, c.hint)
		}
	}
	if closed.FD() != -1 {
		t.Error("a closed socket has a descriptor:", closed.FD())
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	low, high := " (ports below 1024 need root"+lowPortCapability+")", ""
	if runtime.GOOS == "windows" { // where every program may have every port
		low = " (another socket has this port to itself, or Windows has reserved it: choose another)"
		high = low
	}
	for _, c := range []struct {
		err  Error
		want string
	}{
		{Error{"bind", "127.0.0.1:80", syscall.EACCES}, "bind 127.0.0.1:80: permission denied" + low},
		{Error{"bind", "127.0.0.1:8080", syscall.EACCES}, "bind 127.0.0.1:8080: permission denied" + high},
		{Error{"bind", "/run/s", syscall.EACCES}, "bind /run/s: permission denied (the directory must be writable)"},
		{Error{"accept", "127.0.0.1:7", syscall.EMFILE},
			"accept 127.0.0.1:7: too many open files (raise the limit of this process: ulimit -n)"},
		{Error{"connect", "127.0.0.1:7", syscall.ECONNREFUSED}, "connect 127.0.0.1:7: connection refused"},
	} {
		if got := c.err.Error(); got != c.want {
			t.Errorf("%s\nwant %s", got, c.want)
		}
	}
	if runtime.GOOS == "linux" && lowPortCapability != " or CAP_NET_BIND_SERVICE" {
		t.Error(lowPortCapability)
	}
}

func TestNamesThatCannotBeResolved(t *testing.T) {
	for _, c := range []struct {
		host, service string
		hints         *AddrInfo
		want          string
	}{
		{"localhost", "80", &AddrInfo{Flags: AI_NUMERICHOST}, `"localhost" is not an IP address`},
		{"127.0.0.1", "http", &AddrInfo{Flags: AI_NUMERICSERV}, `port "http" is not a number`},
		{"127.0.0.1", "65536", nil, "port 65536 is over 65535"},
		{"127.0.0.1", "80", &AddrInfo{Family: AF_INET6}, "no AF_INET6 address"},
		{"127.0.0.1", "80", &AddrInfo{Family: AF_UNIX}, "the family must be"},
		{"127.0.0.1", "80", &AddrInfo{Type: SOCK_STREAM, Proto: IPPROTO_UDP}, "with its own protocol"},
	} {
		_, err := GetAddrInfo(context.Background(), c.host, c.service, c.hints)
		if err == nil || !strings.HasPrefix(err.Error(), "getaddrinfo "+c.host+":"+c.service+": ") ||
			!strings.Contains(err.Error(), c.want) {
			t.Errorf("%s, %s: %v", c.host, c.service, err)
		}
	}
}
