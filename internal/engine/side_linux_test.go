package engine

import (
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/switchboard-go/switchboard/internal/buffer"
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

// The batch of a turn is bounded by its arena, by batchMost for a line, and by one part for each.
func TestBatchIsBounded(t *testing.T) {
	e := newRing(t)
	l := &Line{FD: -1}
	e.config.Lines.Add(l)
	var q buffer.Queue
	if e.Batch(l, &q, make([]byte, batchMost+1)) {
		t.Error("a batch takes more of a line than batchMost")
	}
	if !e.Batch(l, &q, make([]byte, batchMost)) {
		t.Error("a batch does not take batchMost")
	}
	if e.Batch(l, &q, []byte("x")) {
		t.Error("a line is in the batch twice")
	}
	for range arenaSize/batchMost - 1 {
		other := &Line{FD: -1}
		e.config.Lines.Add(other)
		if !e.Batch(other, &q, make([]byte, batchMost)) {
			t.Error("the arena is not used to its end")
		}
	}
	other := &Line{FD: -1}
	e.config.Lines.Add(other)
	if e.Batch(other, &q, []byte("x")) {
		t.Error("a batch takes more than its arena holds")
	}
}

// A line that brings more than ReadBuffer in one turn is read once a turn from then on. What other lines bring in between is
// not counted.
func TestALineThatBringsMuchIsReadOnceATurn(t *testing.T) {
	e := newRing(t)
	one, other := &Line{FD: -1}, &Line{FD: -1}
	bring := func(l *Line, n int32) bool {
		e.bound(l, uring.CQE{Res: n})
		return l.state.flags&flooding != 0
	}
	most := int32(e.config.ReadBuffer)
	if bring(one, most) || bring(other, most) || bring(one, 1) || bring(one, most-1) {
		t.Error("a line is read once a turn that has brought no more than ReadBuffer in a row")
	}
	if !bring(one, 1) {
		t.Error("a line that has brought more than ReadBuffer in a row is not read once a turn")
	}
}
