package rawio

import (
	"net/netip"
	"syscall"

	"golang.org/x/sys/windows"

	"github.com/switchboard-go/switchboard/internal/winsock"
)

// NoDelay sends small messages at once (TCP_NODELAY).
func NoDelay(fd int) error {
	return errorOf(winsock.SetOptionInt(fd, windows.IPPROTO_TCP, windows.TCP_NODELAY, 1))
}

// ShutdownWrite ends the output: the peer reads the end of input after what was sent (shutdown, SD_SEND).
func ShutdownWrite(fd int) syscall.Errno { return winsock.Shutdown(fd, windows.SHUT_WR) }

// Reset makes the next Close drop what was not sent and tell the peer so (SO_LINGER of zero).
func Reset(fd int) { winsock.SetLinger(fd, true, 0) }

// SocketError takes the socket's pending error (SO_ERROR), zero for none.
func SocketError(fd int) syscall.Errno { return winsock.Error(fd) }

// ConnectInet begins a connection (connect): EINPROGRESS when it is under way, zero when it is there.
func ConnectInet(fd int, to netip.AddrPort, scope uint32) syscall.Errno {
	var sa winsock.Sockaddr
	sa.SetInet(to, scope)
	return winsock.Connect(fd, &sa)
}

// ConnectUnix begins a connection to a path. Windows has no abstract names.
func ConnectUnix(fd int, path string) syscall.Errno {
	if path != "" && path[0] == '@' {
		return syscall.EAFNOSUPPORT
	}
	var sa winsock.Sockaddr
	if errno := sa.SetUnix(path); errno != 0 {
		return syscall.EINVAL
	}
	return winsock.Connect(fd, &sa)
}

// LocalName returns the socket's own address: a Peer, or the path of a Unix socket (getsockname).
func LocalName(fd int) (Peer, string) { return name(winsock.LocalName(fd)) }

// PeerName returns the other end's address likewise (getpeername).
func PeerName(fd int) (Peer, string) { return name(winsock.PeerName(fd)) }

func name(sa winsock.Sockaddr, errno syscall.Errno) (Peer, string) {
	if errno != 0 {
		return Peer{}, ""
	}
	return peer(&sa), sa.Unix()
}

// Families that Socket takes.
const (
	INET  = windows.AF_INET
	INET6 = windows.AF_INET6
	UNIX  = windows.AF_UNIX
)

// Error makes an error of errno: errors.Is finds it, and the number of Winsock that it was.
func Error(errno syscall.Errno) error { return winsockError{errno} }

type winsockError struct{ syscall.Errno }

func (e winsockError) Unwrap() error { return e.Errno }

func (e winsockError) Is(target error) bool {
	return e.Errno.Is(target) || winsock.Same(e.Errno, target)
}
