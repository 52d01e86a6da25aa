//go:build unix

package testsocket

import (
	"io"
	"net"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// ErrAgain is the error of a call that would block.
const ErrAgain = unix.EAGAIN

// ErrReset is the error of a call on a connection that the peer has reset.
const ErrReset = unix.ECONNRESET

// Pipe makes two descriptors, one to read what is written to the other: a pipe, or where none can be waited for a connection.
func Pipe(t testing.TB) (r, w int) {
	t.Helper()
	var p [2]int
	must(t, unix.Pipe(p[:]))
	prepare(t, p[0])
	prepare(t, p[1])
	return p[0], p[1]
}

// Pair makes a connection: of Unix sockets, or over loopback where there are none.
func Pair(t testing.TB) (a, b int) {
	t.Helper()
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	must(t, err)
	prepare(t, p[0])
	prepare(t, p[1])
	return p[0], p[1]
}

func prepare(t testing.TB, fd int) {
	t.Helper()
	unix.CloseOnExec(fd)
	must(t, unix.SetNonblock(fd, true))
}

// Listen makes a TCP listener. The address is like "127.0.0.1:0" or "[::1]:0".
func Listen(t testing.TB, address string) (fd int, at string) {
	t.Helper()
	l, err := net.Listen("tcp", address)
	must(t, err)
	defer l.Close()
	return own(t, l.(*net.TCPListener)), l.Addr().String()
}

// TCP makes a connection over loopback, through a listener at the address.
func TCP(t testing.TB, address string) (client, server int) {
	t.Helper()
	l, err := net.Listen("tcp", address)
	must(t, err)
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	must(t, err)
	defer c.Close()
	a, err := l.Accept()
	must(t, err)
	defer a.Close()
	return own(t, c.(*net.TCPConn)), own(t, a.(*net.TCPConn))
}

// own duplicates the descriptor of something of package net, whose close then means nothing.
func own(t testing.TB, c syscall.Conn) (dup int) {
	t.Helper()
	raw, err := c.SyscallConn()
	must(t, err)
	err = raw.Control(func(fd uintptr) {
		var err error
		dup, err = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0)
		must(t, err)
	})
	must(t, err)
	return dup
}

// Connecting begins to connect a TCP socket to the IPv4 address of a descriptor.
func Connecting(t testing.TB, to int) int {
	t.Helper()
	address, err := unix.Getsockname(to)
	must(t, err)
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	must(t, err)
	prepare(t, fd)
	if err := unix.Connect(fd, address); err != nil && err != unix.EINPROGRESS {
		t.Fatal(err)
	}
	return fd
}

// Bound makes a TCP socket with an IPv4 address where nobody listens.
func Bound(t testing.TB) int {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	must(t, err)
	prepare(t, fd)
	must(t, unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	return fd
}

// Connected reports whether a TCP socket has a peer.
func Connected(fd int) bool {
	_, err := unix.Getpeername(fd)
	return err == nil
}

// Datagram makes a UDP socket, which can be written to at once.
func Datagram(t testing.TB) int {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	must(t, err)
	prepare(t, fd)
	return fd
}

func Read(fd int, p []byte) (int, error)  { return unix.Read(fd, p) }
func Write(fd int, p []byte) (int, error) { return unix.Write(fd, p) }
func Close(fd int) error                  { return unix.Close(fd) }
func ShutdownWrite(fd int) error          { return unix.Shutdown(fd, unix.SHUT_WR) }

// SendUrgent sends one urgent byte, ReadUrgent receives it.
func SendUrgent(fd int, b byte) error { return unix.Send(fd, []byte{b}, unix.MSG_OOB) }

func ReadUrgent(fd int) (b byte, err error) {
	var p [1]byte
	n, _, err := unix.Recvfrom(fd, p[:], unix.MSG_OOB)
	if err == nil && n != 1 {
		err = io.ErrUnexpectedEOF
	}
	return p[0], err
}

// Reset closes a TCP connection so that the peer gets a reset.
func Reset(fd int) error {
	if err := unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}); err != nil {
		return err
	}
	return unix.Close(fd)
}

// Error takes the pending error of a socket.
func Error(fd int) error {
	v, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil && v != 0 {
		err = unix.Errno(v)
	}
	return err
}

// IsOpen reports whether fd is a descriptor.
func IsOpen(fd int) bool {
	_, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	return err == nil
}
