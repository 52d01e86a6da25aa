package uring

import (
	"errors"
	"os"
	"runtime"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

func newBell(t testing.TB, r *Ring) *Bell {
	t.Helper()
	b, err := r.NewBell()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// parked waits until the bell's goroutine has parked.
func parked(b *Bell) {
	for !b.parked.Load() {
		runtime.Gosched()
	}
}

func TestBellWakesForCompletions(t *testing.T) {
	for name, flags := range setups {
		t.Run(name, func(t *testing.T) {
			r := newRing(t, Config{Flags: flags})
			b := newBell(t, r)
			fd, peer := pair(t)
			r.Next().PollMultishot(fd, unix.POLLIN, 1)
			for i := range 200 {
				b.Arm()
				if err := r.Submit(); err != nil {
					t.Fatal(err)
				}
				if r.Ready() > 0 {
					t.Fatal("a completion before the peer wrote")
				}
				go func() {
					if i%2 == 0 { // else it may come before
						parked(b)
					}
					peer.Write([]byte("x"))
				}()
				for got := 0; got == 0; {
					if err := b.Wait(); err != nil {
						t.Fatal(err)
					}
					if err := r.Submit(); err != nil {
						t.Fatal(err)
					}
					for range r.Completions {
						got++
					}
				}
				unix.Read(fd, make([]byte, 1))
			}
		})
	}
}

func TestBellWakesForWhoRings(t *testing.T) {
	r := newRing(t, Config{Flags: deferred})
	b := newBell(t, r)
	b.Arm()
	for range 200 {
		go func() {
			parked(b)
			b.Ring()
		}()
		if err := b.Wait(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRingBeforeWaitIsNotLost(t *testing.T) {
	r := newRing(t, Config{Flags: deferred})
	b := newBell(t, r)
	b.Arm()
	var ringers sync.WaitGroup
	for range 2000 {
		ringers.Go(func() { b.Ring() })
		if err := b.Wait(); err != nil { // would hang
			t.Fatal(err)
		}
		ringers.Wait()
		b.rung.Store(false)
	}
}

func TestDisarmedBellIsSilent(t *testing.T) {
	r := newRing(t, Config{Flags: deferred})
	b := newBell(t, r)
	signals := func() int {
		poll := []unix.PollFd{{Fd: int32(b.file.Fd()), Events: unix.POLLIN}}
		n, err := unix.Poll(poll, 0)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	r.Next().Nop(1)
	await(t, r, 1)
	if signals() != 0 {
		t.Fatal("signalled while disarmed")
	}
	b.Arm()
	r.Next().Nop(1)
	await(t, r, 1)
	if signals() != 1 {
		t.Fatal("not signalled while armed")
	}
}

func TestClosedBellWakesItsWaiter(t *testing.T) {
	r := newRing(t, Config{Flags: deferred})
	b := newBell(t, r)
	b.Arm()
	go func() {
		parked(b)
		b.file.Close()
	}()
	if err := b.Wait(); !errors.Is(err, os.ErrClosed) {
		t.Fatal(err)
	}
	if err := b.Ring(); err != nil {
		t.Fatal(err)
	}
}

func TestRingHasOneBell(t *testing.T) {
	r := newRing(t, Config{})
	newBell(t, r)
	if _, err := r.NewBell(); !errors.Is(err, unix.EBUSY) {
		t.Fatal(err)
	}
}
