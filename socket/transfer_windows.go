package socket

import (
	"syscall"

	"github.com/switchboard-go/switchboard/internal/winsock"
)

// MSG_DONTWAIT and MSG_WAITALL are this package's own on Windows: its sockets never wait in Winsock.
const ours = MSG_DONTWAIT | MSG_WAITALL

func sysRecv(fd int, p []byte, flags int) (int, error) {
	n, errno := winsock.Recv(fd, p, flags&^ours)
	return received(fd, n, len(p), errno)
}

func sysRecvFrom(fd int, p []byte, flags int, from *sockaddr) (int, error) {
	n, errno := winsock.RecvFrom(fd, p, flags&^ours, &from.Sockaddr)
	return received(fd, n, len(p), errno)
}

// received makes of Winsock's errors what other systems say of the same: a datagram that was longer than the buffer
// filled it, and after SHUT_RD a stream is at its end.
func received(fd, n, size int, errno syscall.Errno) (int, error) {
	switch errno {
	case 0:
		return n, nil
	case syscall.EMSGSIZE:
		return size, nil
	case syscall.EPIPE:
		return 0, nil
	}
	return 0, errno
}

// A stream takes at most winsock.MaxSend bytes of one call. No datagram is as long.

func sysSend(fd int, p []byte, flags int) (int, error) {
	n, errno := winsock.Send(fd, atMost(p), flags&^ours)
	return n, errnoOrNil(errno)
}

func sysSendTo(fd int, p []byte, flags int, to *sockaddr) (int, error) {
	n, errno := winsock.SendTo(fd, atMost(p), flags&^ours, &to.Sockaddr)
	return n, errnoOrNil(errno)
}

func atMost(p []byte) []byte { return p[:min(len(p), winsock.MaxSend)] }

func sysRecvMsg(fd int, buffers [][]byte, control []byte, flags int) (n, controlLen, msgFlags int, from Addr, err error) {
	size := 0
	for _, b := range buffers {
		size += len(b)
	}
	if isStream(fd) { // WSARecvMsg is for datagrams
		n, errno := winsock.RecvBuffers(fd, buffers, flags&^ours)
		n, err := received(fd, n, size, errno)
		return n, 0, 0, Addr{}, err
	}
	var sa sockaddr
	n, controlLen, msgFlags, errno := winsock.RecvMsg(fd, buffers, control, flags&^ours, &sa.Sockaddr)
	if errno == syscall.EMSGSIZE {
		if msgFlags&MSG_CTRUNC == 0 || msgFlags&MSG_TRUNC != 0 {
			n, msgFlags = size, msgFlags|MSG_TRUNC
		}
		errno = 0
	}
	if errno != 0 {
		return 0, 0, 0, Addr{}, errno
	}
	from, _ = sa.decode()
	return n, controlLen, msgFlags &^ MSG_PEEK, from, nil
}

func sysSendMsg(fd int, buffers [][]byte, control []byte, to Addr, flags int) (int, error) {
	var dest *winsock.Sockaddr
	if to.IsValid() {
		var sa sockaddr
		if err := sa.encode(to); err != nil {
			return 0, err
		}
		dest = &sa.Sockaddr
	}
	stream := isStream(fd)
	switch {
	case len(control) == 0 && stream:
		n, errno := winsock.SendBuffers(fd, buffers, winsock.MaxSend, flags&^ours, nil)
		return n, errnoOrNil(errno)
	case len(control) == 0:
		n, errno := winsock.SendBuffers(fd, buffers, 1<<30, flags&^ours, dest)
		return n, errnoOrNil(errno)
	case stream:
		return 0, lacks("control data on streams, and descriptors that travel (SCM_RIGHTS)")
	}
	n, errno := winsock.SendMsg(fd, buffers, control, flags&^ours, dest)
	return n, errnoOrNil(errno)
}

func isStream(fd int) bool {
	typ, _ := winsock.OptionInt(fd, SOL_SOCKET, SO_TYPE)
	return typ == SOCK_STREAM
}
