//go:build dragonfly || freebsd

package socket

import "golang.org/x/sys/unix"

// Systems where every way to a new descriptor can make it close-on-exec and non-blocking at birth.

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
	if conn, sa.Sockaddr, err = unix.Accept4(fd, unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK); err != nil {
		return -1, Addr{}, err
	}
	peer, _ = sa.decode()
	return conn, peer, nil
}

// sysNoSigpipe has nothing to do: MSG_NOSIGNAL goes with each call.
func sysNoSigpipe(fd int) error { return nil }
