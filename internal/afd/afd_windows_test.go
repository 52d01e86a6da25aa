package afd_test

import (
	"errors"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/windows"

	"github.com/switchboard-go/switchboard/internal/afd"
	"github.com/switchboard-go/switchboard/internal/testsocket"
)

const patience = time.Minute

const every = afd.Receive | afd.Expedited | afd.Send | afd.Disconnect | afd.Abort | afd.Accept | afd.ConnectFail

func open(t *testing.T) *afd.Port {
	t.Helper()
	p, err := afd.Open()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func closed(t *testing.T, p *afd.Port) {
	t.Helper()
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
}

func newPoll(t *testing.T, p *afd.Port, owner any) *afd.Poll {
	t.Helper()
	poll, err := p.NewPoll(owner)
	if err != nil {
		t.Fatal(err)
	}
	return poll
}

func arm(t *testing.T, poll *afd.Poll, fd int, events uint32) {
	t.Helper()
	base, err := afd.Base(fd)
	if err == nil {
		err = poll.Arm(base, events)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// next waits for one completion, and returns its poll; nil for a Wake.
func next(t *testing.T, p *afd.Port) *afd.Poll {
	t.Helper()
	var one [1]afd.Completion
	n, err := p.Wait(one[:], patience)
	if err != nil || n != 1 {
		t.Fatalf("%d completions, %v", n, err)
	}
	return p.Poll(&one[0])
}

// nothing makes sure that no completion is there.
func nothing(t *testing.T, p *afd.Port) {
	t.Helper()
	var one [1]afd.Completion
	if n, err := p.Wait(one[:], 20*time.Millisecond); err != nil || n != 0 {
		t.Fatalf("%d completions, %v, want none", n, err)
	}
}

func TestAPollTellsWhatHasHappened(t *testing.T) {
	pair := func(t *testing.T) (fd, peer int) { return testsocket.Pair(t) }
	for name, c := range map[string]struct {
		make   func(t *testing.T) (fd, other int)
		happen func(t *testing.T, other int) error
		ask    uint32
		want   uint32
	}{
		"bytes can be sent": {pair, nil, afd.Send | afd.Receive, afd.Send},
		"bytes have come": {pair, func(_ *testing.T, peer int) error {
			_, err := testsocket.Write(peer, []byte("x"))
			return err
		}, afd.Receive | afd.Disconnect | afd.Accept, afd.Receive},
		"an urgent byte has come": {pair, func(_ *testing.T, peer int) error { return testsocket.SendUrgent(peer, '!') },
			afd.Expedited, afd.Expedited},
		"the peer has ended its output": {pair, func(_ *testing.T, peer int) error { return testsocket.ShutdownWrite(peer) },
			afd.Disconnect | afd.Expedited, afd.Disconnect},
		"the peer has reset the connection": {pair, func(_ *testing.T, peer int) error { return testsocket.Reset(peer) },
			afd.Abort, afd.Abort},
		"a client has come": {func(t *testing.T) (int, int) {
			l, _ := testsocket.Listen(t, "127.0.0.1:0")
			return l, l
		}, func(t *testing.T, l int) error {
			client := testsocket.Connecting(t, l)
			t.Cleanup(func() { testsocket.Close(client) })
			return nil
		}, afd.Accept | afd.Disconnect, afd.Accept},
		"a connect has succeeded": {func(t *testing.T) (int, int) {
			l, _ := testsocket.Listen(t, "127.0.0.1:0")
			return testsocket.Connecting(t, l), l
		}, nil, afd.Send | afd.ConnectFail, afd.Send},
		"a connect was refused": {func(t *testing.T) (int, int) {
			nobody := testsocket.Bound(t)
			return testsocket.Connecting(t, nobody), nobody
		}, nil, afd.ConnectFail, afd.ConnectFail},
	} {
		t.Run(name, func(t *testing.T) {
			p := open(t)
			defer closed(t, p)
			fd, other := c.make(t)
			defer testsocket.Close(fd)
			if other != fd {
				defer testsocket.Close(other)
			}
			poll := newPoll(t, p, t)
			arm(t, poll, fd, c.ask)
			if c.happen != nil {
				nothing(t, p)
				if !poll.Pending() {
					t.Fatal("the poll is not pending")
				}
				if err := c.happen(t, other); err != nil {
					t.Fatal(err)
				}
			}
			if got := next(t, p); got != poll || got.Owner != t || got.Pending() {
				t.Fatalf("another poll completed, or is pending still: %+v", got)
			}
			if got := poll.Events() & c.ask; got != c.want {
				t.Errorf("%#x happened, want %#x", got, c.want)
			}
		})
	}
}

// A poll completes once. What has not been taken completes the next one.
func TestAPollCompletesOnceEachTimeItIsArmed(t *testing.T) {
	p := open(t)
	defer closed(t, p)
	a, b := testsocket.Pair(t)
	defer testsocket.Close(a)
	defer testsocket.Close(b)
	poll := newPoll(t, p, nil)
	if _, err := testsocket.Write(b, []byte("xy")); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		arm(t, poll, a, afd.Receive)
		if next(t, p) != poll || poll.Events() != afd.Receive {
			t.Fatalf("%#x happened", poll.Events())
		}
		nothing(t, p)
	}
	if _, err := testsocket.Read(a, make([]byte, 2)); err != nil {
		t.Fatal(err)
	}
	arm(t, poll, a, afd.Receive)
	nothing(t, p)
}

func TestACancelledPollHasNoEvents(t *testing.T) {
	p := open(t)
	defer closed(t, p)
	a, b := testsocket.Pair(t)
	defer testsocket.Close(a)
	defer testsocket.Close(b)
	poll := newPoll(t, p, nil)
	for range 3 {
		arm(t, poll, a, afd.Receive)
		poll.Cancel()
		if next(t, p) != poll || poll.Events() != 0 {
			t.Fatalf("%#x happened", poll.Events())
		}
	}
	poll.Cancel() // one that is not pending
	arm(t, poll, a, afd.Receive|afd.Send)
	if next(t, p) != poll || poll.Events() != afd.Send {
		t.Errorf("%#x happened", poll.Events())
	}
	p.Free(poll)
}

// Whoever closes a socket gets its poll back: what the kernel writes to must not be used anew before.
func TestClosingASocketEndsItsPoll(t *testing.T) {
	p := open(t)
	defer closed(t, p)
	a, b := testsocket.Pair(t)
	defer testsocket.Close(b)
	poll := newPoll(t, p, nil)
	arm(t, poll, a, afd.Receive)
	if err := testsocket.Close(a); err != nil {
		t.Fatal(err)
	}
	if next(t, p) != poll || poll.Events()&^afd.LocalClose != 0 && poll.Events() != afd.Abort {
		t.Errorf("%#x happened", poll.Events())
	}
}

func TestOnlyOpenSocketsCanBePolled(t *testing.T) {
	p := open(t)
	defer closed(t, p)
	file, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	poll := newPoll(t, p, nil)
	base, err := afd.Base(int(file.Fd()))
	if err == nil { // Wine says it when the file is polled
		err = poll.Arm(base, afd.Receive)
	}
	if err == nil || poll.Pending() {
		t.Errorf("a file was polled: %v", err)
	}
	a, b := testsocket.Pair(t)
	defer testsocket.Close(b)
	if base, err = afd.Base(a); err != nil {
		t.Fatal(err)
	}
	testsocket.Close(a)
	if err := poll.Arm(base, afd.Receive); err == nil || poll.Pending() {
		t.Errorf("a socket that is closed was polled: %v", err)
	}
	nothing(t, p)
	if _, err := afd.Base(a); !errors.Is(err, windows.WSAENOTSOCK) {
		t.Errorf("the base of a closed socket: %v", err)
	}
}

func TestWakeEndsAWait(t *testing.T) {
	p := open(t)
	defer closed(t, p)
	if err := p.Wake(); err != nil { // the next Wait
		t.Fatal(err)
	}
	if poll := next(t, p); poll != nil {
		t.Error("a poll completed that nobody has armed")
	}
	woken := make(chan error)
	for range 50 { // one under way, as far as goroutines can tell
		go func() { woken <- p.Wake() }()
		if next(t, p) != nil {
			t.Error("a poll completed that nobody has armed")
		}
		if err := <-woken; err != nil {
			t.Fatal(err)
		}
	}
	nothing(t, p)
}

// More sockets than share a handle of AFD: each has its own completion, and completions come in batches.
func TestManySocketsShareAPort(t *testing.T) {
	const many = 100
	p := open(t)
	defer closed(t, p)
	polls := map[*afd.Poll]bool{}
	for i := range many {
		a, b := testsocket.Pair(t)
		defer testsocket.Close(a)
		defer testsocket.Close(b)
		poll := newPoll(t, p, i)
		if polls[poll] {
			t.Fatal("a poll was given twice")
		}
		polls[poll] = true
		arm(t, poll, a, every)
	}
	seen := map[any]bool{}
	var some [30]afd.Completion
	for len(seen) < many {
		n, err := p.Wait(some[:], patience)
		if err != nil || n == 0 {
			t.Fatalf("%d of %d completions, %v", len(seen), many, err)
		}
		for i := range some[:n] {
			poll := p.Poll(&some[i])
			if poll == nil || seen[poll.Owner] || poll.Events() != afd.Send {
				t.Fatalf("an odd completion: %+v", poll)
			}
			seen[poll.Owner] = true
		}
	}
	for poll := range polls {
		p.Free(poll)
	}
	for range many {
		if poll := newPoll(t, p, nil); !polls[poll] {
			t.Fatal("polls that were freed are not given again")
		}
	}
}

func TestCloseEndsPollsAndLeavesTheirSockets(t *testing.T) {
	a, b := testsocket.Pair(t)
	defer testsocket.Close(a)
	defer testsocket.Close(b)
	for range 3 {
		p := open(t)
		for range 40 { // of one socket, on two handles
			arm(t, newPoll(t, p, nil), a, afd.Receive|afd.Disconnect)
		}
		closed(t, p)
	}
	if _, err := testsocket.Write(b, []byte("x")); err != nil {
		t.Fatal(err)
	}
	p := open(t)
	defer closed(t, p)
	poll := newPoll(t, p, nil)
	arm(t, poll, a, afd.Receive)
	if next(t, p) != poll || poll.Events() != afd.Receive {
		t.Errorf("%#x happened", poll.Events())
	}
}
