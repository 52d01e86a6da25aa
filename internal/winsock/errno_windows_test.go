package winsock

import (
	"syscall"
	"testing"

	"golang.org/x/sys/windows"
)

func TestErrorsHaveTheirPortableNumber(t *testing.T) {
	for from, to := range map[syscall.Errno]syscall.Errno{
		windows.WSAECONNRESET:   syscall.ECONNRESET,
		windows.WSAEWOULDBLOCK:  syscall.EAGAIN,
		windows.WSAESHUTDOWN:    syscall.EPIPE,
		windows.WSAECONNREFUSED: syscall.ECONNREFUSED,
		syscall.ECONNREFUSED:    syscall.ECONNREFUSED,
		0:                       0,
	} {
		if got := Errno(from); got != to {
			t.Errorf("%d is %d (%v), want %v", from, got, got, to)
		}
	}
	for _, same := range []struct {
		e      syscall.Errno
		target error
		want   bool
	}{
		{syscall.ECONNRESET, windows.WSAECONNRESET, true},
		{syscall.EAGAIN, syscall.EWOULDBLOCK, true},
		{syscall.EAGAIN, windows.WSAEWOULDBLOCK, true},
		{syscall.ECONNRESET, windows.WSAECONNREFUSED, false},
		{0, syscall.Errno(0), false},
		{0, syscall.Errno(3), false},
	} {
		if got := Same(same.e, same.target); got != same.want {
			t.Errorf("%v and %v: %v", same.e, same.target, got)
		}
	}
}

// Whatever a Sockaddr is given it gives back.
func TestAddressesComeBack(t *testing.T) {
	var sa Sockaddr
	if errno := sa.SetUnix(`C:\run\s.sock`); errno != 0 || sa.Unix() != `C:\run\s.sock` || sa.Family() != windows.AF_UNIX {
		t.Errorf("%q, %v", sa.Unix(), errno)
	}
	if ap, _ := sa.Inet(); ap.IsValid() {
		t.Errorf("a path is the address %v", ap)
	}
	long := string(make([]byte, MaxPath+1))
	if errno := sa.SetUnix(long); errno != syscall.ENAMETOOLONG {
		t.Error(errno)
	}
	if sa = (Sockaddr{}); sa.Family() != 0 || sa.Unix() != "" {
		t.Error("no address is one")
	}
}

// A system takes a backlog of 200 and more only as a hint.
func TestABacklogMayBeLong(t *testing.T) {
	fd, errno := Socket(windows.AF_INET, windows.SOCK_STREAM, 0)
	if errno != 0 {
		t.Fatal(errno)
	}
	defer Close(fd)
	var sa Sockaddr
	sa.SetInet(LoopbackInet(windows.AF_INET), 0)
	if errno := Bind(fd, &sa); errno != 0 {
		t.Fatal(errno)
	}
	for _, backlog := range []int{0, 1, 199, 200, 1 << 16, 1 << 30} {
		if errno := Listen(fd, backlog); errno != 0 {
			t.Errorf("%d: %v", backlog, errno)
		}
	}
}
