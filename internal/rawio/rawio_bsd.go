//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package rawio

import (
	"errors"
	"math"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxLength is the most bytes of one call. macOS and FreeBSD refuse 2 GiB and more.
const maxLength = 1 << 30

// Recv reads into p (read(2)). Zero bytes without an errno is the end of input.
func Recv(fd int, p []byte) (int, syscall.Errno) {
	return retried(func() (int, error) { return unix.Read(fd, p[:min(len(p), maxLength)]) })
}

// Send writes p (sendmsg(2)) and raises no SIGPIPE.
func Send(fd int, p []byte) (int, syscall.Errno) {
	return retried(func() (int, error) {
		return unix.SendmsgN(fd, p[:min(len(p), maxLength)], nil, nil, unix.MSG_NOSIGNAL)
	})
}

// Sendv writes the slices one after another in one call (sendmsg(2)); of more than 16 that are not empty, the first 16.
func Sendv(fd int, bufs [][]byte) (int, syscall.Errno) {
	var list [16][]byte
	n, room := 0, maxLength
	for _, b := range bufs {
		if n == len(list) || room == 0 {
			break
		}
		if b = b[:min(len(b), room)]; len(b) > 0 {
			list[n] = b
			room -= len(b)
			n++
		}
	}
	switch n {
	case 0:
		return 0, 0
	case 1:
		return Send(fd, list[0]) // which allocates nothing
	}
	return retried(func() (int, error) { return unix.SendmsgBuffers(fd, list[:n], nil, nil, unix.MSG_NOSIGNAL) })
}

func retried(call func() (int, error)) (int, syscall.Errno) {
	for {
		n, err := call()
		if errno := errnoOf(err); errno != unix.EINTR {
			return max(n, 0), errno
		}
	}
}

func errnoOf(err error) syscall.Errno {
	var errno syscall.Errno
	if err != nil && !errors.As(err, &errno) {
		errno = unix.EIO
	}
	return errno
}

// Accept takes a connection from a listening socket (accept(2)), non-blocking and closed on exec.
func Accept(fd int) (int, Peer, syscall.Errno) {
	syscall.ForkLock.RLock() // no child may be forked between accept and close-on-exec
	defer syscall.ForkLock.RUnlock()
	var sa unix.Sockaddr
	conn, errno := retried(func() (n int, err error) {
		n, sa, err = unix.Accept(fd)
		return n, err
	})
	if errno != 0 {
		return -1, Peer{}, errno
	}
	unix.CloseOnExec(conn)
	if err := unix.SetNonblock(conn, true); err != nil {
		unix.Close(conn)
		return -1, Peer{}, errnoOf(err)
	}
	return conn, peer(sa), 0
}

func peer(sa unix.Sockaddr) (p Peer) {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		copy(p.ip[10:], []byte{0xff, 0xff, sa.Addr[0], sa.Addr[1], sa.Addr[2], sa.Addr[3]})
		p.port, p.bits = uint16(sa.Port), 32
	case *unix.SockaddrInet6:
		p.ip, p.scope, p.port, p.bits = sa.Addr, sa.ZoneId, uint16(sa.Port), 128
	}
	return p
}

// Socket makes a non-blocking stream socket that is closed on exec.
func Socket(family int) (int, error) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	fd, err := unix.Socket(family, unix.SOCK_STREAM, 0)
	if err != nil {
		return -1, err
	}
	unix.CloseOnExec(fd)
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// Dup returns another descriptor of the same open socket, closed on exec (fcntl(2), F_DUPFD_CLOEXEC).
func Dup(fd int) (int, error) { return unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3) }

// Close gives the descriptor back. A close of a socket with no linger time never waits.
func Close(fd int) { unix.Close(fd) }

// Uninherited returns how many of the connections that a TCP listener gives next are not sure to have its options: all.
func Uninherited(fd int) int { return math.MaxInt }
