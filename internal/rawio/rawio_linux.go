package rawio

import (
	"errors"
	"math"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// RawSyscall serves all of these: they never wait, so the scheduler need not know of them. It is package syscall's, as that
// of x/sys/unix goes through a wrapper that costs 20 ns a message.

// Recv reads into p (recv(2)). Zero bytes without an errno is the end of input.
func Recv(fd int, p []byte) (int, syscall.Errno) {
	for {
		n, _, errno := syscall.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))),
			uintptr(len(p)), 0, 0, 0)
		if errno != unix.EINTR {
			return int(n), errno
		}
	}
}

// Send writes p (send(2)) and raises no SIGPIPE.
func Send(fd int, p []byte) (int, syscall.Errno) {
	for {
		n, _, errno := syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))),
			uintptr(len(p)), unix.MSG_NOSIGNAL, 0, 0)
		if errno != unix.EINTR {
			return int(n), errno
		}
	}
}

// Sendv writes the slices one after another in one call (sendmsg(2)); of more than 16, the first 16.
func Sendv(fd int, bufs [][]byte) (int, syscall.Errno) {
	var iov [16]unix.Iovec
	n := 0
	for _, b := range bufs {
		if n == len(iov) {
			break
		}
		if len(b) > 0 {
			iov[n].Base = unsafe.SliceData(b)
			iov[n].SetLen(len(b))
			n++
		}
	}
	msg := unix.Msghdr{Iov: &iov[0]}
	msg.SetIovlen(n)
	for {
		n, _, errno := syscall.RawSyscall(unix.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(&msg)), unix.MSG_NOSIGNAL)
		if errno != unix.EINTR {
			return int(n), errno
		}
	}
}

// Accept takes a connection from a listening socket (accept4(2)), non-blocking and closed on exec.
func Accept(fd int) (int, Peer, syscall.Errno) {
	var sa unix.RawSockaddrAny
	size := uint32(unsafe.Sizeof(sa))
	for {
		conn, _, errno := syscall.RawSyscall6(unix.SYS_ACCEPT4, uintptr(fd), uintptr(unsafe.Pointer(&sa)),
			uintptr(unsafe.Pointer(&size)), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
		if errno == unix.EINTR {
			continue
		}
		return int(conn), peer(&sa), errno
	}
}

func peer(sa *unix.RawSockaddrAny) (p Peer) {
	switch sa.Addr.Family {
	case unix.AF_INET:
		in := (*unix.RawSockaddrInet4)(unsafe.Pointer(sa))
		copy(p.ip[10:], []byte{0xff, 0xff, in.Addr[0], in.Addr[1], in.Addr[2], in.Addr[3]})
		p.port, p.bits = bigEndian(in.Port), 32
	case unix.AF_INET6:
		in := (*unix.RawSockaddrInet6)(unsafe.Pointer(sa))
		p.ip, p.scope, p.port, p.bits = in.Addr, in.Scope_id, bigEndian(in.Port), 128
	}
	return p
}

// bigEndian reads a port as the kernel stores it.
func bigEndian(port uint16) uint16 {
	b := (*[2]byte)(unsafe.Pointer(&port))
	return uint16(b[0])<<8 | uint16(b[1])
}

// Untaken returns how many sent bytes the peer's system has not taken yet (tcp(7), SIOCOUTQ), -1 when that is not known.
func Untaken(fd int) int {
	var n int32
	if _, _, errno := syscall.RawSyscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCOUTQ, uintptr(unsafe.Pointer(&n))); errno != 0 {
		return -1
	}
	return int(n)
}

// KeepAlive has the system ask a peer that was silent for so long whether it lives, and again as often; four questions
// without an answer end the connection (tcp(7), TCP_KEEPIDLE). Parts of a second count as a whole one.
func KeepAlive(fd int, after time.Duration) error {
	seconds := int(min((after+time.Second-1)/time.Second, 1<<15-1)) // the system takes no more
	return errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1),
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, seconds),
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, seconds),
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPCNT, 4))
}

// Waiting returns how many bytes the socket has received that nobody has read (tcp(7), SIOCINQ).
func Waiting(fd int) int {
	n, err := unix.IoctlGetInt(fd, unix.TIOCINQ)
	if err != nil {
		return 0
	}
	return n
}

// Socket makes a non-blocking stream socket that is closed on exec.
func Socket(family int) (int, error) {
	return unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
}

// Dup returns another descriptor of the same open socket, closed on exec (fcntl(2), F_DUPFD_CLOEXEC).
func Dup(fd int) (int, error) { return unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3) }

// Close gives the descriptor back. A close of a socket with no linger time never waits.
func Close(fd int) { syscall.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0) }

// Uninherited returns how many of the connections that a TCP listener gives next do not have its options: those that it had
// already when they were set (tcp(7), TCP_INFO).
func Uninherited(fd int) int {
	info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		return math.MaxInt
	}
	return int(info.Unacked) // of a listener, the length of its queue
}

// Splice moves up to n bytes between a socket and a pipe inside the kernel (splice(2)), and does not wait for either.
func Splice(from, to, n int) (int, syscall.Errno) {
	for {
		moved, _, errno := syscall.RawSyscall6(unix.SYS_SPLICE, uintptr(from), 0, uintptr(to), 0, uintptr(n),
			unix.SPLICE_F_MOVE|unix.SPLICE_F_NONBLOCK)
		if errno != unix.EINTR {
			return int(moved), errno
		}
	}
}

// Pipe makes a pipe that holds size bytes, or what the system allows (pipe2(2), F_SETPIPE_SZ), and tells how many.
func Pipe(size int) (r, w, holds int, err error) {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_NONBLOCK|unix.O_CLOEXEC); err != nil {
		return -1, -1, 0, err
	}
	if holds, err = unix.FcntlInt(uintptr(p[1]), unix.F_SETPIPE_SZ, size); err != nil {
		holds, err = unix.FcntlInt(uintptr(p[1]), unix.F_GETPIPE_SZ, 0)
	}
	return p[0], p[1], holds, err
}
