package winsock

import (
	"net/netip"
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"
)

// Socket makes a socket: WSASocket.
func Socket(family, typ, proto int) (int, syscall.Errno) {
	return made(windows.WSASocket(int32(family), int32(typ), int32(proto), nil, 0, flags))
}

// Dup returns another handle of the same socket: WSADuplicateSocket. A handle of DuplicateHandle would not be one to
// Winsock's providers.
func Dup(fd int) (int, syscall.Errno) {
	var info windows.WSAProtocolInfo
	if err := windows.WSADuplicateSocket(windows.Handle(fd), windows.GetCurrentProcessId(), &info); err != nil {
		return -1, errnoOf(err)
	}
	const fromInfo = -1
	return made(windows.WSASocket(fromInfo, fromInfo, fromInfo, &info, 0, flags))
}

// Overlapped, as AFD's poll wants it; non-blocking mode is another matter.
const flags = windows.WSA_FLAG_OVERLAPPED | windows.WSA_FLAG_NO_HANDLE_INHERIT

func made(s windows.Handle, err error) (int, syscall.Errno) {
	if err != nil {
		return -1, errnoOf(err)
	}
	if errno := SetNonblock(int(s), true); errno != 0 {
		windows.Closesocket(s)
		return -1, errno
	}
	return int(s), 0
}

// SetNonblock switches non-blocking mode on or off: FIONBIO. It holds for every handle of the socket.
func SetNonblock(fd int, on bool) syscall.Errno {
	const fionbio = 0x8004667e
	var arg uint32
	if on {
		arg = 1
	}
	return failure(syscall.SyscallN(procIoctl.Addr(), uintptr(fd), fionbio, uintptr(unsafe.Pointer(&arg))))
}

// SetInheritable says whether child processes may get the handle.
func SetInheritable(fd int, on bool) syscall.Errno {
	var flag uint32
	if on {
		flag = windows.HANDLE_FLAG_INHERIT
	}
	return errnoOf(windows.SetHandleInformation(windows.Handle(fd), windows.HANDLE_FLAG_INHERIT, flag))
}

// Inheritable reports whether child processes may get the handle.
func Inheritable(fd int) (bool, syscall.Errno) {
	var flags uint32
	r, _, e := syscall.SyscallN(procHandleInformation.Addr(), uintptr(fd), uintptr(unsafe.Pointer(&flags)))
	if r == 0 {
		return false, Errno(e)
	}
	return flags&windows.HANDLE_FLAG_INHERIT != 0, 0
}

var procHandleInformation = windows.NewLazySystemDLL("kernel32.dll").NewProc("GetHandleInformation")

// Accept takes a connection from a listening socket and returns the peer's address in from: accept. A client that is
// gone already is ECONNABORTED, as on other systems.
func Accept(fd int, from *Sockaddr) (int, syscall.Errno) {
	from.len = int32(unsafe.Sizeof(from.raw))
	r, _, e := syscall.SyscallN(procAccept.Addr(), uintptr(fd), uintptr(unsafe.Pointer(&from.raw)), uintptr(unsafe.Pointer(&from.len)))
	s := windows.Handle(r)
	if s == windows.InvalidHandle {
		if e = Errno(e); e == syscall.ECONNRESET {
			e = syscall.ECONNABORTED
		}
		return -1, e
	}
	windows.SetHandleInformation(s, windows.HANDLE_FLAG_INHERIT, 0)
	return made(s, nil)
}

// Bind gives the socket its own address: bind.
func Bind(fd int, to *Sockaddr) syscall.Errno {
	return failure(syscall.SyscallN(procBind.Addr(), uintptr(fd), uintptr(unsafe.Pointer(&to.raw)), uintptr(to.len)))
}

// Listen makes the socket accept connections: listen. The system cuts a backlog of 200 or more down to 200, unless it is
// a hint, which is negative (SOMAXCONN_HINT).
func Listen(fd, backlog int) syscall.Errno {
	if backlog >= 200 {
		backlog = -min(backlog, 1<<16-1)
	}
	return errnoOf(windows.Listen(windows.Handle(fd), backlog))
}

