package socket

import (
	"fmt"
	"runtime"
	"syscall"

	"github.com/switchboard-go/switchboard/internal/winsock"
)

// sysPair connects two sockets over loopback, as Windows has no socketpair: TCP in place of Unix sockets. Any program of this
// machine could connect first, so only the connection whose two ends name each other counts.
func sysPair(family, typ, proto int) (fds [2]int, err error) {
	if typ != SOCK_STREAM {
		return fds, lacks("pairs other than SOCK_STREAM")
	}
	if family == AF_UNIX {
		family, proto = AF_INET, 0
	}
	l, errno := winsock.Socket(family, typ, proto)
	if errno != 0 {
		return fds, errno
	}
	defer winsock.Close(l)
	var at winsock.Sockaddr
	at.SetInet(winsock.LoopbackInet(family), 0)
	errno = winsock.SetOptionInt(l, SOL_SOCKET, winsock.SO_EXCLUSIVEADDRUSE, 1)
	if errno == 0 {
		errno = winsock.Bind(l, &at)
	}
	if errno == 0 {
		errno = winsock.Listen(l, 16)
	}
	if errno == 0 {
		at, errno = winsock.LocalName(l)
	}
	if errno != 0 {
		return fds, errno
	}
	a, errno := winsock.Socket(family, typ, proto)
	if errno != 0 {
		return fds, errno
	}
	b, errno := join(a, l, &at)
	if errno != 0 {
		winsock.Close(a)
		return fds, errno
	}
	for _, fd := range [...]int{a, b} { // a Unix socket sends at once
		winsock.SetOptionInt(fd, IPPROTO_TCP, TCP_NODELAY, 1)
	}
	return [2]int{a, b}, nil
}

// join connects a with the address of l, and accepts it there. It waits, as loopback answers at once.
func join(a, l int, at *winsock.Sockaddr) (b int, errno syscall.Errno) {
	if errno := winsock.SetNonblock(a, false); errno != 0 {
		return -1, errno
	}
	if errno := winsock.Connect(a, at); errno != 0 {
		return -1, errno
	}
	if errno := winsock.SetNonblock(a, true); errno != 0 {
		return -1, errno
	}
	own, errno := winsock.LocalName(a)
	if errno != 0 {
		return -1, errno
	}
	if errno := winsock.SetNonblock(l, false); errno != 0 {
		return -1, errno
	}
	for {
		var from winsock.Sockaddr
		b, errno := winsock.Accept(l, &from)
		switch {
		case errno == syscall.ECONNABORTED:
			continue
		case errno != 0:
			return -1, errno
		}
		if sameInet(&from, &own) {
			return b, 0
		}
		winsock.Close(b)
	}
}

func sameInet(a, b *winsock.Sockaddr) bool {
	x, _ := a.Inet()
	y, _ := b.Inet()
	return x == y && x.IsValid()
}

// lacks is the error of what no Windows has.
func lacks(what string) error {
	return &reason{syscall.EOPNOTSUPP, fmt.Sprintf("%s does not have %s", runtime.GOOS, what)}
}
