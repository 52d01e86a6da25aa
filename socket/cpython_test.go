//go:build unix

package socket

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// What CPython's own tests of its socket module expect, where this package once did otherwise. The values are those of
// CPython, asked where it can be asked.

func TestTypeMayHaveFlags(t *testing.T) {
	l, to := listening(t, "127.0.0.1:0", nil)
	for _, flags := range []int{0, SOCK_NONBLOCK, SOCK_CLOEXEC, SOCK_NONBLOCK | SOCK_CLOEXEC} {
		s, err := New(AF_INET, SOCK_STREAM|flags, 0)
		noError(t, err)
		x, y, err := Pair(AF_UNIX, SOCK_STREAM|flags, 0)
		noError(t, err)
		want := time.Duration(-1)
		if flags&SOCK_NONBLOCK != 0 {
			want = 0
		}
		for _, s := range []*Socket{s, x, y} {
			defer s.Close()
			if s.Type() != SOCK_STREAM || s.Timeout() != want {
				t.Errorf("flags %#x: type %#x, timeout %v", flags, s.Type(), s.Timeout())
			}
		}
		x.Close()
		if text, err := io.ReadAll(y); len(text) != 0 || err != nil {
			t.Errorf("flags %#x: the end of the stream is %q, %v", flags, text, err)
		}
		if err := s.Connect(to); err != nil && !(want == 0 && errors.Is(err, ErrInProgress)) {
			t.Errorf("flags %#x: %v", flags, err)
		}
		accepted(t, l)
	}
	if runtime.GOOS == "linux" {
		got := python(t, `
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
print(int(s.type), s.gettimeout())`)
		if got != fmt.Sprint(SOCK_STREAM, " 0.0") {
			t.Error("Python disagrees:", got)
		}
	}
}

func TestAcceptedSocketsHaveNoFlags(t *testing.T) {
	l, err := New(AF_INET, SOCK_STREAM|SOCK_NONBLOCK, 0)
	noError(t, err)
	defer l.Close()
	noError(t, l.Bind(parsed(t, "127.0.0.1:0")))
	noError(t, l.Listen(1))
	connectedTo(t, localAddr(t, l))
	ready(t, l, unix.POLLIN)
	s := accepted(t, l)
	if s.Type() != SOCK_STREAM || s.Timeout() != -1 {
		t.Errorf("type %#x, timeout %v", s.Type(), s.Timeout())
	}
}

// The receiving calls, each into p.
var receivingCalls = map[string]func(s *Socket, p []byte, flags int) (int, error){
	"recv": (*Socket).RecvFlags,
	"recvfrom": func(s *Socket, p []byte, flags int) (int, error) {
		n, _, err := s.RecvFromFlags(p, flags)
		return n, err
	},
	"recvmsg": func(s *Socket, p []byte, flags int) (int, error) {
		n, _, err := s.RecvMsg([][]byte{p[:len(p)/3], nil, p[len(p)/3:]}, 0, flags)
		return n, err
	},
}

func TestWaitAllFillsTheBufferInEveryCall(t *testing.T) {
	for name, receive := range receivingCalls {
		for _, pair := range []func(testing.TB) (x, y *Socket){
			tcpPair, func(t testing.TB) (x, y *Socket) { return unixPair(t, SOCK_STREAM) },
		} {
			x, y := pair(t)
			p := make([]byte, 10)
			n := 0
			got := in(func() (err error) { n, err = receive(y, p, MSG_WAITALL); return err })
			x.Send([]byte("hello"))
			if !settled(func() bool { return y.parked.Load() != nil && !readable(y) }) {
				t.Fatal(name, "did not take the first half")
			}
			x.Send([]byte("world"))
			noError(t, <-got)
			if string(p[:n]) != "helloworld" {
				t.Errorf("%s: %q", name, p[:n])
			}

			x.Send([]byte("end"))
			x.Close()
			if n, err := receive(y, p, MSG_WAITALL); string(p[:n]) != "end" || err != io.EOF {
				t.Errorf("%s, at the end: %q, %v", name, p[:n], err)
			}
		}
	}
}

