//go:build unix

package rawio

import (
	"net/netip"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

const (
	readable = unix.POLLIN
	writable = unix.POLLOUT
)

func bind(fd int, to netip.AddrPort) error {
	if to.Addr().Is4() {
		return unix.Bind(fd, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()})
	}
	return unix.Bind(fd, &unix.SockaddrInet6{Port: int(to.Port()), Addr: to.Addr().As16()})
}

func bindUnix(fd int, path string) error { return unix.Bind(fd, &unix.SockaddrUnix{Name: path}) }

func listen(fd int) error { return unix.Listen(fd, 10) }

// ready waits until fd can be read or written.
func ready(t *testing.T, fd int, events int16) {
	t.Helper()
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: events}}, 10_000)
		if err == unix.EINTR {
			continue
		}
		if n != 1 || err != nil {
			t.Fatalf("poll: %d, %v", n, err)
		}
		return
	}
}

// noFile reports whether a connect to a path without a file ended as it should.
func noFile(errno syscall.Errno) bool { return errno == syscall.ENOENT }

func inherited(t *testing.T, fd int) bool {
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	if err != nil {
		t.Fatal(err)
	}
	return flags&unix.FD_CLOEXEC == 0
}

func delaysNot(t *testing.T, fd int) bool {
	v, err := unix.GetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY)
	if err != nil {
		t.Fatal(err)
	}
	return v != 0
}
