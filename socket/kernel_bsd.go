//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package socket

import (
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// The system calls of macOS and the BSDs, where they must go through the system's library.

// maxPath is what sun_path holds besides the zero byte that ends it.
const maxPath = 103

// staleProbes is how often a socket file must refuse before it counts as stale: a server whose backlog is full refuses
// too.
const staleProbes = 10

// A sockaddr is an address as golang.org/x/sys has it.
type sockaddr struct {
	unix.Sockaddr
}

func sysBind(fd int, to Addr) error {
	var sa sockaddr
	if err := sa.encode(to); err != nil {
		return err
	}
	return unix.Bind(fd, sa.Sockaddr)
}

func sysConnect(fd int, to Addr) error {
	var sa sockaddr
	if err := sa.encode(to); err != nil {
		return err
	}
	return unix.Connect(fd, sa.Sockaddr)
}

func sysLocalAddr(fd int) (a Addr, family int, err error) { return getName(unix.Getsockname, fd) }

func sysPeerAddr(fd int) (a Addr, family int, err error) { return getName(unix.Getpeername, fd) }

func getName(get func(int) (unix.Sockaddr, error), fd int) (a Addr, family int, err error) {
	var sa sockaddr
	if sa.Sockaddr, err = get(fd); err != nil {
		return Addr{}, 0, err
	}
	a, err = sa.decode()
	return a, a.Family(), err
}

func sysRecv(fd int, p []byte, flags int) (n int, err error) {
	if flags == 0 {
		n, err = unix.Read(fd, p)
	} else {
		n, _, err = unix.Recvfrom(fd, p, flags)
	}
	return max(n, 0), err
}

func sysRecvFrom(fd int, p []byte, flags int, from *sockaddr) (n int, err error) {
	n, from.Sockaddr, err = unix.Recvfrom(fd, p, flags)
	return max(n, 0), err
}

func sysSend(fd int, p []byte, flags int) (int, error) {
	n, err := unix.SendmsgN(fd, p, nil, nil, flags|noSignal)
	return max(n, 0), err
}

func sysSendTo(fd int, p []byte, flags int, to *sockaddr) (int, error) {
	n, err := unix.SendmsgN(fd, p, nil, to.Sockaddr, flags|noSignal)
	return max(n, 0), err
}

func sysRecvMsg(fd int, buffers [][]byte, control []byte, flags int) (n, controlLen, msgFlags int, from Addr, err error) {
	// Where received descriptors cannot be close-on-exec from birth, no child process may begin until they are.
	if cmsgCloexec == 0 && len(control) > 0 {
		syscall.ForkLock.RLock()
		defer syscall.ForkLock.RUnlock()
	}
	var sa sockaddr
	n, controlLen, msgFlags, sa.Sockaddr, err = unix.RecvmsgBuffers(fd, buffers, control, flags|cmsgCloexec)
	if err != nil {
		return 0, 0, 0, Addr{}, err
	}
	if cmsgCloexec == 0 {
		for _, fd := range decodeFDs(control[:controlLen]) {
			unix.CloseOnExec(fd)
		}
	}
	from, _ = sa.decode()
	return n, controlLen, msgFlags &^ (cmsgCloexec &^ flags), from, nil
}

func sysSendMsg(fd int, buffers [][]byte, control []byte, to Addr, flags int) (int, error) {
	var sa sockaddr
	if to.IsValid() {
		if err := sa.encode(to); err != nil {
			return 0, err
		}
	}
	n, err := unix.SendmsgBuffers(fd, buffers, control, sa.Sockaddr, flags|noSignal)
	return max(n, 0), err
}

func (sa *sockaddr) encode(a Addr) error {
	switch a.Family() {
	case AF_INET:
		sa.Sockaddr = &unix.SockaddrInet4{Port: a.Port(), Addr: a.ip.As4()}
	case AF_INET6:
		if a.flow != 0 {
			return unsupported()
		}
		scope, err := scopeOf(a.ip.Zone())
		if err != nil {
			return err
		}
		sa.Sockaddr = &unix.SockaddrInet6{Port: a.Port(), Addr: a.ip.As16(), ZoneId: scope}
	case AF_UNIX:
		if a.IsAbstract() {
			return invalid(syscall.EAFNOSUPPORT, "abstract Unix sockets exist on Linux only")
		}
		sa.Sockaddr = &unix.SockaddrUnix{Name: a.sunPath()}
	default:
		return syscall.EAFNOSUPPORT
	}
	return nil
}

func (sa *sockaddr) decode() (Addr, error) {
	switch sa := sa.Sockaddr.(type) {
	case nil:
		return Addr{}, nil
	case *unix.SockaddrInet4:
		return Addr{family: AF_INET, ip: netip.AddrFrom4(sa.Addr), port: uint16(sa.Port)}, nil
	case *unix.SockaddrInet6:
		ip := netip.AddrFrom16(sa.Addr)
		if sa.ZoneId != 0 {
			ip = ip.WithZone(zoneOf(sa.ZoneId))
		}
		return Addr{family: AF_INET6, ip: ip, port: uint16(sa.Port)}, nil
	case *unix.SockaddrUnix:
		if sa.Name == "" {
			return UnixAddr(""), nil
		}
		return fileAddr(sa.Name), nil
	}
	return Addr{}, syscall.EAFNOSUPPORT
}

func sysProtocol(fd int) int { return 0 }