func readable(s *Socket) bool {
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(s.FD()), Events: unix.POLLIN}}, 0)
	return n != 0 || err != nil
}

func TestWaitAllLosesNoDescriptors(t *testing.T) {
	x, y := unixPair(t, SOCK_STREAM)
	f, err := os.Open(os.DevNull)
	noError(t, err)
	defer f.Close()
	for _, part := range []string{"abc", "def"} {
		_, err := x.SendFDs([]byte(part), int(f.Fd()))
		noError(t, err)
	}
	p := make([]byte, 6)
	for _, want := range []string{"abc", "def"} {
		n, fds, m, err := y.RecvFDsFrom(p, 4, MSG_WAITALL)
		if string(p[:n]) != want || len(fds) != 1 || err != nil || m.Flags != 0 {
			t.Fatalf("%q, %v, %+v, %v", p[:n], fds, m, err)
		}
		unix.Close(fds[0])
	}
}

func TestEmptyBufferReceivesNothingAndIsNoEnd(t *testing.T) {
	idle, _ := tcpPair(t)
	ended, y := tcpPair(t)
	full, z := tcpPair(t)
	y.Close()
	z.Send([]byte("x"))
	ready(t, full, unix.POLLIN)
	ready(t, ended, unix.POLLIN)
	d, own := boundDatagram(t, AF_INET)
	for name, s := range map[string]*Socket{"idle": idle, "ended": ended, "with data": full} {
		for call, receive := range receivingCalls {
			for _, flags := range []int{0, MSG_PEEK, MSG_WAITALL, MSG_DONTWAIT} {
				if n, err := receive(s, nil, flags); n != 0 || err != nil {
					t.Errorf("%s stream, %s with %#x: %d, %v", name, call, flags, n, err)
				}
			}
		}
		if n, err := s.Read(nil); n != 0 || err != nil {
			t.Errorf("%s stream, read: %d, %v", name, n, err)
		}
	}
	if n, err := d.Recv(nil); n != 0 || err != nil {
		t.Error("idle datagram socket:", n, err)
	}
	// The byte is there still, and so is the end.
	if n, err := full.Recv(make([]byte, 2)); n != 1 || err != nil {
		t.Error(n, err)
	}
	if n, err := ended.Recv(make([]byte, 2)); n != 0 || err != io.EOF {
		t.Error(n, err)
	}
	// An empty datagram is no end, and what asks for the sender takes a datagram with no room for it.
	d.SendTo(nil, own)
	if n, err := d.Recv(make([]byte, 1)); n != 0 || err != nil {
		t.Error(n, err)
	}
	d.SendTo([]byte("first"), own)
	d.SendTo([]byte("second"), own)
	if n, from, err := d.RecvFrom(nil); n != 0 || from != own || err != nil {
		t.Error(n, from, err)
	}
	p := make([]byte, 10)
	if n, err := d.Recv(p); string(p[:n]) != "second" || err != nil {
		t.Errorf("%q, %v", p[:n], err)
	}
	idle.Close()
	for call, receive := range receivingCalls {
		if n, err := receive(idle, nil, 0); n != 0 || !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s of a closed socket: %d, %v", call, n, err)
		}
	}
}

func TestSecondConnectWhilePendingIsAlready(t *testing.T) {
	hole := blackHole(t, "127.0.0.1:0")
	s := made(t, AF_INET, SOCK_STREAM)
	s.SetBlocking(false)
	if err := s.Connect(hole); !errors.Is(err, ErrInProgress) {
		t.Fatal(err)
	}
	for range 3 {
		if err := s.Connect(hole); !errors.Is(err, syscall.EALREADY) || errors.Is(err, ErrInProgress) {
			t.Error(err)
		}
	}
	want := python(t, `
import errno, socket, sys
s = socket.socket()
s.setblocking(False)
to = ('127.0.0.1', int(sys.argv[1]))
print(errno.errorcode[s.connect_ex(to)], errno.errorcode[s.connect_ex(to)])`, fmt.Sprint(hole.Port()))
	if want != "EINPROGRESS EALREADY" {
		t.Error("Python disagrees:", want)
	}
}

