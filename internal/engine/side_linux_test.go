package engine

import (
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/switchboard-go/switchboard/internal/uring"
)

// A silent owner is told of nothing here.
type silent struct{ Owner }

func (silent) Rest(time.Duration)   {}
func (silent) Woken()               {}
func (silent) Acceptable(*Listener) {}

func newRing(t *testing.T) *completion {
	t.Helper()
	if err := checkRing(uring.Probe()); err != nil {
		t.Skip(err)
	}
	e, err := newCompletion(System.(ringKernel), silent{}, Config{ReadBuffer: 4096, Lines: new(Table)})
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(e.Close)
	return e.(*completion)
}

// Whoever stops and begins to accept for years leaves nothing behind each time.
func TestListeningAgainTakesTheSamePlace(t *testing.T) {
	e := newRing(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	ln := &Listener{FD: int(f.Fd())}
	for range 3 {
		if err := e.Listen(ln); err != nil {
			t.Fatal(err)
		}
		e.Unlisten(ln)
	}
	if n := len(e.side.listeners); n != 1 {
		t.Errorf("one listener has %d places", n)
	}
}

// A lookedAt kernel counts how often an epoll is asked what it has.
type lookedAt struct {
	ringKernel
	looks int
}

func (k *lookedAt) EpollLook(fd int, events []unix.EpollEvent) int {
	k.looks++
	return k.ringKernel.EpollLook(fd, events)
}

// When the ring says that the side has something, and only one listener is in it, nobody needs to ask who it is.
func TestOneListenerIsNotLookedFor(t *testing.T) {
	e := newRing(t)
	k := &lookedAt{ringKernel: e.kernel}
	e.kernel = k
	for want := range 2 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		f, err := l.(*net.TCPListener).File()
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := e.Listen(&Listener{FD: int(f.Fd())}); err != nil {
			t.Fatal(err)
		}
		k.looks = 0
		e.side.answer(e)
		if k.looks != want {
			t.Errorf("the epoll of %d listeners was looked at %d times", want+1, k.looks)
		}
	}
}

// The ring waits for room for output, and the side does once the peer has ended its own: a poll of the ring would be complete at once.
func TestWhoWaitsForRoom(t *testing.T) {
	e := newRing(t)
	for over, flags := range map[bool]lineFlags{false: 0, true: ended} {
		fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fds[0])
		defer unix.Close(fds[1])
		l := &Line{FD: int32(fds[0])}
		e.config.Lines.Add(l)
		l.state.set(flags)
		if err := e.Watch(l, Write); err != nil {
			t.Fatal(err)
		}
		polls, asks := l.state.flags&polling != 0, l.state.side == sideRoom
		if polls == over || asks != over {
			t.Errorf("input ended: %v. The ring polls: %v, the side waits: %v", over, polls, asks)
		}
	}
}
