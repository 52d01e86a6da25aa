package testsocket

import (
	"net/netip"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/windows"
)

// ErrAgain is the error of a call that would block.
const ErrAgain = windows.WSAEWOULDBLOCK

// ErrReset is the error of a call on a connection that the peer has reset.
const ErrReset = windows.WSAECONNRESET

var (
	ws2    = windows.NewLazySystemDLL("ws2_32.dll")
	accept = ws2.NewProc("accept")
	ioctl  = ws2.NewProc("ioctlsocket")
	recv   = ws2.NewProc("recv")
	send   = ws2.NewProc("send")
)

func init() {
	var data windows.WSAData
	windows.WSAStartup(0x202, &data)
}

// Pipe makes two descriptors, one to read what is written to the other: a pipe, or where none can be waited for a connection.
func Pipe(t testing.TB) (r, w int) {
	t.Helper()
	return TCP(t, "127.0.0.1:0")
}

// Pair makes a connection: of Unix sockets, or over loopback where there are none.
func Pair(t testing.TB) (a, b int) {
	t.Helper()
	return TCP(t, "127.0.0.1:0")
}

func open(t testing.TB, family, typ int) int {
	t.Helper()
	s, err := windows.WSASocket(int32(family), int32(typ), 0, nil, 0,
		windows.WSA_FLAG_OVERLAPPED|windows.WSA_FLAG_NO_HANDLE_INHERIT)
	must(t, err)
	return int(s)
}

func unblock(t testing.TB, fd int) {
	t.Helper()
	const fionbio = 0x8004667e
	on := uint32(1)
	if r, _, err := ioctl.Call(uintptr(fd), fionbio, uintptr(unsafe.Pointer(&on))); int32(r) != 0 {
		t.Fatal(err)
	}
}

// Listen makes a TCP listener. The address is like "127.0.0.1:0" or "[::1]:0".
func Listen(t testing.TB, address string) (fd int, at string) {
	t.Helper()
	to := netip.MustParseAddrPort(address)
	fd = open(t, family(to), windows.SOCK_STREAM)
	must(t, windows.Bind(windows.Handle(fd), sockaddr(to)))
	must(t, windows.Listen(windows.Handle(fd), windows.SOMAXCONN))
	unblock(t, fd)
	return fd, name(t, fd).String()
}

func family(a netip.AddrPort) int {
	if a.Addr().Is4() {
		return windows.AF_INET
	}
	return windows.AF_INET6
}

func sockaddr(a netip.AddrPort) windows.Sockaddr {
	if a.Addr().Is4() {
		return &windows.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return &windows.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
}

func name(t testing.TB, fd int) netip.AddrPort {
	t.Helper()
	sa, err := windows.Getsockname(windows.Handle(fd))
	must(t, err)
	switch sa := sa.(type) {
	case *windows.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *windows.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr), uint16(sa.Port))
	}
	t.Fatalf("a socket of %T", sa)
	return netip.AddrPort{}
}

// TCP makes a connection over loopback, through a listener at the address.
func TCP(t testing.TB, address string) (client, server int) {
	t.Helper()
	l, at := Listen(t, address)
	defer Close(l)
	to := netip.MustParseAddrPort(at)
	client = open(t, family(to), windows.SOCK_STREAM)
	must(t, windows.Connect(windows.Handle(client), sockaddr(to)))
	unblock(t, client)
	for {
		r, _, err := accept.Call(uintptr(l), 0, 0)
		if r != uintptr(windows.InvalidHandle) {
			server = int(r)
			break
		} else if err != ErrAgain {
			t.Fatal(err)
		}
	}
	unblock(t, server)
	for _, fd := range []int{client, server} { // as a pipe has it
		must(t, windows.SetsockoptInt(windows.Handle(fd), windows.IPPROTO_TCP, windows.TCP_NODELAY, 1))
	}
	return client, server
}

// Connecting begins to connect a TCP socket to the IPv4 address of a descriptor.
func Connecting(t testing.TB, to int) int {
	t.Helper()
	fd := open(t, windows.AF_INET, windows.SOCK_STREAM)
	unblock(t, fd)
	if err := windows.Connect(windows.Handle(fd), sockaddr(name(t, to))); err != nil && err != ErrAgain {
		t.Fatal(err)
	}
	return fd
}

// Bound makes a TCP socket with an IPv4 address where nobody listens.
func Bound(t testing.TB) int {
	t.Helper()
	fd := open(t, windows.AF_INET, windows.SOCK_STREAM)
	must(t, windows.Bind(windows.Handle(fd), &windows.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	return fd
}

// Connected reports whether a TCP socket has a peer.
func Connected(fd int) bool {
	_, err := windows.Getpeername(windows.Handle(fd))
	return err == nil
}

// Datagram makes a UDP socket, which can be written to at once.
func Datagram(t testing.TB) int {
	t.Helper()
	fd := open(t, windows.AF_INET, windows.SOCK_DGRAM)
	unblock(t, fd)
	must(t, windows.Bind(windows.Handle(fd), &windows.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	return fd
}

func transfer(call *windows.LazyProc, fd int, p []byte, flags uintptr) (int, error) {
	r, _, err := syscall.SyscallN(call.Addr(), uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), flags)
	if int32(r) < 0 {
		return -1, err
	}
	return int(int32(r)), nil
}

func Read(fd int, p []byte) (int, error)  { return transfer(recv, fd, p, 0) }
func Write(fd int, p []byte) (int, error) { return transfer(send, fd, p, 0) }
func Close(fd int) error                  { return windows.Closesocket(windows.Handle(fd)) }
func ShutdownWrite(fd int) error          { return windows.Shutdown(windows.Handle(fd), windows.SHUT_WR) }

const msgOOB = 1

// SendUrgent sends one urgent byte, ReadUrgent receives it.
func SendUrgent(fd int, b byte) error {
	_, err := transfer(send, fd, []byte{b}, msgOOB)
	return err
}

func ReadUrgent(fd int) (b byte, err error) {
	var p [1]byte
	_, err = transfer(recv, fd, p[:], msgOOB)
	return p[0], err
}

// Reset closes a TCP connection so that the peer gets a reset.
func Reset(fd int) error {
	err := windows.SetsockoptLinger(windows.Handle(fd), windows.SOL_SOCKET, windows.SO_LINGER, &windows.Linger{Onoff: 1})
	if err != nil {
		return err
	}
	return Close(fd)
}

// Error takes the pending error of a socket.
func Error(fd int) error {
	const soError = 0x1007
	v, err := windows.GetsockoptInt(windows.Handle(fd), windows.SOL_SOCKET, soError)
	if err == nil && v != 0 {
		err = syscall.Errno(v)
	}
	return err
}

// IsOpen reports whether fd is a descriptor.
func IsOpen(fd int) bool {
	const soType = 0x1008
	_, err := windows.GetsockoptInt(windows.Handle(fd), windows.SOL_SOCKET, soType)
	return err == nil
}