// Connect begins a connection of a stream, or connects a datagram socket: connect. EINPROGRESS says that it is under way.
func Connect(fd int, to *Sockaddr) syscall.Errno {
	if ap, _ := to.Inet(); ap.Addr().IsLoopback() || ap.Addr().Unmap().IsLoopback() {
		refuseAtOnce(fd)
	}
	errno := failure(syscall.SyscallN(procConnect.Addr(), uintptr(fd), uintptr(unsafe.Pointer(&to.raw)), uintptr(to.len)))
	if errno == syscall.EAGAIN {
		return syscall.EINPROGRESS
	}
	return errno
}

// refuseAtOnce keeps the system from asking a port of this machine that refused twice more, which takes two seconds
// (SIO_TCP_INITIAL_RTO). Systems before Windows 10 of 2017 do not know it.
func refuseAtOnce(fd int) {
	const initialRTO = windows.IOC_IN | windows.IOC_VENDOR | 17
	params := struct {
		rtt         uint16
		retransmits uint8
	}{rtt: 0xffff, retransmits: 0xfe} // TCP_INITIAL_RTO_UNSPECIFIED_RTT, TCP_INITIAL_RTO_NO_SYN_RETRANSMISSIONS
	ioctl(fd, initialRTO, unsafe.Pointer(&params), unsafe.Sizeof(params))
}

// QuietUDP keeps the answers of other machines to datagrams that this socket sent (ICMP's port unreachable, time
// exceeded) from failing later, unrelated calls: SIO_UDP_CONNRESET, SIO_UDP_NETRESET.
func QuietUDP(fd int) {
	var off uint32
	ioctl(fd, windows.SIO_UDP_CONNRESET, unsafe.Pointer(&off), unsafe.Sizeof(off))
	ioctl(fd, windows.SIO_UDP_NETRESET, unsafe.Pointer(&off), unsafe.Sizeof(off))
}

func ioctl(fd int, code uint32, in unsafe.Pointer, size uintptr) syscall.Errno {
	var n uint32
	return errnoOf(windows.WSAIoctl(windows.Handle(fd), code, (*byte)(in), uint32(size), nil, 0, &n, nil, 0))
}

// Shutdown ends a direction: shutdown.
func Shutdown(fd, how int) syscall.Errno { return errnoOf(windows.Shutdown(windows.Handle(fd), how)) }

// Close gives the handle back: closesocket.
func Close(fd int) syscall.Errno { return errnoOf(windows.Closesocket(windows.Handle(fd))) }

// LocalName returns the socket's own address: getsockname. A socket that has none yet gives its family's zero address.
func LocalName(fd int) (sa Sockaddr, errno syscall.Errno) { return name(procGetName, fd) }

// PeerName returns the other end's address: getpeername.
func PeerName(fd int) (sa Sockaddr, errno syscall.Errno) { return name(procGetPeer, fd) }

func name(get *windows.LazyProc, fd int) (sa Sockaddr, errno syscall.Errno) {
	sa.len = int32(unsafe.Sizeof(sa.raw))
	errno = failure(syscall.SyscallN(get.Addr(), uintptr(fd), uintptr(unsafe.Pointer(&sa.raw)), uintptr(unsafe.Pointer(&sa.len))))
	return sa, errno
}

// LoopbackInet returns a loopback address of the family with a port that the system chooses.
func LoopbackInet(family int) netip.AddrPort {
	if family == windows.AF_INET6 {
		return netip.AddrPortFrom(netip.IPv6Loopback(), 0)
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 0)
}

// failure is the error of a call that returns zero when it succeeds.
func failure(r, _ uintptr, e syscall.Errno) syscall.Errno {
	if int32(r) == 0 {
		return 0
	}
	return Errno(e)
}
