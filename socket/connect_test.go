package socket

import (
	"errors"
	"os"
	"syscall"
	"testing"
	"time"
)

// unusedPort returns an address where nobody listens.
func unusedPort(t *testing.T, family int) Addr {
	t.Helper()
	// Bound and not listening: nobody else can listen there meanwhile.
	s := made(t, family, SOCK_STREAM)
	host := "127.0.0.1:0"
	if family == AF_INET6 {
		host = "[::1]:0"
	}
	noError(t, s.Bind(parsed(t, host)))
	return localAddr(t, s)
}

func TestNonBlockingConnectCompletesByReadiness(t *testing.T) {
	l, to := listening(t, "127.0.0.1:0", nil)
	s := made(t, AF_INET, SOCK_STREAM)
	s.SetBlocking(false)
	if err := s.Connect(to); err != nil && !errors.Is(err, ErrInProgress) {
		t.Fatal(err)
	}
	ready(t, s, writable)
	noError(t, s.SocketError())
	peer, err := s.PeerAddr()
	if err != nil || peer != to {
		t.Error(peer, err)
	}
	accepted(t, l)
	if s.parked.Load() != nil {
		t.Error("a non-blocking connect went to the runtime's poller")
	}
}

func TestNonBlockingConnectFailsByReadiness(t *testing.T) {
	to := unusedPort(t, AF_INET)
	s := made(t, AF_INET, SOCK_STREAM)
	s.SetBlocking(false)
	err := s.Connect(to)
	if errors.Is(err, ErrInProgress) {
		if want := "connect " + to.String() + ": operation now in progress"; err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
		ready(t, s, writable)
		err = s.SocketError()
	}
	if !errors.Is(err, syscall.ECONNREFUSED) || err.Error() != "connect "+to.String()+": connection refused" {
		t.Error(err)
	}
}

func TestSocketErrorIsTakenAway(t *testing.T) {
	s := made(t, AF_INET, SOCK_STREAM)
	s.SetBlocking(false)
	if err := s.Connect(unusedPort(t, AF_INET)); errors.Is(err, ErrInProgress) {
		ready(t, s, writable)
		if s.SocketError() == nil {
			t.Error("a refused connect left no error")
		}
	}
	noError(t, s.SocketError())
}

func TestBlockingConnectGoesOnWithOneThatWasBegun(t *testing.T) {
	hole := blackHole(t, "127.0.0.1:0")
	s := made(t, AF_INET, SOCK_STREAM)
	s.SetBlocking(false)
	if err := s.Connect(hole); !errors.Is(err, ErrInProgress) {
		t.Fatal(err)
	}
	s.SetTimeout(10 * time.Millisecond)
	if err := s.Connect(hole); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
}

func TestRefusedConnectNamesTheAddress(t *testing.T) {
	for _, family := range []int{AF_INET, AF_INET6} {
		to := unusedPort(t, family)
		s := made(t, family, SOCK_STREAM)
		err := s.Connect(to)
		if !errors.Is(err, syscall.ECONNREFUSED) || err.Error() != "connect "+to.String()+": connection refused" {
			t.Error(err)
		}
	}
}

// A socket that is neither connected nor listening hangs up on the poller at once, and the poller speaks once of each
// change: what comes later must not be missed.
func TestSocketMayBeWaitedForBeforeItIsConnected(t *testing.T) {
	l, to := listening(t, "127.0.0.1:0", nil)
	for range 50 {
		s := made(t, AF_INET, SOCK_STREAM)
		noError(t, s.SetDeadline(time.Now().Add(time.Minute)))
		noError(t, s.Connect(to))
		y := accepted(t, l)
		got := in(func() error { _, err := s.Recv(make([]byte, 1)); return err })
		waitParked(t, "Recv", 1)
		y.Send([]byte("x"))
		noError(t, <-got)
		noError(t, s.Close())
		noError(t, y.Close())
	}
}

func TestSocketMayBeWaitedForBeforeItListens(t *testing.T) {
	s := made(t, AF_INET, SOCK_STREAM)
	noError(t, s.SetDeadline(time.Now().Add(time.Minute)))
	noError(t, s.Bind(parsed(t, "127.0.0.1:0")))
	noError(t, s.Listen(5))
	for range 3 {
		got := in(func() error {
			c, _, err := s.Accept()
			if err == nil {
				c.Close()
			}
			return err
		})
		waitParked(t, "Accept", 1)
		connectedTo(t, localAddr(t, s))
		noError(t, <-got)
	}
}

func TestConnectWaitsForAFullUnixBacklog(t *testing.T) {
	l, to := listening(t, t.TempDir()+"/s.sock", &ServerOptions{Backlog: 1})
	full := func() error {
		s := made(t, AF_UNIX, SOCK_STREAM)
		s.SetBlocking(false)
		return s.Connect(to)
	}
	for {
		if err := full(); err != nil {
			if !errors.Is(err, ErrWouldBlock) && !errors.Is(err, syscall.ECONNREFUSED) {
				t.Fatal(err)
			}
			break
		}
	}
	s := made(t, AF_UNIX, SOCK_STREAM)
	s.SetTimeout(5 * time.Millisecond)
	err := s.Connect(to)
	if errors.Is(err, syscall.ECONNREFUSED) {
		t.Skip("this system refuses when the backlog is full")
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}

	s.SetBlocking(true)
	done := in(func() error { return s.Connect(to) })
	waitParked(t, "Connect", 1)
	accepted(t, l)
	noError(t, <-done)
}

func TestConnectedDatagramHearsItsPeerAlone(t *testing.T) {
	x, xa := boundDatagram(t, AF_INET)
	y, ya := boundDatagram(t, AF_INET)
	z, _ := boundDatagram(t, AF_INET)
	noError(t, x.Connect(ya))
	if _, err := z.SendTo([]byte("stranger"), xa); err != nil && !errors.Is(err, syscall.ECONNREFUSED) {
		t.Fatal(err)
	}
	if _, err := y.SendTo([]byte("peer"), xa); err != nil {
		t.Fatal(err)
	}
	p := make([]byte, 10)
	n, from, err := x.RecvFrom(p)
	if err != nil || string(p[:n]) != "peer" || from != ya {
		t.Errorf("%q from %v, %v", p[:n], from, err)
	}
	if n, err := x.SendTo([]byte("back"), Addr{}); n != 4 || err != nil {
		t.Error(n, err)
	}
	if n, from, err := y.RecvFrom(p); err != nil || string(p[:n]) != "back" || from != xa {
		t.Errorf("%q from %v, %v", p[:n], from, err)
	}
}
