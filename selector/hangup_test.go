package selector

import (
	"errors"
	"runtime"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard/internal/testsocket"
)

// streams makes the connections on which hangups are told apart; the caller closes both ends.
var streams = map[string]func(t testing.TB) (a, b int){
	"TCP over IPv4": tcp,
	"TCP over IPv6": func(t testing.TB) (a, b int) { return testsocket.TCP(t, "[::1]:0") },
	"Unix":          pair,
}

// eachHangup tests a promise about Hangup, registered alone and beside others, on every mechanism that has it.
func eachHangup(t *testing.T, promise func(t *testing.T, s *Selector, ev Events, a, b int)) {
	t.Helper()
	for name, stream := range streams {
		t.Run(name, func(t *testing.T) {
			for _, ev := range []Events{Hangup, Hangup | Read, Hangup | Write, Hangup | Read | Write} {
				t.Run(ev.String(), func(t *testing.T) {
					each(t, func(t *testing.T, s *Selector) {
						if !s.hangs() {
							t.Skip("it says so to whoever registers it")
						}
						a, b := stream(t)
						owned(t, b)
						promise(t, s, ev, a, b)
					})
				})
			}
		})
	}
}

// hangs tells whether the mechanism knows Hangup.
func (s *Selector) hangs() bool {
	return s.Mechanism() != "select" && (s.Mechanism() != "poll" || pollHangs)
}

// hangsUp waits until Hangup is reported for fd, and looks that it is again.
func hangsUp(t testing.TB, s *Selector, fd int) {
	t.Helper()
	for told := 0; told < 3; {
		ready, err := s.Select(-1)
		must(t, err)
		for _, r := range ready {
			if r.Key.FD == fd && r.Events&Hangup != 0 {
				told++
			}
		}
	}
}

// quiet fails if Hangup is reported for fd, or a wait for nothing else takes more than a few looks.
func quiet(t testing.TB, s *Selector, fd int, ev Events) {
	t.Helper()
	for range 3 {
		ready, err := s.Select(0)
		must(t, err)
		for _, r := range ready {
			if r.Key.FD == fd && r.Events&Hangup != 0 {
				t.Fatalf("reported %v", r)
			}
		}
	}
	must(t, s.Modify(fd, Hangup, nil))
	if looks := looksDuring(s, func() { selects(t, s, 10*time.Millisecond) }); looks > 5 {
		t.Errorf("one wait took %d looks", looks)
	}
	must(t, s.Modify(fd, ev, nil))
}

func TestResetIsAHangup(t *testing.T) {
	eachHangup(t, func(t *testing.T, s *Selector, ev Events, a, b int) {
		register(t, s, b, ev, nil)
		quiet(t, s, b, ev)
		must(t, testsocket.Reset(a))
		hangsUp(t, s, b)
		_, err := s.Unregister(b)
		must(t, err)
		register(t, s, b, ev, nil) // one that has hung up before it is registered
		hangsUp(t, s, b)
		must(t, s.Modify(b, Hangup, nil))
		selects(t, s, -1, Ready{Key{b, Hangup, nil}, Hangup})
		must(t, s.Modify(b, Write, nil)) // who does not ask is told as ever
		selects(t, s, -1, Ready{Key{b, Write, nil}, Write})
	})
}

// The peer has said all, and still receives; then it is gone, which no read is there to find.
func TestHalfCloseIsNoHangupAndTheResetAfterItIs(t *testing.T) {
	eachHangup(t, func(t *testing.T, s *Selector, ev Events, a, b int) {
		register(t, s, b, ev, nil)
		must(t, testsocket.ShutdownWrite(a))
		settle(t, b, pollIn|pollHup)
		quiet(t, s, b, ev)
		if n, err := testsocket.Read(b, one[:]); n != 0 || err != nil {
			t.Fatalf("read %d, %v", n, err)
		}
		_, err := s.Unregister(b)
		must(t, err)
		register(t, s, b, ev, nil) // one whose input has ended before it is registered
		quiet(t, s, b, ev)
		write(t, b, "it still receives")
		quiet(t, s, b, ev)
		must(t, testsocket.Reset(a))
		hangsUp(t, s, b)
	})
}

