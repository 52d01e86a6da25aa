package socket

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// On macOS a descriptor becomes close-on-exec and non-blocking after its birth, and a socket option, not a flag of
// each call, keeps SIGPIPE away.

const (
	noSignal    = 0
	cmsgCloexec = 0
)

func sysSocket(family, typ, proto int) (fd int, err error) {
	fd, err = closeOnExec(func() (int, error) { return unix.Socket(family, typ, proto) })
	if err != nil {
		return -1, err
	}
	return tame(fd)
}

func sysPair(family, typ, proto int) (fds [2]int, err error) {
	syscall.ForkLock.RLock()
	fds, err = unix.Socketpair(family, typ, proto)
	if err == nil {
		unix.CloseOnExec(fds[0])
		unix.CloseOnExec(fds[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return fds, err
	}
	for i, fd := range fds {
		if _, err := tame(fd); err != nil {
			sysClose(fds[1-i])
			return fds, err
		}
	}
	return fds, nil
}

func sysAccept(fd int) (conn int, peer Addr, err error) {
	var sa sockaddr
	conn, err = closeOnExec(func() (conn int, err error) {
		conn, sa.Sockaddr, err = unix.Accept(fd)
		return conn, err
	})
	if err != nil {
		return -1, Addr{}, err
	}
	if conn, err = tame(conn); err != nil {
		return -1, Addr{}, err
	}
	peer, _ = sa.decode()
	return conn, peer, nil
}

func tame(fd int) (int, error) {
	err := sysSetNonblock(fd, true)
	if err == nil {
		err = sysNoSigpipe(fd)
	}
	if err != nil {
		sysClose(fd)
		return -1, err
	}
	return fd, nil
}

// sysNoSigpipe sets the option. On a socket that is shut down in both directions macOS refuses every option with EINVAL:
// a client that sent a reset while it waited in the backlog. ECONNABORTED is what that is, and Accept passes it over.
func sysNoSigpipe(fd int) error {
	err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_NOSIGPIPE, 1)
	if err == unix.EINVAL {
		return unix.ECONNABORTED
	}
	return err
}
