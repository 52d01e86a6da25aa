//go:build netbsd || openbsd

package socket

import "golang.org/x/sys/unix"

// Systems where a socket can be close-on-exec and non-blocking at birth, but golang.org/x/sys has no accept4.

const (
	noSignal    = unix.MSG_NOSIGNAL
	cmsgCloexec = unix.MSG_CMSG_CLOEXEC
)

func sysSocket(family, typ, proto int) (fd int, err error) {
	return unix.Socket(family, typ|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, proto)
}

func sysPair(family, typ, proto int) (fds [2]int, err error) {
	return unix.Socketpair(family, typ|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, proto)
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
	if err := sysSetNonblock(conn, true); err != nil {
		sysClose(conn)
		return -1, Addr{}, err
	}
	peer, _ = sa.decode()
	return conn, peer, nil
}

// sysNoSigpipe has nothing to do: MSG_NOSIGNAL goes with each call.
func sysNoSigpipe(fd int) error { return nil }
