//go:build unix

package rawio

import (
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// NoDelay sends small messages at once (tcp(7), TCP_NODELAY).
func NoDelay(fd int) error { return unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1) }

// ShutdownWrite ends the output: the peer reads the end of input after what was sent (shutdown(2), SHUT_WR).
func ShutdownWrite(fd int) syscall.Errno {
	err := unix.Shutdown(fd, unix.SHUT_WR)
	errno, _ := err.(syscall.Errno)
	return errno
}

// Reset makes the next Close drop what was not sent and tell the peer so (socket(7), SO_LINGER of zero).
func Reset(fd int) {
	unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
}

// SocketError takes the socket's pending error (socket(7), SO_ERROR), zero for none.
func SocketError(fd int) syscall.Errno {
	v, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		errno, _ := err.(syscall.Errno)
		return errno
	}
	return syscall.Errno(v)
}

// ConnectInet begins a connection (connect(2)): EINPROGRESS when it is under way, zero when it is there.
func ConnectInet(fd int, to netip.AddrPort, scope uint32) syscall.Errno {
	var sa unix.Sockaddr
	if to.Addr().Is4() {
		sa = &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}
	} else {
		sa = &unix.SockaddrInet6{Port: int(to.Port()), Addr: to.Addr().As16(), ZoneId: scope}
	}
	return connect(fd, sa)
}

// ConnectUnix begins a connection to a path, or to an abstract name that begins with "@".
func ConnectUnix(fd int, path string) syscall.Errno {
	return connect(fd, &unix.SockaddrUnix{Name: path})
}

func connect(fd int, sa unix.Sockaddr) syscall.Errno {
	err := unix.Connect(fd, sa)
	if err == nil {
		return 0
	}
	errno, ok := err.(syscall.Errno)
	switch {
	case !ok:
		return syscall.EINVAL
	case errno == syscall.EINTR:
		return syscall.EINPROGRESS // POSIX: an interrupted connect goes on by itself
	}
	return errno
}

// LocalName returns the socket's own address: a Peer, or the path of a Unix socket (getsockname(2)).
func LocalName(fd int) (Peer, string) {
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return Peer{}, ""
	}
	return name(sa)
}

// PeerName returns the other end's address likewise (getpeername(2)).
func PeerName(fd int) (Peer, string) {
	sa, err := unix.Getpeername(fd)
	if err != nil {
		return Peer{}, ""
	}
	return name(sa)
}

func name(sa unix.Sockaddr) (p Peer, path string) {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return PeerOf(netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port)), 0), ""
	case *unix.SockaddrInet6:
		return PeerOf(netip.AddrPortFrom(netip.AddrFrom16(sa.Addr), uint16(sa.Port)), sa.ZoneId), ""
	case *unix.SockaddrUnix:
		return Peer{}, sa.Name
	}
	return Peer{}, ""
}

// Families that Socket takes.
const (
	INET  = unix.AF_INET
	INET6 = unix.AF_INET6
	UNIX  = unix.AF_UNIX
)

// Error makes an error of errno.
func Error(errno syscall.Errno) error { return errno }
