package socket

import (
	"encoding/binary"
	"errors"
	"net"
	"testing"
	"time"
)

func TestNamedOptionsReachTheSystem(t *testing.T) {
	s := made(t, AF_INET6, SOCK_STREAM)
	for _, c := range []struct {
		name          string
		set           func(on bool) error
		level, option int
	}{
		{"reuse address", s.SetReuseAddr, SOL_SOCKET, SO_REUSEADDR},
		{"reuse port", s.SetReusePort, SOL_SOCKET, optReusePort},
		{"no delay", s.SetNoDelay, IPPROTO_TCP, TCP_NODELAY},
		{"v6 only", s.SetV6Only, IPPROTO_IPV6, IPV6_V6ONLY},
	} {
		if c.option == SO_REUSEADDR && !reuseAddrIsSafe {
			continue
		}
		for _, on := range []bool{true, false} {
			err := c.set(on)
			if errors.Is(err, errors.ErrUnsupported) {
				continue
			}
			noError(t, err)
			if got, err := s.OptionBool(c.level, c.option); got != on || err != nil {
				t.Errorf("%s: set %v, got %v, %v", c.name, on, got, err)
			}
		}
	}
	for name, set := range map[int]func(int) error{SO_SNDBUF: s.SetSendBuffer, SO_RCVBUF: s.SetRecvBuffer} {
		noError(t, set(50_000))
		if n, err := s.Option(SOL_SOCKET, name); n < 50_000 || n > 100_000 || err != nil {
			t.Error("buffer:", n, err)
		}
	}
}

func TestKeepAlive(t *testing.T) {
	s := made(t, AF_INET, SOCK_STREAM)
	err := s.SetKeepAlive(net.KeepAliveConfig{
		Enable: true, Idle: 61500 * time.Millisecond, Interval: 7 * time.Second, Count: 3,
	})
	if optKeepIdle == lacking {
		if !errors.Is(err, errors.ErrUnsupported) {
			t.Error(err)
		}
		return
	}
	noError(t, err)
	check := func(idle, interval, count int) {
		t.Helper()
		for i, name := range []int{optKeepIdle, optKeepInterval, optKeepCount} {
			want := []int{idle, interval, count}[i]
			if n, err := s.Option(IPPROTO_TCP, name); n != want || err != nil {
				t.Errorf("option %d: %d, %v, want %d", name, n, err, want)
			}
		}
	}
	check(62, 7, 3) // rounded up
	noError(t, s.SetKeepAlive(net.KeepAliveConfig{Enable: true, Idle: -1, Interval: -1, Count: -1}))
	check(62, 7, 3)
	noError(t, s.SetKeepAlive(net.KeepAliveConfig{Enable: true}))
	check(15, 15, 9)
	if on, err := s.OptionBool(SOL_SOCKET, SO_KEEPALIVE); !on || err != nil {
		t.Error(on, err)
	}
	noError(t, s.SetKeepAlive(net.KeepAliveConfig{}))
	if on, err := s.OptionBool(SOL_SOCKET, SO_KEEPALIVE); on || err != nil {
		t.Error(on, err)
	}
}

func TestUserTimeout(t *testing.T) {
	s := made(t, AF_INET, SOCK_STREAM)
	err := s.SetUserTimeout(1500*time.Microsecond + time.Second)
	if optUserTimeout == lacking {
		if !errors.Is(err, errors.ErrUnsupported) {
			t.Error(err)
		}
		return
	}
	noError(t, err)
	if ms, err := s.Option(IPPROTO_TCP, optUserTimeout); ms != 1002 || err != nil {
		t.Error(ms, err)
	}
}

func TestLinger(t *testing.T) {
	s := made(t, AF_INET, SOCK_STREAM)
	for _, c := range []struct{ set, want time.Duration }{
		{0, 0}, {time.Second, time.Second}, {time.Millisecond, time.Second}, {-1, -1}, {-5 * time.Second, -1},
	} {
		noError(t, s.SetLinger(c.set))
		if got, err := s.Linger(); got != c.want || err != nil {
			t.Errorf("set %v, got %v, %v", c.set, got, err)
		}
	}
}

func TestOptionBytes(t *testing.T) {
	s := made(t, AF_INET, SOCK_STREAM)
	p := binary.NativeEndian.AppendUint32(nil, 1)
	noError(t, s.SetOptionBytes(SOL_SOCKET, SO_KEEPALIVE, p))
	if on, err := s.OptionBool(SOL_SOCKET, SO_KEEPALIVE); !on || err != nil {
		t.Error(on, err)
	}
	p, err := s.OptionBytes(SOL_SOCKET, SO_LINGER, 64)
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	}
	if len(p) != 8 && len(p) != 4 || err != nil { // struct linger: two ints, or two shorts
		t.Error(p, err)
	}
}

func TestInheritableIsOffAtFirst(t *testing.T) {
	l, to := listening(t, "127.0.0.1:0", nil)
	x := connectedTo(t, to)
	y := accepted(t, l)
	a, b := unixPair(t, SOCK_STREAM)
	d, err := a.Dup()
	noError(t, err)
	defer d.Close()
	for name, s := range map[string]*Socket{
		"CreateServer": l, "New": x, "Accept": y, "Pair": a, "the pair's other": b, "Dup": d,
	} {
		if on, err := s.Inheritable(); on || err != nil {
			t.Errorf("%s: %v, %v", name, on, err)
		}
		noError(t, s.SetInheritable(true))
		if on, err := s.Inheritable(); !on || err != nil {
			t.Errorf("%s, after it was switched on: %v, %v", name, on, err)
		}
	}
}
