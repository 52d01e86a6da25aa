package winsock

import (
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
)

// Options of winsock2.h and ws2ipdef.h that golang.org/x/sys does not have.
const (
	SO_ERROR            = 0x1007
	SO_EXCLUSIVEADDRUSE = ^windows.SO_REUSEADDR
	TCP_KEEPIDLE        = 3
	TCP_KEEPCNT         = 16
	TCP_KEEPINTVL       = 17
)

// Option reads an option into p and returns its length: getsockopt.
func Option(fd, level, name int, p []byte) (int, syscall.Errno) {
	n := int32(len(p))
	errno := failure(syscall.SyscallN(procGetOption.Addr(), uintptr(fd), uintptr(level), uintptr(name),
		uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(unsafe.Pointer(&n))))
	return int(n), errno
}

// SetOption sets an option from p: setsockopt.
func SetOption(fd, level, name int, p []byte) syscall.Errno {
	return failure(syscall.SyscallN(procSetOption.Addr(), uintptr(fd), uintptr(level), uintptr(name),
		uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p))))
}

// OptionInt reads an option that is a number. Some that are on or off have one byte.
func OptionInt(fd, level, name int) (int, syscall.Errno) {
	var v int32
	_, errno := Option(fd, level, name, (*[4]byte)(unsafe.Pointer(&v))[:])
	return int(v), errno
}

// SetOptionInt sets an option that is a number.
func SetOptionInt(fd, level, name, value int) syscall.Errno {
	v := int32(value)
	return SetOption(fd, level, name, (*[4]byte)(unsafe.Pointer(&v))[:])
}

// Error takes the socket's pending error (SO_ERROR), zero for none.
func Error(fd int) syscall.Errno {
	v, errno := OptionInt(fd, windows.SOL_SOCKET, SO_ERROR)
	if errno != 0 {
		return errno
	}
	return Errno(syscall.Errno(v))
}

// Protocol returns the family, the type and the protocol of a socket (SO_PROTOCOL_INFO).
func Protocol(fd int) (family, typ, proto int, errno syscall.Errno) {
	const protocolInfo = 0x2005
	var info windows.WSAProtocolInfo
	_, errno = Option(fd, windows.SOL_SOCKET, protocolInfo, (*[unsafe.Sizeof(info)]byte)(unsafe.Pointer(&info))[:])
	return int(info.AddressFamily), int(info.SocketType), int(info.Protocol), errno
}

// Linger returns whether Close waits for what was not sent, and how many seconds (SO_LINGER).
func Linger(fd int) (on bool, seconds int, errno syscall.Errno) {
	var l struct{ on, seconds uint16 }
	_, errno = Option(fd, windows.SOL_SOCKET, windows.SO_LINGER, (*[4]byte)(unsafe.Pointer(&l))[:])
	return l.on != 0, int(l.seconds), errno
}

// SetLinger sets what Linger returns. On with zero seconds makes Close a reset.
func SetLinger(fd int, on bool, seconds int) syscall.Errno {
	l := struct{ on, seconds uint16 }{seconds: uint16(min(seconds, 1<<16-1))}
	if on {
		l.on = 1
	}
	return SetOption(fd, windows.SOL_SOCKET, windows.SO_LINGER, (*[4]byte)(unsafe.Pointer(&l))[:])
}

// KeepAlive has the system ask a peer that was silent for so long whether it lives, and again as often. Four questions
// without an answer end the connection; systems before Windows 10 of 2017 ask ten times, as often as they like.
func KeepAlive(fd int, after time.Duration) syscall.Errno {
	seconds := int(min((max(after, 0)+time.Second-1)/time.Second, 1<<15-1))
	if errno := SetOptionInt(fd, windows.SOL_SOCKET, windows.SO_KEEPALIVE, 1); errno != 0 {
		return errno
	}
	errno := SetOptionInt(fd, windows.IPPROTO_TCP, TCP_KEEPIDLE, seconds)
	if errno == syscall.ENOPROTOOPT {
		vals := [3]uint32{1, uint32(seconds) * 1000, uint32(seconds) * 1000}
		return ioctl(fd, windows.SIO_KEEPALIVE_VALS, unsafe.Pointer(&vals), unsafe.Sizeof(vals))
	}
	if errno == 0 {
		errno = SetOptionInt(fd, windows.IPPROTO_TCP, TCP_KEEPINTVL, seconds)
	}
	if errno == 0 {
		errno = SetOptionInt(fd, windows.IPPROTO_TCP, TCP_KEEPCNT, 4)
	}
	return errno
}
