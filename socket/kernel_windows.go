package socket

import (
	"syscall"

	"github.com/switchboard-go/switchboard/internal/winsock"
)

// The system calls of Windows: Winsock, whose errors package winsock makes portable.

// staleProbes is how often a socket file must refuse before it counts as stale.
const staleProbes = 1

func sysSocket(family, typ, proto int) (fd int, err error) {
	if family == AF_UNIX && typ != SOCK_STREAM {
		return -1, lacks("Unix sockets other than SOCK_STREAM")
	}
	fd, errno := winsock.Socket(family, typ, proto)
	if errno == syscall.EAFNOSUPPORT && family == AF_UNIX {
		return -1, lacks("Unix sockets before Windows 10 version 1803")
	}
	if errno != 0 {
		return -1, errno
	}
	if typ == SOCK_DGRAM {
		winsock.QuietUDP(fd)
	}
	return fd, nil
}

func sysBind(fd int, to Addr) error {
	var sa sockaddr
	if err := sa.encode(to); err != nil {
		return err
	}
	return errnoOrNil(winsock.Bind(fd, &sa.Sockaddr))
}

func sysConnect(fd int, to Addr) error {
	var sa sockaddr
	if err := sa.encode(to); err != nil {
		return err
	}
	return errnoOrNil(winsock.Connect(fd, &sa.Sockaddr))
}

func sysListen(fd, backlog int) error { return errnoOrNil(winsock.Listen(fd, backlog)) }

func sysAccept(fd int) (conn int, peer Addr, err error) {
	var sa sockaddr
	conn, errno := winsock.Accept(fd, &sa.Sockaddr)
	if errno != 0 {
		return -1, Addr{}, errno
	}
	peer, _ = sa.decode()
	return conn, peer, nil
}

// shutdownWakes: a call that waits to receive is woken by SHUT_RD.
const shutdownWakes = false

func sysShutdown(fd, how int) error { return errnoOrNil(winsock.Shutdown(fd, how)) }

func sysClose(fd int) error { return errnoOrNil(winsock.Close(fd)) }

func sysDup(fd int) (int, error) {
	dup, errno := winsock.Dup(fd)
	return dup, errnoOrNil(errno)
}

// sysLocalAddr gives a socket that has no address yet its family's zero address, as other systems do.
func sysLocalAddr(fd int) (a Addr, family int, err error) {
	name, errno := winsock.LocalName(fd)
	if errno == syscall.EINVAL {
		if family, _, _, errno = winsock.Protocol(fd); errno == 0 {
			return unspecified(family), family, nil
		}
	}
	return named(name, errno)
}

func sysPeerAddr(fd int) (a Addr, family int, err error) { return named(winsock.PeerName(fd)) }

func named(name winsock.Sockaddr, errno syscall.Errno) (a Addr, family int, err error) {
	if errno != 0 {
		return Addr{}, 0, errno
	}
	sa := sockaddr{name}
	a, err = sa.decode()
	return a, sa.Family(), err
}

func sysSetNonblock(fd int, on bool) error { return errnoOrNil(winsock.SetNonblock(fd, on)) }

func sysInheritable(fd int) (bool, error) {
	on, errno := winsock.Inheritable(fd)
	return on, errnoOrNil(errno)
}

func sysSetInheritable(fd int, on bool) error { return errnoOrNil(winsock.SetInheritable(fd, on)) }

// sysNoSigpipe has nothing to do: Windows has no signals.
func sysNoSigpipe(fd int) error { return nil }

func sysProtocol(fd int) int {
	_, _, proto, _ := winsock.Protocol(fd)
	return proto
}

func sysOption(fd, level, name int) (int, error) {
	if level == SOL_SOCKET && name == SO_ERROR {
		return int(winsock.Error(fd)), nil
	}
	v, errno := winsock.OptionInt(fd, level, name)
	return v, errnoOrNil(errno)
}

func sysSetOption(fd, level, name, value int) error {
	return errnoOrNil(winsock.SetOptionInt(fd, level, name, value))
}

func sysOptionBytes(fd, level, name int, p []byte) (int, error) {
	n, errno := winsock.Option(fd, level, name, p)
	return n, errnoOrNil(errno)
}

func sysSetOptionBytes(fd, level, name int, value []byte) error {
	return errnoOrNil(winsock.SetOption(fd, level, name, value))
}

func sysLinger(fd int) (on bool, seconds int, err error) {
	on, seconds, errno := winsock.Linger(fd)
	return on, seconds, errnoOrNil(errno)
}

func sysSetLinger(fd int, on bool, seconds int) error {
	return errnoOrNil(winsock.SetLinger(fd, on, seconds))
}

// sysSendFile is not there: TransmitFile would wait. SendFile copies.
func sysSendFile(fd, file int, offset int64, count int) (int, error) { return 0, syscall.EOPNOTSUPP }

// sysLockDir is not there: Windows locks files alone.
func sysLockDir(path string) (lock int, err error) { return -1, syscall.EOPNOTSUPP }

func errnoOrNil(e syscall.Errno) error {
	if e != 0 {
		return e
	}
	return nil
}
