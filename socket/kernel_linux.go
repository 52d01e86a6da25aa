package socket

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The system calls of Linux. What cannot wait is called raw, past the scheduler; MSG_DONTWAIT sees to it that it
// cannot, whatever another process that shares the socket has done to O_NONBLOCK.

// staleProbes is how often a socket file must refuse before it counts as stale: a server that is
// busy does not refuse.
const staleProbes = 1

// A sockaddr is an address as the kernel has it.
type sockaddr struct {
	raw [unix.SizeofSockaddrAny]byte
	len uint32
}

func sysSocket(family, typ, proto int) (fd int, err error) {
	return unix.Socket(family, typ|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, proto)
}

func sysPair(family, typ, proto int) (fds [2]int, err error) {
	return unix.Socketpair(family, typ|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, proto)
}

func sysBind(fd int, to Addr) error {
	var sa sockaddr
	if err := sa.encode(to); err != nil {
		return err
	}
	_, _, e := unix.Syscall(unix.SYS_BIND, uintptr(fd), uintptr(unsafe.Pointer(&sa.raw)), uintptr(sa.len))
	return errnoOrNil(e)
}

func sysConnect(fd int, to Addr) error {
	var sa sockaddr
	if err := sa.encode(to); err != nil {
		return err
	}
	_, _, e := unix.Syscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&sa.raw)), uintptr(sa.len))
	return errnoOrNil(e)
}

func sysAccept(fd int) (conn int, peer Addr, err error) {
	sa := sockaddr{len: unix.SizeofSockaddrAny}
	n, _, e := unix.Syscall6(unix.SYS_ACCEPT4, uintptr(fd), uintptr(unsafe.Pointer(&sa.raw)),
		uintptr(unsafe.Pointer(&sa.len)), unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0, 0)
	if e != 0 {
		return -1, Addr{}, e
	}
	peer, _ = sa.decode()
	return int(n), peer, nil
}

func sysLocalAddr(fd int) (a Addr, family int, err error) { return getName(unix.SYS_GETSOCKNAME, fd) }

func sysPeerAddr(fd int) (a Addr, family int, err error) { return getName(unix.SYS_GETPEERNAME, fd) }

func getName(trap uintptr, fd int) (a Addr, family int, err error) {
	sa := sockaddr{len: unix.SizeofSockaddrAny}
	_, _, e := unix.RawSyscall(trap, uintptr(fd), uintptr(unsafe.Pointer(&sa.raw)), uintptr(unsafe.Pointer(&sa.len)))
	if e != 0 {
		return Addr{}, 0, e
	}
	a, err = sa.decode()
	return a, sa.family(), err
}

func sysRecv(fd int, p []byte, flags int) (int, error) {
	n, _, e := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))),
		uintptr(len(p)), uintptr(flags|unix.MSG_DONTWAIT), 0, 0)
	if e != 0 {
		return 0, e
	}
	return int(n), nil
}

func sysRecvFrom(fd int, p []byte, flags int, from *sockaddr) (int, error) {
	from.len = unix.SizeofSockaddrAny
	n, _, e := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))),
		uintptr(len(p)), uintptr(flags|unix.MSG_DONTWAIT), uintptr(unsafe.Pointer(&from.raw)),
		uintptr(unsafe.Pointer(&from.len)))
	if e != 0 {
		return 0, e
	}
	return int(n), nil
}

func sysSend(fd int, p []byte, flags int) (int, error) {
	n, _, e := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))),
		uintptr(len(p)), uintptr(flags|unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL), 0, 0)
	if e != 0 {
		return 0, e
	}
	return int(n), nil
}

func sysSendTo(fd int, p []byte, flags int, to *sockaddr) (int, error) {
	n, _, e := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))),
		uintptr(len(p)), uintptr(flags|unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL), uintptr(unsafe.Pointer(&to.raw)),
		uintptr(to.len))
	if e != 0 {
		return 0, e
	}
	return int(n), nil
}

func sysRecvMsg(fd int, buffers [][]byte, control []byte, flags int) (n, controlLen, msgFlags int, from Addr, err error) {
	var sa sockaddr
	msg := header(buffers, control)
	msg.Name, msg.Namelen = &sa.raw[0], unix.SizeofSockaddrAny
	r, _, e := unix.RawSyscall(unix.SYS_RECVMSG, uintptr(fd), uintptr(unsafe.Pointer(msg)),
		uintptr(flags|unix.MSG_DONTWAIT|unix.MSG_CMSG_CLOEXEC))
	if e != 0 {
		return 0, 0, 0, Addr{}, e
	}
	sa.len = msg.Namelen
	from, _ = sa.decode()
	return int(r), int(msg.Controllen), withoutOwn(int(msg.Flags), flags), from, nil
}

func sysSendMsg(fd int, buffers [][]byte, control []byte, to Addr, flags int) (int, error) {
	var sa sockaddr
	msg := header(buffers, control)
	if to.IsValid() {
		if err := sa.encode(to); err != nil {
			return 0, err
		}
		msg.Name, msg.Namelen = &sa.raw[0], sa.len
	}
	n, _, e := unix.RawSyscall(unix.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(msg)),
		uintptr(flags|unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL))
	if e != 0 {
		return 0, e
	}
	return int(n), nil
}

// withoutOwn takes away what the kernel repeats of the flags that the caller did not ask for.
func withoutOwn(msgFlags, asked int) int { return msgFlags &^ (unix.MSG_CMSG_CLOEXEC &^ asked) }

func header(buffers [][]byte, control []byte) *unix.Msghdr {
	msg := new(unix.Msghdr)
	if len(buffers) > 0 {
		iov := make([]unix.Iovec, len(buffers))
		for i, b := range buffers {
			iov[i].Base = unsafe.SliceData(b)
			iov[i].SetLen(len(b))
		}
		msg.Iov = &iov[0]
		msg.SetIovlen(len(iov))
	}
	if len(control) > 0 {
		msg.Control = &control[0]
		msg.SetControllen(len(control))
	}
	return msg
}

func sysOptionBytes(fd, level, name int, p []byte) (int, error) {
	n := uint32(len(p))
	_, _, e := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), uintptr(level), uintptr(name),
		uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(unsafe.Pointer(&n)), 0)
	return int(n), errnoOrNil(e)
}

// sysNoSigpipe has nothing to do: MSG_NOSIGNAL goes with each call. SIGPIPE of sendfile(2), which knows no flags, is one
// that Go's runtime ignores.
func sysNoSigpipe(fd int) error { return nil }

func sysProtocol(fd int) int {
	proto, _ := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PROTOCOL)
	return proto
}

func errnoOrNil(e syscall.Errno) error {
	if e != 0 {
		return e
	}
	return nil
}
