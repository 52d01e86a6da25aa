package socket

import (
	"context"
	"errors"
	"net"
	"os"
	"runtime"
	"runtime/pprof"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

func TestNonBlockingCallsSayWouldBlock(t *testing.T) {
	l, _ := listening(t, "127.0.0.1:0", nil)
	x, _ := tcpPair(t)
	for _, s := range []*Socket{l, x} {
		noError(t, s.SetBlocking(false))
	}
	p := make([]byte, 1<<20)
	for {
		if _, err := x.Send(p); err != nil {
			break
		}
	}
	for name, call := range map[string]func() error{
		"accept":   func() error { _, _, err := l.Accept(); return err },
		"recv":     func() error { _, err := x.Recv(p); return err },
		"peek":     func() error { _, err := x.RecvFlags(p, MSG_PEEK); return err },
		"recvfrom": func() error { _, _, err := x.RecvFrom(p); return err },
		"recvmsg":  func() error { _, _, err := x.RecvMsg([][]byte{p}, 0, 0); return err },
		"send":     func() error { _, err := x.Send(p); return err },
		"send all": func() error { _, err := x.SendAll(p); return err },
		"sendmsg":  func() error { _, err := x.SendMsg([][]byte{p}, nil, Addr{}, 0); return err },
	} {
		err := call()
		if !errors.Is(err, ErrWouldBlock) || !errors.Is(err, syscall.EAGAIN) {
			t.Errorf("%s: %v", name, err)
		}
		// crypto/tls goes on after an error that is temporary in this sense, which net has deprecated.
		e, ok := err.(interface{ Temporary() bool })
		if timeout := net.Error(nil); !ok || !e.Temporary() || !errors.As(err, &timeout) || timeout.Timeout() {
			t.Errorf("%s: %#v", name, err)
		}
	}
	if x.parked.Load() != nil || l.parked.Load() != nil {
		t.Error("a non-blocking socket went to the runtime's poller")
	}
}

func TestOneCallCanBeNonBlocking(t *testing.T) {
	for _, parked := range []bool{false, true} {
		x, y := unixPair(t, SOCK_STREAM)
		if parked {
			noError(t, x.SetDeadline(time.Now().Add(time.Minute)))
			noError(t, y.SetDeadline(time.Now().Add(time.Minute)))
		}
		p := make([]byte, 4096)
		if _, err := y.RecvFlags(p, MSG_DONTWAIT|MSG_WAITALL); !errors.Is(err, ErrWouldBlock) {
			t.Error("recv:", err)
		}
		if _, _, err := y.RecvMsg([][]byte{p}, 0, MSG_DONTWAIT); !errors.Is(err, ErrWouldBlock) {
			t.Error("recvmsg:", err)
		}
		err := error(nil)
		for err == nil {
			_, err = x.SendFlags(p, MSG_DONTWAIT)
		}
		if !errors.Is(err, ErrWouldBlock) {
			t.Error("send:", err)
		}
		if n, err := y.RecvFlags(p, MSG_DONTWAIT); n != len(p) || err != nil {
			t.Error("recv what is there:", n, err)
		}
	}
}

func TestNonBlockingSendAllTellsHowManyWent(t *testing.T) {
	x, y := tcpPair(t)
	x.SetBlocking(false)
	p := make([]byte, 64<<20)
	n, err := x.SendAll(p)
	if !errors.Is(err, ErrWouldBlock) || n <= 0 || n >= len(p) {
		t.Fatal(n, err)
	}
	if got, err := y.RecvFlags(make([]byte, n), MSG_WAITALL); got != n || err != nil {
		t.Fatal(got, err)
	}
}

func TestTimeoutEndsEveryCall(t *testing.T) {
	noHole := runtime.GOOS == "windows"
	l, _ := listening(t, "127.0.0.1:0", nil)
	x, _ := tcpPair(t)
	d, _ := boundDatagram(t, AF_INET)
	for _, s := range []*Socket{l, x, d} {
		noError(t, s.SetTimeout(time.Millisecond))
	}
	c := made(t, AF_INET, SOCK_STREAM)
	noError(t, c.SetTimeout(time.Millisecond))
	var hole Addr
	if !noHole {
		hole = blackHole(t, "127.0.0.1:0")
	}
	p := make([]byte, 64<<20)
	for name, call := range map[string]func() error{
		"accept":   func() error { _, _, err := l.Accept(); return err },
		"recv":     func() error { _, err := x.Recv(p); return err },
		"recv all": func() error { _, err := x.RecvFlags(p, MSG_WAITALL); return err },
		"recvfrom": func() error { _, _, err := d.RecvFrom(p); return err },
		"recvmsg":  func() error { _, _, err := d.RecvMsg([][]byte{p}, 0, 0); return err },
		"send all": func() error { _, err := x.SendAll(p); return err },
		"connect":  func() error { return c.Connect(hole) },
	} {
		if name == "connect" && noHole {
			continue
		}
		err := call()
		if !errors.Is(err, os.ErrDeadlineExceeded) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", name, err)
		}
		if e := net.Error(nil); !errors.As(err, &e) || !e.Timeout() {
			t.Errorf("%s: %#v", name, err)
		}
	}
	// A timeout leaves nothing behind.
	x.SetBlocking(true)
	got := in(func() error { _, err := x.Recv(p); return err })
	waitParked(t, "Recv", 1)
	x.Close()
	if err := <-got; !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}

