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

// SendBuffers sends the buffers one after another in one call, and of them at most limit bytes: WSASend, or WSASendTo if to
// is not nil.
func SendBuffers(fd int, buffers [][]byte, limit, flags int, to *Sockaddr) (int, syscall.Errno) {
	var room [usualBuffers]windows.WSABuf
	list := gather(room[:0], buffers, limit)
	var sent uint32
	var r uintptr
	var e syscall.Errno
	if to == nil {
		r, _, e = syscall.SyscallN(procWSASend.Addr(), uintptr(fd), uintptr(unsafe.Pointer(&list[0])), uintptr(len(list)),
			uintptr(unsafe.Pointer(&sent)), uintptr(flags), 0, 0)
	} else {
		r, _, e = syscall.SyscallN(procWSASendTo.Addr(), uintptr(fd), uintptr(unsafe.Pointer(&list[0])), uintptr(len(list)),
			uintptr(unsafe.Pointer(&sent)), uintptr(flags), uintptr(unsafe.Pointer(&to.raw)), uintptr(to.len), 0, 0)
	}
	if int32(r) != 0 {
		return 0, Errno(e)
	}
	return int(sent), 0
}

// RecvBuffers receives into the buffers one after another in one call: WSARecv.
func RecvBuffers(fd int, buffers [][]byte, flags int) (int, syscall.Errno) {
	var room [usualBuffers]windows.WSABuf
	list := gather(room[:0], buffers, 1<<30)
	var got uint32
	f := uint32(flags)
	r, _, e := syscall.SyscallN(procWSARecv.Addr(), uintptr(fd), uintptr(unsafe.Pointer(&list[0])), uintptr(len(list)),
		uintptr(unsafe.Pointer(&got)), uintptr(unsafe.Pointer(&f)), 0, 0)
	if int32(r) != 0 {
		return 0, Errno(e)
	}
	return int(got), 0
}

// SendMsg sends the buffers as one datagram with control data, to the connected peer if to is nil: WSASendMsg.
func SendMsg(fd int, buffers [][]byte, control []byte, flags int, to *Sockaddr) (int, syscall.Errno) {
	var room [usualBuffers]windows.WSABuf
	list := gather(room[:0], buffers, 1<<30)
	msg := windows.WSAMsg{Buffers: &list[0], BufferCount: uint32(len(list)), Control: buffer(control)}
	if to != nil {
		msg.Name, msg.Namelen = (*syscall.RawSockaddrAny)(unsafe.Pointer(&to.raw)), to.len
	}
	var sent uint32
	err := windows.WSASendMsg(windows.Handle(fd), &msg, uint32(flags), &sent, nil, nil)
	return int(sent), errnoOf(err)
}

// RecvMsg receives one datagram into the buffers, with its control data, and the sender's address in from: WSARecvMsg. Of
// the flags, it takes MSG_PEEK.
func RecvMsg(fd int, buffers [][]byte, control []byte, flags int, from *Sockaddr) (n, controlLen, flagsOut int, errno syscall.Errno) {
	var room [usualBuffers]windows.WSABuf
	list := gather(room[:0], buffers, 1<<30)
	from.len = int32(unsafe.Sizeof(from.raw))
	msg := windows.WSAMsg{
		Name: (*syscall.RawSockaddrAny)(unsafe.Pointer(&from.raw)), Namelen: from.len,
		Buffers: &list[0], BufferCount: uint32(len(list)), Control: buffer(control), Flags: uint32(flags),
	}
	var got uint32
	err := windows.WSARecvMsg(windows.Handle(fd), &msg, &got, nil, nil)
	from.len = msg.Namelen
	return int(got), int(msg.Control.Len), int(msg.Flags), errnoOf(err)
}

// usualBuffers is how many buffers a call takes without allocating.
const usualBuffers = 16

// gather appends the buffers that are not empty to list, at most limit bytes of them, and an empty one if there is no other.
func gather(list []windows.WSABuf, buffers [][]byte, limit int) []windows.WSABuf {
	for _, b := range buffers {
		if limit == 0 {
			break
		}
		if b = b[:min(len(b), limit)]; len(b) > 0 {
			list = append(list, buffer(b))
			limit -= len(b)
		}
	}
	if len(list) == 0 {
		list = append(list, windows.WSABuf{})
	}
	return list
}

func buffer(b []byte) windows.WSABuf {
	return windows.WSABuf{Len: uint32(len(b)), Buf: unsafe.SliceData(b)}
}

// length is that of p as the system's int takes it.
func length(p []byte) uintptr { return uintptr(min(len(p), 1<<30)) }

func count(r uintptr, e syscall.Errno) (int, syscall.Errno) {
	if int32(r) < 0 {
		return 0, Errno(e)
	}
	return int(int32(r)), 0
}
