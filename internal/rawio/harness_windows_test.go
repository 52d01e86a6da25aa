package rawio

import (
	"net/netip"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/windows"

	"github.com/switchboard-go/switchboard/internal/winsock"
)

const (
	readable = winsock.POLLIN
	writable = winsock.POLLOUT
)

func bind(fd int, to netip.AddrPort) error {
	var sa winsock.Sockaddr
	sa.SetInet(to, 0)
	return errorOf(winsock.Bind(fd, &sa))
}

func bindUnix(fd int, path string) error {
	var sa winsock.Sockaddr
	sa.SetUnix(path)
	return errorOf(winsock.Bind(fd, &sa))
}

func listen(fd int) error { return errorOf(winsock.Listen(fd, 10)) }

// ready waits until fd can be read or written.
func ready(t *testing.T, fd int, events int16) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		got, errno := winsock.Poll(fd, events)
		if errno != 0 {
			t.Fatal("poll:", errno)
		}
		if got != 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatal("poll: not ready within 10 s")
		}
	}
}

// noFile reports whether a connect to a path without a file ended as it should: Windows versions differ in how it fails.
func noFile(errno syscall.Errno) bool { return errno != 0 && errno != syscall.EINPROGRESS }

func inherited(t *testing.T, fd int) bool {
	on, errno := winsock.Inheritable(fd)
	if errno != 0 {
		t.Fatal(errno)
	}
	return on
}

func delaysNot(t *testing.T, fd int) bool {
	v, errno := winsock.OptionInt(fd, windows.IPPROTO_TCP, windows.TCP_NODELAY)
	if errno != 0 {
		t.Fatal(errno)
	}
	return v != 0
}