func TestConnectOutcome(t *testing.T) {
	for _, c := range []struct {
		name string
		num  syscall.Errno
		err  error
		want error
	}{
		{"connected", 0, nil, nil},
		{"goes on", 0, syscall.ENOTCONN, syscall.EAGAIN},
		{"refused, and Linux has no peer", syscall.ECONNREFUSED, syscall.ENOTCONN, syscall.ECONNREFUSED},
		{"refused, and macOS has shut down", syscall.ECONNREFUSED, syscall.EINVAL, syscall.ECONNREFUSED},
		{"refused, though the peer is known", syscall.ECONNREFUSED, nil, syscall.ECONNREFUSED},
		{"macOS has shut down, and the reason is taken", 0, syscall.EINVAL, syscall.ECONNABORTED},
		{"closed", 0, syscall.EBADF, syscall.EBADF},
	} {
		if got := connectOutcome(int(c.num), c.err); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestLongestUnixPathIsBound(t *testing.T) {
	if runtime.GOOS == "linux" && maxPath != 107 {
		t.Fatal(maxPath)
	}
	dir, err := os.MkdirTemp("/tmp", "s")
	noError(t, err)
	defer os.RemoveAll(dir)
	t.Chdir(dir)
	var paths []string
	fill := func(prefix string, n int) string { return prefix + strings.Repeat("x", n-len(prefix)) }
	for _, n := range []int{maxPath - 1, maxPath} {
		for _, path := range []string{fill(dir+"/", n), fill("", n), fill("./", n), fill("@/../@", n)} {
			if path[0] == '@' {
				os.Mkdir("@", 0o700)
				path = "./" + path[:len(path)-2]
			}
			l := made(t, AF_UNIX, SOCK_STREAM)
			if err := l.Bind(UnixAddr(path)); err != nil {
				t.Errorf("%d bytes, %s: %v", n, path, err)
				continue
			}
			noError(t, l.Listen(5))
			if _, err := os.Lstat(path); err != nil {
				t.Error(err)
			}
			if a := localAddr(t, l); filepath.Clean(a.Path()) != filepath.Clean(path) {
				t.Errorf("%s, want %s", a, path)
			}
			connectedTo(t, UnixAddr(path))
			paths = append(paths, path)
		}
	}
	got := python(t, `
import socket, sys
for path in sys.argv[1:]:
    s = socket.socket(socket.AF_UNIX)
    s.connect(path)
print('connected')`, paths...)
	if got != "connected" {
		t.Error(got)
	}
	for _, path := range []string{fill(dir+"/", maxPath+1), fill("", maxPath+1)} {
		if err := made(t, AF_UNIX, SOCK_STREAM).Bind(UnixAddr(path)); !errors.Is(err, syscall.ENAMETOOLONG) {
			t.Error(path, err)
		}
	}
}

func TestTimeoutOptionsSayWhatToUse(t *testing.T) {
	s := made(t, AF_INET, SOCK_STREAM)
	timeval := binary.NativeEndian.AppendUint64(nil, 1)
	timeval = append(timeval, make([]byte, 8)...)
	for name, want := range map[int]string{
		SO_RCVTIMEO: "SO_RCVTIMEO would have no effect: use SetTimeout or SetReadDeadline",
		SO_SNDTIMEO: "SO_SNDTIMEO would have no effect: use SetTimeout or SetWriteDeadline",
	} {
		for _, err := range []error{
			s.SetOptionBytes(SOL_SOCKET, name, timeval), s.SetOption(SOL_SOCKET, name, 1), s.SetOptionBool(SOL_SOCKET, name, true),
		} {
			if !errors.Is(err, syscall.EOPNOTSUPP) || !strings.HasSuffix(err.Error(), want) {
				t.Error(err)
			}
		}
	}
	// The number means something else at another level.
	if err := s.SetOption(IPPROTO_IP, SO_RCVTIMEO, 1); err != nil && strings.Contains(err.Error(), "no effect") {
		t.Error(err)
	}
}

func TestAddressesInTextAreCPythons(t *testing.T) {
	var packed [][]byte
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 400 {
		p := make([]byte, 16)
		for j := 0; j < 16; j += 2 {
			if r.IntN(3) == 0 || i < 200 && j >= 12 {
				binary.BigEndian.PutUint16(p[j:], uint16(r.Uint32())>>r.IntN(16))
			}
		}
		packed = append(packed, p)
	}
	for _, text := range []string{"::", "::1", "::102:304", "::ffff:102:304", "::1:0:0", "::1:0", "64:ff9b::1.2.3.4", "::ffff:0:1.2.3.4"} {
		p, err := InetPton(AF_INET6, text)
		noError(t, err)
		packed = append(packed, p)
	}
	var in bytes.Buffer
	for _, p := range packed {
		fmt.Fprintf(&in, "%x\n", p)
	}
	cmd := program(t, "python3", "-c", `
import socket, sys
for line in sys.stdin:
    print(socket.inet_ntop(socket.AF_INET6, bytes.fromhex(line)))`)
	cmd.Stdin = &in
	out, err := cmd.Output()
	noError(t, err)
	for i, want := range strings.Fields(string(out)) {
		if got, err := InetNtop(AF_INET6, packed[i]); got != want || err != nil {
			t.Errorf("%x: %s, want %s, %v", packed[i], got, want, err)
		}
	}
	if got, _ := InetNtop(AF_INET6, []byte("\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x02\x03\x04")); got != "::1.2.3.4" {
		t.Error(got)
	}
}

func TestInetAtonIsCPythons(t *testing.T) {
	texts := []string{
		"127.1", "0x7f.1", "017700000001", "1.2.3.4 foo", "1.2.3.4foo", "1", "", "0", "00", "0x", "0X10", "1..2", "1.2.3.256",
		"1.2.65535", "1.2.65536", "1.256.1", "1.16777215", "4294967295", "4294967296", "0xffffffff", "1.2.3.4.", ".1", "08",
		"010.1", "+1", "-1", "1_0", "127.0.0.1\n", "0x7f.0x", "0000000000000000000001", " 1.2.3.4", "1.2.3.4\v", "1e", "::1",
		"1.2.3.4.5", "0xg", "0b1", "localhost",
	}
	var want []string
	for line := range strings.SplitSeq(python(t, `
import socket, sys
for text in sys.argv[1:]:
    try:
        print(socket.inet_aton(text).hex())
    except OSError:
        print('error')`, texts...), "\n") {
		want = append(want, line)
	}
	for i, text := range texts {
		got := "error"
		if p, err := InetAton(text); err == nil {
			got = fmt.Sprintf("%x", p)
			back, err := InetNtoa(p)
			if again, _ := InetPton(AF_INET, back); err != nil || !bytes.Equal(again, p) {
				t.Error(back, err)
			}
		} else if !errors.Is(err, syscall.EINVAL) || !strings.HasSuffix(err.Error(), ": not an IPv4 address") {
			t.Error(err)
		}
		if got != want[i] {
			t.Errorf("%q: %s, want %s", text, got, want[i])
		}
	}
	_, a := listening(t, "127.0.0.1:0", nil)
	s, err := CreateConnection(context.Background(), fmt.Sprintf("127.1:%d", a.Port()), nil)
	noError(t, err)
	s.Close()
}

func TestRefusingLocalhostHasOneReasonForEachAddress(t *testing.T) {
	port := unusedPort(t, AF_INET).Port()
	_, err := CreateConnection(context.Background(), fmt.Sprintf("localhost:%d", port), nil)
	if !errors.Is(err, syscall.ECONNREFUSED) {
		t.Fatal(err)
	}
	_, reasons, _ := strings.Cut(err.Error(), ": ")
	for reason := range strings.SplitSeq(reasons, "; ") {
		if !strings.HasSuffix(reason, fmt.Sprintf(":%d: connection refused", port)) {
			t.Errorf("%q in %v", reason, err)
		}
	}
	// A name that has IPv4 addresses alone, as net tells it from the hosts file and from a name server.
	for _, missing := range []error{
		&net.AddrError{Err: "no suitable address found", Addr: "localhost"},
		&net.DNSError{Err: "no such host", IsNotFound: true},
	} {
		r := race{begun: true, lookupErrs: failures{missing}, errs: failures{syscall.ECONNREFUSED}}
		if got := r.failure(); got.Error() != "connection refused" {
			t.Error(got)
		}
	}
}

func TestSocketIsNeverItsOwnPeer(t *testing.T) {
	for _, host := range []string{"127.0.0.1:0", "[::1]:0"} {
		any := parsed(t, host)
		free := made(t, any.Family(), SOCK_STREAM)
		noError(t, free.Bind(any))
		a := localAddr(t, free)
		noError(t, free.Close())
		// From a port to the same port: TCP connects a socket with itself.
		s, err := CreateConnection(context.Background(), a.String(), &ConnectOptions{Source: a})
		if !errors.Is(err, syscall.ECONNREFUSED) || err.Error() !=
			"connect "+a.String()+": connection refused: nobody listens, and the socket was its own peer" {
			t.Error(s, err)
		}
		// Its port is free again at once.
		listening(t, a.String(), nil)
	}
	// The plain call does what the system does, as in Python.
	s := made(t, AF_INET, SOCK_STREAM)
	noError(t, s.Bind(parsed(t, "127.0.0.1:0")))
	noError(t, s.Connect(localAddr(t, s)))
	s.Send([]byte("own words"))
	p := make([]byte, 9)
	if n, err := s.RecvFlags(p, MSG_WAITALL); string(p[:n]) != "own words" || err != nil {
		t.Errorf("%q, %v", p[:n], err)
	}
}

func TestLinkLocalAddressAsksForItsInterface(t *testing.T) {
	bound := func(a string) error { return made(t, AF_INET6, SOCK_STREAM).Bind(parsed(t, a)) }
	err := bound("[fe80::1]:0")
	if !errors.Is(err, syscall.EINVAL) {
		t.Skip("this system takes a link-local address without an interface:", err)
	}
	if want := "bind [fe80::1]:0: invalid argument (a link-local address needs its interface: [fe80::1%eth0])"; err.Error() != want {
		t.Error(err)
	}
	err = made(t, AF_INET6, SOCK_STREAM).Connect(parsed(t, "[fe80::1]:7"))
	if err == nil || !strings.Contains(err.Error(), "needs its interface") {
		t.Error(err)
	}
	for _, call := range []func() error{
		func() error { return bound("[fe80::1%nosuch]:0") },
		func() error {
			_, err := CreateConnection(context.Background(), "[fe80::1%nosuch]:7", nil)
			return err
		},
	} {
		if err := call(); err == nil || !strings.HasSuffix(err.Error(), "no such network interface") {
			t.Error(err)
		}
	}
}

// The values that the tests above want, from CPython itself.
func TestCPythonExpectsTheSame(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("some of the calls are Linux's")
	}
	got := python(t, `
import errno, socket, threading
def halves(receive):
    a, b = socket.socketpair()
    with a, b:
        a.sendall(b'hello')
        threading.Timer(0.02, a.sendall, [b'world']).start()
        return receive(b).decode()
print(halves(lambda s: s.recv(10, socket.MSG_WAITALL)))
print(halves(lambda s: s.recvfrom(10, socket.MSG_WAITALL)[0]))
print(halves(lambda s: s.recvmsg(10, 0, socket.MSG_WAITALL)[0]))
a, b = socket.socketpair()
print(a.recv(0))
b.send(b'x')
print(a.recvmsg(1)[2])
d = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
try:
    d.recvmsg(1, 100, socket.MSG_ERRQUEUE)
except OSError as e:
    print(errno.errorcode[e.errno])
l = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
l.bind(('127.0.0.1', 0))
l.listen()
c = socket.create_connection(l.getsockname())
l.settimeout(60)
s, _ = l.accept()
print(s.type == socket.SOCK_STREAM, s.gettimeout())
print(socket.inet_ntop(socket.AF_INET6, bytes(12) + bytes([1, 2, 3, 4])))
`)
	want := "helloworld\nhelloworld\nhelloworld\nb''\n0\nEAGAIN\nTrue None\n::1.2.3.4"
	if got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