func TestOwnHalfCloseIsNoHangupUntilThePeersFollows(t *testing.T) {
	eachHangup(t, func(t *testing.T, s *Selector, ev Events, a, b int) {
		defer testsocket.Close(a)
		register(t, s, b, ev, nil)
		must(t, testsocket.ShutdownWrite(b))
		settle(t, a, pollIn|pollHup)
		quiet(t, s, b, ev)
		write(t, a, "to one who still receives")
		settle(t, b, pollIn|pollHup)
		quiet(t, s, b, ev)
		must(t, testsocket.ShutdownWrite(a))
		if s.Mechanism() == "afd" {
			settle(t, b, pollIn|pollHup)
			quiet(t, s, b, ev) // AFD knows resets only
			return
		}
		hangsUp(t, s, b)
	})
}

func TestClosedUnixPeerIsAHangup(t *testing.T) {
	each(t, func(t *testing.T, s *Selector) {
		if !s.hangs() || runtime.GOOS == "windows" {
			t.Skip("it says so to whoever registers it")
		}
		a, b := pair(t)
		owned(t, b)
		register(t, s, b, Hangup, nil)
		quiet(t, s, b, Hangup)
		testsocket.Close(a)
		hangsUp(t, s, b)
	})
}

// An error is Except only where nothing else is there to report it.
func TestHangupIsNotCalledExceptional(t *testing.T) {
	each(t, func(t *testing.T, s *Selector) {
		if !s.hangs() || s.excepts() == 0 {
			t.Skip("it says so to whoever registers it")
		}
		a, b := tcp(t)
		owned(t, b)
		register(t, s, b, Except|Hangup, nil)
		must(t, testsocket.Reset(a))
		selects(t, s, -1, Ready{Key{b, Except | Hangup, nil}, Hangup})
	})
}

func TestMechanismWithoutHangupSaysSo(t *testing.T) {
	each(t, func(t *testing.T, s *Selector) {
		a, b := pair(t)
		owned(t, a, b)
		if s.hangs() {
			register(t, s, a, Hangup, nil)
			return
		}
		if err := s.Register(a, Read|Hangup, nil); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("registered: %v", err)
		}
		register(t, s, a, Read, nil)
		if err := s.Modify(a, Hangup, nil); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("modified: %v", err)
		}
		write(t, b, "x")
		selects(t, s, -1, Ready{Key{a, Read, nil}, Read})
	})
}

// What was forgotten and not closed leaves nothing behind that changes how the next registration is served.
func TestForgottenHangupIsHarmless(t *testing.T) {
	each(t, func(t *testing.T, s *Selector) {
		if !s.hangs() {
			t.Skip("it says so to whoever registers it")
		}
		a, b := pair(t)
		owned(t, a, b)
		write(t, a, "x")
		for range 2 {
			register(t, s, b, Hangup, nil)
			quiet(t, s, b, Hangup)
			_, err := s.Forget(b)
			must(t, err)
			register(t, s, b, Read, nil)
			for range 3 {
				selects(t, s, -1, Ready{Key{b, Read, nil}, Read})
			}
			_, err = s.Forget(b)
			must(t, err)
		}
	})
}

// A mechanism that is told of an end once must not lose it to a change of the registration that comes between.
func TestHangupIsNotLostToAChange(t *testing.T) {
	each(t, func(t *testing.T, s *Selector) {
		if !s.hangs() || s.excepts() == 0 {
			t.Skip("it has not both")
		}
		a, b := tcp(t)
		owned(t, b)
		register(t, s, b, Hangup, nil)
		inner := s.mechanism
		s.mechanism = &actsAfterWait{inner, func() {
			s.mechanism = inner
			must(t, s.Modify(b, Hangup|Except, nil))
		}}
		must(t, testsocket.Reset(a))
		selects(t, s, -1, Ready{Key{b, Hangup | Except, nil}, Hangup})
	})
}
