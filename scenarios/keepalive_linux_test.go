package scenarios

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard"
	"golang.org/x/sys/unix"
)

func TestSilentPeersAreAskedWhetherTheyLive(t *testing.T) {
	for _, c := range []struct {
		keepAlive time.Duration
		seconds   int // 0: never
	}{{0, 15}, {1500 * time.Millisecond, 2}, {time.Minute, 60}, {24 * time.Hour, 1<<15 - 1}, {-1, 0}} {
		t.Run(c.keepAlive.String(), func(t *testing.T) {
			leavesNothing(t)
			s := newServer(t, "")
			s.KeepAlive = c.keepAlive
			var dialled int
			s.DialControl = func(fd int) error {
				dialled = fd
				return nil
			}
			conns := accepted(s, echo)
			address := start(t, s)
			call(t, address)
			asks(t, descriptorTo(t, next(t, conns).RemoteAddr()), c.seconds)

			opened := make(chan error, 1)
			back, err := s.Dial(context.Background(), address, opener(func(*switchboard.Conn) error {
				opened <- nil
				return nil
			}))
			if err != nil {
				t.Fatal(err)
			}
			next(t, opened)
			asks(t, dialled, c.seconds)
			back.Abort()
		})
	}
}

// An opener is told that its connection is there.
type opener func(c *switchboard.Conn) error

func (f opener) Opened(c *switchboard.Conn) error              { return f(c) }
func (opener) Data(_ *switchboard.Conn, p []byte) (int, error) { return len(p), nil }
func (opener) Closed(*switchboard.Conn, error)                 {}

func asks(t *testing.T, fd, seconds int) {
	t.Helper()
	get := func(level, option int) int {
		v, err := unix.GetsockoptInt(fd, level, option)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	if on := get(unix.SOL_SOCKET, unix.SO_KEEPALIVE) != 0; on != (seconds > 0) {
		t.Errorf("keep-alive is %v", on)
	}
	if seconds == 0 {
		return
	}
	idle, interval, count := get(unix.IPPROTO_TCP, unix.TCP_KEEPIDLE), get(unix.IPPROTO_TCP, unix.TCP_KEEPINTVL), get(unix.IPPROTO_TCP, unix.TCP_KEEPCNT)
	if idle != seconds || interval != seconds || count != 4 {
		t.Errorf("asks after %d s, every %d s, %d times", idle, interval, count)
	}
}

// descriptorTo finds the descriptor of this process that is connected with addr.
func descriptorTo(t *testing.T, addr net.Addr) int {
	t.Helper()
	for fd := 3; fd < 1000; fd++ {
		peer, err := unix.Getpeername(fd)
		if in, ok := peer.(*unix.SockaddrInet4); err == nil && ok && in.Port == addr.(*net.TCPAddr).Port {
			return fd
		}
	}
	t.Fatal("it has no descriptor")
	return -1
}
