package uring

import (
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const wakeUser = 1 << 40 // the user data of a waker's own completions

func newWaker(t testing.TB, r *Ring) *Waker {
	t.Helper()
	b, err := r.NewWaker(wakeUser)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// asleep waits until the waker's goroutine sleeps, or is about to.
func asleep(b *Waker) {
	for b.sleeps.Load() == awake {
		runtime.Gosched()
	}
}

// ways makes a Sleep block or park.
var ways = map[string]func(*Waker){
	"block": func(b *Waker) { b.last, b.woke = 0, time.Since(b.begun) },
	"park":  func(b *Waker) { b.last = shortSleep },
}

func TestCompletionsEndASleep(t *testing.T) {
	for name, flags := range setups {
		for way, prepare := range ways {
			t.Run(name+"/"+way, func(t *testing.T) {
				r := newRing(t, Config{Flags: flags})
				b := newWaker(t, r)
				fd, peer := pair(t)
				r.Next().PollMultishot(fd, unix.POLLIN, 1)
				for i := range 300 {
					go func() {
						if i%2 == 0 { // else it may come before
							asleep(b)
						}
						peer.Write([]byte("x"))
					}()
					for got := 0; got == 0; {
						prepare(b)
						if err := b.Sleep(-1); err != nil {
							t.Fatal(err)
						}
						for c := range r.Completions {
							if c.UserData == wakeUser {
								t.Fatalf("nobody rang: %+v", c)
							}
							got++
						}
					}
					unix.Read(fd, make([]byte, 1))
				}
			})
		}
	}
}

func TestRingingEndsASleep(t *testing.T) {
	for name, flags := range setups {
		for way, prepare := range ways {
			t.Run(name+"/"+way, func(t *testing.T) {
				r := newRing(t, Config{Flags: flags})
				b := newWaker(t, r)
				for range 300 {
					prepare(b)
					go func() {
						asleep(b)
						b.Wake()
					}()
					if err := b.Sleep(-1); err != nil {
						t.Fatal(err)
					}
					for c := range r.Completions {
						b.Heard(c)
					}
				}
			})
		}
	}
}

// Whatever the moment: each ring is noticed. Were one lost, the last Sleep would not end.
func TestNoRingIsLost(t *testing.T) {
	r := newRing(t, Config{Flags: deferred})
	b := newWaker(t, r)
	const ringers, each = 4, 2000
	var posted atomic.Int64
	var all sync.WaitGroup
	for range ringers {
		all.Go(func() {
			for range each {
				posted.Add(1)
				b.Wake()
				for range rand.IntN(50) {
					runtime.Gosched()
				}
			}
		})
	}
	for posted.Load() < ringers*each {
		if err := b.Sleep(-1); err != nil {
			t.Fatal(err)
		}
		for c := range r.Completions {
			if c.UserData != wakeUser {
				t.Fatalf("%+v", c)
			}
			b.Heard(c)
		}
	}
	all.Wait()
}

func TestRingingWhoIsAwakeMakesNoSystemCall(t *testing.T) {
	r := newRing(t, Config{Flags: deferred})
	b := newWaker(t, r)
	for range 3 {
		if err := b.Wake(); err != nil {
			t.Fatal(err)
		}
	}
	if readable(t, b.wakeFD) {
		t.Fatal("a wakeUser for who was awake")
	}
	if err := b.Sleep(-1); err != nil { // would not end
		t.Fatal(err)
	}
}

func TestCompletionsOfWhoIsAwakeAreNotSignalled(t *testing.T) {
	r := newRing(t, Config{Flags: deferred})
	b := newWaker(t, r)
	signals := int(b.signals.Fd()) // makes it blocking: no more parking
	r.Next().Nop(1)
	await(t, r, 1)
	if readable(t, signals) {
		t.Fatal("signalled to who was awake")
	}
	b.signal(true)
	r.Next().Nop(1)
	await(t, r, 1)
	if !readable(t, signals) {
		t.Fatal("not signalled to who parks")
	}
}

func readable(t *testing.T, fd int) bool {
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
	if err != nil {
		t.Fatal(err)
	}
	return n == 1
}

func TestSleepParksAfterALongOneAndNowAndThen(t *testing.T) {
	r := newRing(t, Config{Flags: deferred})
	b := newWaker(t, r)
	parks := func() bool {
		before := b.woke
		r.Next().Nop(1)
		if err := b.Sleep(-1); err != nil {
			t.Fatal(err)
		}
		for range r.Completions {
		}
		return b.woke != before
	}
	const spare, none = 1 << 20, 0 // of Ps
	now := func() time.Duration { return time.Since(b.begun) }
	for _, c := range []struct {
		what       string
		procs      int32
		last, woke time.Duration // woke: how long ago
		parks      bool
	}{
		{"a long sleep", spare, shortSleep, 0, true},
		{"a short sleep", spare, shortSleep / 2, time.Hour, false},
		{"a short sleep, no P to spare", none, veryShortSleep, 0, true},
		{"a very short sleep, no P to spare", none, veryShortSleep / 2, 0, false},
		{"a very short sleep, no P to spare, long since it parked", none, veryShortSleep / 2, blockFor, true},
	} {
		b.procs, b.looked = c.procs, now()
		b.last, b.woke = c.last, now()-c.woke
		if parks() != c.parks {
			t.Errorf("after %s: want parking %v", c.what, c.parks)
		}
	}
	if n := blocking.Load(); n != 0 {
		t.Errorf("%d wakers are thought to block", n)
	}
}

func TestClosedWakerDoesNotSleep(t *testing.T) {
	r := newRing(t, Config{Flags: deferred})
	b := newWaker(t, r)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	b.last = shortSleep
	if err := b.Sleep(-1); !errors.Is(err, os.ErrClosed) {
		t.Fatal(err)
	}
}

func TestRingHasOneWaker(t *testing.T) {
	r := newRing(t, Config{Flags: deferred})
	newWaker(t, r)
	before := descriptors(t)
	if _, err := r.NewWaker(wakeUser); !errors.Is(err, unix.EBUSY) {
		t.Fatal(err)
	}
	if after := descriptors(t); after != before {
		t.Fatalf("%d descriptors before, %d after", before, after)
	}
}

func TestWakerNeedsToKnowWhatIsDue(t *testing.T) {
	r := newRing(t, Config{Flags: IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN})
	if _, err := r.NewWaker(wakeUser); err == nil || !strings.Contains(err.Error(), "TASKRUN_FLAG") {
		t.Fatal(err)
	}
}

// BenchmarkSleep is a message to and fro between two goroutines, of which one sleeps in a ring.
func BenchmarkSleep(b *testing.B) {
	for way, prepare := range ways {
		b.Run(way, func(b *testing.B) {
			r := newRing(b, Config{Flags: deferred}, IncrementalBuffers, DeferTaskrun)
			bufs, err := r.NewBuffers(0, 8, 1<<12, Incremental)
			if err != nil {
				b.Fatal(err)
			}
			waker := newWaker(b, r)
			fd, peer := pair(b)
			r.Next().RecvMultishot(fd, bufs, 1)
			go func() {
				p := make([]byte, 1)
				for {
					if _, err := peer.Write(p); err != nil {
						return
					}
					if _, err := io.ReadFull(peer, p); err != nil {
						return
					}
				}
			}()
			b.ReportAllocs()
			for b.Loop() {
				for got := false; !got; {
					prepare(waker)
					if err := waker.Sleep(-1); err != nil {
						b.Fatal(err)
					}
					for c := range r.Completions {
						bufs.Bytes(c)
						bufs.Release(c)
						got = true
					}
				}
				unix.Write(fd, []byte{0})
			}
		})
	}
}