func TestTimeoutDoesNotHideWhatIsThere(t *testing.T) {
	x, y := unixPair(t, SOCK_STREAM)
	y.SetTimeout(time.Nanosecond)
	p := make([]byte, 1)
	if _, err := y.Recv(p); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	x.Send([]byte("abc"))
	for range 3 {
		if n, err := y.Recv(p); n != 1 || err != nil {
			t.Fatal(n, err)
		}
	}
}

func TestDeadline(t *testing.T) {
	x, y := unixPair(t, SOCK_STREAM)
	p := make([]byte, 1)
	got := in(func() error { _, err := y.Recv(p); return err })
	waitParked(t, "Recv", 1)
	noError(t, y.SetReadDeadline(time.Unix(1, 0)))
	if err := <-got; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("a waiting call:", err)
	}
	x.Send([]byte("a"))
	if _, err := y.Recv(p); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("a later call:", err)
	}
	if _, err := y.Send(p); err != nil {
		t.Error("the other direction:", err)
	}
	noError(t, y.SetDeadline(time.Time{}))
	if _, err := y.Recv(p); err != nil {
		t.Error("after it was lifted:", err)
	}
	// The earlier of deadline and timeout counts.
	noError(t, y.SetReadDeadline(time.Now().Add(time.Hour)))
	y.SetTimeout(time.Millisecond)
	if _, err := y.Recv(p); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("timeout before deadline:", err)
	}
	noError(t, y.SetReadDeadline(time.Now().Add(time.Millisecond)))
	y.SetTimeout(time.Hour)
	if _, err := y.Recv(p); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("deadline before timeout:", err)
	}
}

func TestCloseWakesWhoeverWaits(t *testing.T) {
	var hole Addr
	for _, c := range []struct {
		method string
		socket func() *Socket
		call   func(s *Socket) error
	}{
		{"Accept", func() *Socket { l, _ := listening(t, "127.0.0.1:0", nil); return l },
			func(s *Socket) error { _, _, err := s.Accept(); return err }},
		{"Recv", func() *Socket { x, _ := tcpPair(t); return x },
			func(s *Socket) error { _, err := s.Recv(make([]byte, 1)); return err }},
		{"RecvFrom", func() *Socket { x, _ := boundDatagram(t, AF_INET); return x },
			func(s *Socket) error { _, _, err := s.RecvFrom(make([]byte, 1)); return err }},
		{"RecvMsg", func() *Socket { x, _ := boundDatagram(t, AF_INET); return x },
			func(s *Socket) error { _, _, err := s.RecvMsg(nil, 0, 0); return err }},
		{"SendAll", func() *Socket { x, _ := tcpPair(t); return x },
			func(s *Socket) error { _, err := s.SendAll(make([]byte, 64<<20)); return err }},
		{"Connect", func() *Socket { return made(t, AF_INET, SOCK_STREAM) },
			func(s *Socket) error { return s.Connect(hole) }},
	} {
		t.Run(c.method, func(t *testing.T) {
			if c.method == "Connect" {
				hole = blackHole(t, "127.0.0.1:0")
			}
			s := c.socket()
			// A second caller waits for its turn, and is woken as well.
			first, second := in(func() error { return c.call(s) }), in(func() error { return c.call(s) })
			waitParked(t, c.method, 1)
			noError(t, s.Close())
			for _, done := range []<-chan error{first, second} {
				if err := <-done; !errors.Is(err, net.ErrClosed) {
					t.Error(err)
				}
			}
		})
	}
}

func TestModeCanChangeWhileACallWaits(t *testing.T) {
	x, y := unixPair(t, SOCK_STREAM)
	p := make([]byte, 1)
	got := in(func() error { _, err := y.Recv(p); return err })
	waitParked(t, "Recv", 1)
	y.SetBlocking(false)
	if _, err := y.Recv(make([]byte, 1)); !errors.Is(err, ErrWouldBlock) {
		t.Error(err)
	}
	x.Send([]byte("a"))
	noError(t, <-got)
}

func TestTenThousandWaitWithoutThreads(t *testing.T) {
	goroutines := 10_000
	if testing.Short() { // Wine takes a while to make sockets
		goroutines = 2_000
	}
	var sockets []*Socket
	for range goroutines / 2 {
		x, y := unixPair(t, SOCK_STREAM)
		sockets = append(sockets, x, y)
	}
	var done sync.WaitGroup
	var received atomic.Int32
	before := threads()
	for _, s := range sockets {
		done.Go(func() {
			if n, _ := s.Recv(make([]byte, 1)); n == 1 {
				received.Add(1)
			}
		})
	}
	for _, s := range sockets {
		if !settled(func() bool { return s.parked.Load() != nil }) {
			t.Fatal("a Recv does not wait")
		}
	}
	if more := threads() - before; more > 20 {
		t.Errorf("%d goroutines in Recv made %d threads", goroutines, more)
	} else {
		t.Logf("%d goroutines in Recv, %d threads before, %d more", goroutines, before, more)
	}
	for _, s := range sockets {
		if _, err := s.Send([]byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	done.Wait()
	if int(received.Load()) != goroutines {
		t.Error(received.Load(), "received their byte")
	}
}

// threads counts the threads of this process; elsewhere than on Linux, those that it ever made.
func threads() int {
	if runtime.GOOS == "linux" {
		tasks, _ := os.ReadDir("/proc/self/task")
		return len(tasks)
	}
	return pprof.Lookup("threadcreate").Count()
}
