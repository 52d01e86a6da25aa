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

	"golang.org/x/sys/unix"
)

const knock = 1 << 40 // the user data of a bell's own completions

func newBell(t testing.TB, r *Ring) *Bell {
	t.Helper()
	b, err := r.NewBell(knock)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// asleep waits until the bell's goroutine sleeps, or is about to.
func asleep(b *Bell) {
	for b.sleeps.Load() == awake {
		runtime.Gosched()
	}
}

// ways makes a Sleep block or park.
var ways = map[string]func(*Bell){
	"block": func(b *Bell) { b.last, b.blocks = 0, 0 },
	"park":  func(b *Bell) { b.last = shortSleep },
}

func TestCompletionsEndASleep(t *testing.T) {
	for name, flags := range setups {
		for way, prepare := range ways {
			t.Run(name+"/"+way, func(t *testing.T) {
				r := newRing(t, Config{Flags: flags})
				b := newBell(t, r)
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
						if err := b.Sleep(); err != nil {
							t.Fatal(err)
						}
						for c := range r.Completions {
							if c.UserData == knock {
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
				b := newBell(t, r)
				for range 300 {
					prepare(b)
					go func() {
						asleep(b)
						b.Ring()
					}()
					if err := b.Sleep(); err != nil {
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
	b := newBell(t, r)
	const ringers, each = 4, 2000
	var posted atomic.Int64
	var all sync.WaitGroup
	for range ringers {
		all.Go(func() {
			for range each {
				posted.Add(1)
				b.Ring()
				for range rand.IntN(50) {
					runtime.Gosched()
				}
			}
		})
	}
	for posted.Load() < ringers*each {
		if err := b.Sleep(); err != nil {
			t.Fatal(err)
		}
		for c := range r.Completions {
			if c.UserData != knock {
				t.Fatalf("%+v", c)
			}
			b.Heard(c)
		}
	}
	all.Wait()
}

func TestRingingWhoIsAwakeMakesNoSystemCall(t *testing.T) {
	r := newRing(t, Config{Flags: deferred})
	b := newBell(t, r)
	for range 3 {
		if err := b.Ring(); err != nil {
			t.Fatal(err)
		}
	}
	if readable(t, b.knockFD) {
		t.Fatal("a knock for who was awake")
	}
	if err := b.Sleep(); err != nil { // would not end
		t.Fatal(err)
	}
}

func TestCompletionsOfWhoIsAwakeAreNotSignalled(t *testing.T) {
	r := newRing(t, Config{Flags: deferred})
	b := newBell(t, r)
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

func TestSleepsParkWhenLongAndNowAndThen(t *testing.T) {
	r := newRing(t, Config{Flags: deferred})
	b := newBell(t, r)
	blocked := func() bool {
		before := b.blocks
		r.Next().Nop(1)
		if err := b.Sleep(); err != nil {
			t.Fatal(err)
		}
		for range r.Completions {
		}
		return b.blocks > before
	}
	b.last = shortSleep
	if blocked() {
		t.Fatal("blocked after a long sleep")
	}
	n := 0
	for b.last = 0; blocked(); b.last = 0 {
		n++
	}
	if n != blocksInARow {
		t.Fatalf("%d sleeps blocked in a row, want %d", n, blocksInARow)
	}
}

func TestClosedBellDoesNotSleep(t *testing.T) {
	r := newRing(t, Config{Flags: deferred})
	b := newBell(t, r)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	b.last = shortSleep
	if err := b.Sleep(); !errors.Is(err, os.ErrClosed) {
		t.Fatal(err)
	}
}

func TestRingHasOneBell(t *testing.T) {
	r := newRing(t, Config{Flags: deferred})
	newBell(t, r)
	before := descriptors(t)
	if _, err := r.NewBell(knock); !errors.Is(err, unix.EBUSY) {
		t.Fatal(err)
	}
	if after := descriptors(t); after != before {
		t.Fatalf("%d descriptors before, %d after", before, after)
	}
}

func TestBellNeedsToKnowWhatIsDue(t *testing.T) {
	r := newRing(t, Config{Flags: IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN})
	if _, err := r.NewBell(knock); err == nil || !strings.Contains(err.Error(), "TASKRUN_FLAG") {
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
			bell := newBell(b, r)
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
					prepare(bell)
					if err := bell.Sleep(); err != nil {
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
