package socket

import (
	"errors"
	"io"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"
)

// The system gives a closed descriptor's number to the next socket at once: a call that was meant for the old
// one must not reach it.
func TestLateCallsNeverReachAnotherSocket(t *testing.T) {
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			for round := range 300 {
				x, y, err := Pair(AF_UNIX, SOCK_STREAM, 0)
				if err != nil {
					t.Error(err)
					return
				}
				mark := byte(worker)
				var users sync.WaitGroup
				for range 2 {
					users.Go(func() { useUntilClosed(t, x, mark) })
				}
				if _, err := y.Send([]byte{mark}); err != nil {
					t.Error(err)
				}
				if round%3 == 0 {
					y.SetTimeout(1)
					y.Recv(make([]byte, 1))
				}
				if round%2 == 0 {
					x.Close()
				} else if fd, err := x.Detach(); err != nil {
					t.Error(err)
				} else {
					sysClose(fd)
				}
				users.Wait()
				y.SetBlocking(true)
				if rest, err := io.ReadAll(y); err == nil {
					for _, b := range rest {
						if b != mark {
							t.Error("a byte of another socket")
						}
					}
				}
				y.Close()
			}
		})
	}
	all.Wait()
}

// The descriptor that Detach gives away may be in blocking mode. A call that still has the socket would never return.
func TestDetachWaitsForTheCallsThatHaveBegun(t *testing.T) {
	for _, parked := range []bool{false, true} {
		x, y := tcpPair(t)
		if parked {
			x.SetTimeout(1)
			x.Recv(make([]byte, 1))
			x.SetBlocking(true)
		}
		if !x.acquire() { // a call has begun
			t.Fatal("closed")
		}
		var fd int
		detached := in(func() (err error) { fd, err = x.Detach(); return err })
		if !settled(x.closed) {
			t.Fatal("it is open still")
		}
		select {
		case <-detached:
			t.Errorf("parked %v: Detach returned during a call", parked)
			x.release()
			continue
		case <-time.After(20 * time.Millisecond):
		}
		x.release()
		noError(t, <-detached)
		y.Close()
		sysClose(fd)
	}
}

// useUntilClosed receives and sends on the socket, whose bytes all are the mark.
func useUntilClosed(t *testing.T, s *Socket, mark byte) {
	p := make([]byte, 1)
	for {
		n, err := s.Recv(p)
		if err == nil && n == 1 && p[0] != mark {
			t.Error("a byte of another socket")
		}
		if err == nil {
			_, err = s.Send([]byte{mark})
		}
		s.SetNoDelay(true)
		s.LocalAddr()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			t.Error(err)
			return
		}
	}
}

func TestForgottenSocketIsClosed(t *testing.T) {
	for _, parked := range []bool{false, true} {
		y := func() *Socket {
			x, y, err := Pair(AF_UNIX, SOCK_STREAM, 0)
			noError(t, err)
			if parked {
				x.SetTimeout(1)
				x.Recv(make([]byte, 1))
			}
			return y
		}()
		ended := in(func() error { _, err := y.Recv(make([]byte, 1)); return err })
		if !settled(func() bool {
			runtime.GC()
			return len(ended) > 0
		}) {
			t.Fatal("it is open still")
		}
		if err := <-ended; err != io.EOF {
			t.Error(err)
		}
		y.Close()
	}
}
