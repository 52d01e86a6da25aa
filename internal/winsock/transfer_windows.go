package winsock

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"
)

// MaxSend is how many bytes one call sends on a stream, in bytes. Winsock takes the whole of a non-blocking send, of
// any size, as soon as the socket's buffer has room for a part: without this limit a peer that does not read would cost
// as much memory as the program has to send.
const MaxSend = 64 << 10

// maxBuffers is how many buffers one call takes.
const maxBuffers = 16

// Recv receives into p: recv. Zero bytes without an error is the end of a stream.
func Recv(fd int, p []byte, flags int) (int, syscall.Errno) {
	r, _, e := syscall.SyscallN(procRecv.Addr(), uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), length(p), uintptr(flags))
	return count(r, e)
}

// Send sends p: send. See MaxSend.
func Send(fd int, p []byte, flags int) (int, syscall.Errno) {
	r, _, e := syscall.SyscallN(procSend.Addr(), uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), length(p), uintptr(flags))
	return count(r, e)
}

// RecvFrom receives into p and returns the sender's address in from: recvfrom.
func RecvFrom(fd int, p []byte, flags int, from *Sockaddr) (int, syscall.Errno) {
	from.len = int32(unsafe.Sizeof(from.raw))
	r, _, e := syscall.SyscallN(procRecvFrom.Addr(), uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), length(p),
		uintptr(flags), uintptr(unsafe.Pointer(&from.raw)), uintptr(unsafe.Pointer(&from.len)))
	return count(r, e)
}

// SendTo sends p to an address: sendto.
func SendTo(fd int, p []byte, flags int, to *Sockaddr) (int, syscall.Errno) {
	r, _, e := syscall.SyscallN(procSendTo.Addr(), uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), length(p),
		uintptr(flags), uintptr(unsafe.Pointer(&to.raw)), uintptr(to.len))
	return count(r, e)
}

// SendBuffers sends the buffers one after another in one call: WSASend, or WSASendTo if to is not nil. Of more than 16 it
// sends the first 16 that are not empty, and at most limit bytes.
func SendBuffers(fd int, buffers [][]byte, limit, flags int, to *Sockaddr) (int, syscall.Errno) {
	var list [maxBuffers]windows.WSABuf
	n := gather(&list, buffers, limit)
	var sent uint32
	var r uintptr
	var e syscall.Errno
	if to == nil {
		r, _, e = syscall.SyscallN(procWSASend.Addr(), uintptr(fd), uintptr(unsafe.Pointer(&list)), n,
			uintptr(unsafe.Pointer(&sent)), uintptr(flags), 0, 0)
	} else {
		r, _, e = syscall.SyscallN(procWSASendTo.Addr(), uintptr(fd), uintptr(unsafe.Pointer(&list)), n,
			uintptr(unsafe.Pointer(&sent)), uintptr(flags), uintptr(unsafe.Pointer(&to.raw)), uintptr(to.len), 0, 0)
	}
	if int32(r) != 0 {
		return 0, Errno(e)
	}
	return int(sent), 0
}

// RecvBuffers receives into the buffers one after another in one call, and returns the sender's address in from:
// WSARecvFrom, or WSARecv if from is nil. The flags that it returns may be MSG_PARTIAL.
func RecvBuffers(fd int, buffers [][]byte, flags int, from *Sockaddr) (n, flagsOut int, errno syscall.Errno) {
	var list [maxBuffers]windows.WSABuf
	used := gather(&list, buffers, 1<<30)
	var got uint32
	f := uint32(flags)
	var r uintptr
	var e syscall.Errno
	if from == nil {
		r, _, e = syscall.SyscallN(procWSARecv.Addr(), uintptr(fd), uintptr(unsafe.Pointer(&list)), used,
			uintptr(unsafe.Pointer(&got)), uintptr(unsafe.Pointer(&f)), 0, 0)
	} else {
		from.len = int32(unsafe.Sizeof(from.raw))
		r, _, e = syscall.SyscallN(procWSARecvFrom.Addr(), uintptr(fd), uintptr(unsafe.Pointer(&list)), used,
			uintptr(unsafe.Pointer(&got)), uintptr(unsafe.Pointer(&f)), uintptr(unsafe.Pointer(&from.raw)),
			uintptr(unsafe.Pointer(&from.len)), 0, 0)
	}
	if int32(r) != 0 {
		return 0, 0, Errno(e)
	}
	return int(got), int(f), 0
}

// gather fills list, and returns how many of it are used: one at least, which may be empty.
func gather(list *[maxBuffers]windows.WSABuf, buffers [][]byte, limit int) uintptr {
	n := 0
	for _, b := range buffers {
		if n == len(list) || limit <= 0 {
			break
		}
		if b = b[:min(len(b), limit)]; len(b) > 0 {
			list[n] = windows.WSABuf{Len: uint32(len(b)), Buf: unsafe.SliceData(b)}
			limit -= len(b)
			n++
		}
	}
	return uintptr(max(n, 1))
}

// length is that of p as the system's int takes it.
func length(p []byte) uintptr { return uintptr(min(len(p), 1<<30)) }

func count(r uintptr, e syscall.Errno) (int, syscall.Errno) {
	if int32(r) < 0 {
		return 0, Errno(e)
	}
	return int(int32(r)), 0
}
