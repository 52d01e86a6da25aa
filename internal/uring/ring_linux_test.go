package uring

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const deferred = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG

// newRing makes a ring for a test whose goroutine it locks to its thread, and skips where the kernel has none such.
func newRing(t testing.TB, c Config, need ...Feature) *Ring {
	t.Helper()
	if err := Probe().Require(need...); err != nil {
		t.Skip(err)
	}
	runtime.LockOSThread()
	r, err := New(c)
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil && err != unix.EBADF {
			t.Error(err)
		}
		runtime.UnlockOSThread()
	})
	return r
}

// await waits for n completions and returns them.
func await(t testing.TB, r *Ring, n int) []CQE {
	t.Helper()
	var got []CQE
	for end := time.Now().Add(10 * time.Second); len(got) < n; {
		if err := r.Wait(1, time.Second); err != nil {
			t.Fatal(err)
		}
		for c := range r.Completions {
			got = append(got, c)
		}
		if time.Now().After(end) {
			t.Fatalf("%d completions of %d: %+v", len(got), n, got)
		}
	}
	return got
}

// pair is a connected pair of stream sockets, the first not blocking.
func pair(t testing.TB) (ours int, theirs *os.File) {
	t.Helper()
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range p {
		unix.SetNonblock(fd, true)
	}
	theirs = os.NewFile(uintptr(p[1]), "peer")
	t.Cleanup(func() { unix.Close(p[0]); theirs.Close() })
	return p[0], theirs
}

// peer is the path of a program that a test talks to.
func peer(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	return path
}

// setups are the ways of making a ring that differ in when completions are run.
var setups = map[string]uint32{
	"interrupting": 0,
	"cooperative":  IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
	"deferred":     deferred,
}

func TestEntriesCompleteInOrder(t *testing.T) {
	for name, flags := range setups {
		t.Run(name, func(t *testing.T) {
			r := newRing(t, Config{Entries: 8, Flags: flags})
			for round := range uint64(100) { // the queues wrap around
				for i := range uint64(5) {
					r.Next().Nop(round<<8 | i)
				}
				if err := r.Submit(); err != nil {
					t.Fatal(err)
				}
				i := uint64(0)
				for c := range r.Completions {
					if c.UserData != round<<8|i || c.Res != 0 || c.More() || c.Err() != nil {
						t.Fatalf("completion %d of round %d: %+v", i, round, c)
					}
					i++
				}
				if i != 5 {
					t.Fatalf("%d completions, want 5", i)
				}
			}
		})
	}
}

func TestFullSubmissionQueueGivesNoEntryUntilSubmit(t *testing.T) {
	r := newRing(t, Config{Entries: 4})
	for i := range 4 {
		if r.Room() != 4-i || r.Queued() != i {
			t.Fatalf("room %d and %d queued after %d", r.Room(), r.Queued(), i)
		}
		r.Next().Nop(uint64(i))
	}
	if r.Next() != nil {
		t.Fatal("a fifth entry of four")
	}
	if err := r.Submit(); err != nil {
		t.Fatal(err)
	}
	if r.Room() != 4 {
		t.Fatalf("room %d after Submit", r.Room())
	}
	r.Next().Nop(4)
	if got := await(t, r, 5); got[4].UserData != 4 {
		t.Fatalf("%+v", got)
	}
}

func TestRefusedEntryDoesNotStopTheNext(t *testing.T) {
	r := newRing(t, Config{Flags: IORING_SETUP_SUBMIT_ALL}, SubmitAll)
	*r.Next() = SQE{Opcode: 255, UserData: 1}
	r.Next().Nop(2)
	got := await(t, r, 2)
	if got[0].Err() != unix.EINVAL || got[1].Err() != nil {
		t.Fatalf("%+v", got)
	}
}

func TestOverflowLosesNoCompletion(t *testing.T) {
	for name, flags := range setups {
		t.Run(name, func(t *testing.T) {
			r := newRing(t, Config{Entries: 4, Completions: 8, Flags: flags}, NoDrop)
			const n = 100
			for i := range uint64(n) {
				for r.Room() == 0 {
					if err := r.Submit(); err != nil {
						t.Fatal(err)
					}
				}
				r.Next().Nop(i)
			}
			if err := r.Submit(); err != nil {
				t.Fatal(err)
			}
			if !r.Due() || !r.Overflowing() || r.Ready() != 8 {
				t.Fatalf("due %v, overflowing %v, %d ready", r.Due(), r.Overflowing(), r.Ready())
			}
			for i, c := range await(t, r, n) {
				if c.UserData != uint64(i) {
					t.Fatalf("completion %d is of entry %d", i, c.UserData)
				}
			}
			if r.Overflowing() || r.Lost() != 0 {
				t.Fatalf("overflowing %v, %d lost", r.Overflowing(), r.Lost())
			}
		})
	}
}

func TestPeekAndABrokenOffPassLeaveTheRest(t *testing.T) {
	r := newRing(t, Config{})
	for i := range uint64(3) {
		r.Next().Nop(i)
	}
	if err := r.Submit(); err != nil {
		t.Fatal(err)
	}
	for range r.Peek {
	}
	for range r.Completions {
		break
	}
	if got := await(t, r, 2); got[0].UserData != 1 || got[1].UserData != 2 {
		t.Fatalf("%+v", got)
	}
}

func TestTimedWaitEnds(t *testing.T) {
	for name, flags := range setups {
		t.Run(name, func(t *testing.T) {
			r := newRing(t, Config{Flags: flags}, TimedWait)
			// A signal of the Go runtime may end it early, but nothing ends it late.
			start := time.Now()
			if err := r.Wait(1, 20*time.Millisecond); err != nil {
				t.Fatal(err)
			}
			if d := time.Since(start); d > 5*time.Second || r.Ready() != 0 {
				t.Fatalf("%v, %d ready", d, r.Ready())
			}
		})
	}
}

func TestWaitTakesUpWhatHappensMeanwhile(t *testing.T) {
	for name, flags := range setups {
		t.Run(name, func(t *testing.T) {
			r := newRing(t, Config{Flags: flags})
			fd, peer := pair(t)
			r.Next().Poll(fd, unix.POLLIN, 7)
			go peer.Write([]byte("x"))
			if got := await(t, r, 1); got[0].UserData != 7 || got[0].Res&unix.POLLIN == 0 {
				t.Fatalf("%+v", got)
			}
		})
	}
}

func TestRegisteredDescriptorEnters(t *testing.T) {
	r := newRing(t, Config{Flags: deferred}, RegisteredRing)
	if err := r.RegisterFD(); err != nil {
		t.Fatal(err)
	}
	r.Next().Nop(1)
	await(t, r, 1)
}

func TestSingleIssuerRefusesAnotherThread(t *testing.T) {
	r := newRing(t, Config{Flags: deferred}, DeferTaskrun)
	failed := make(chan error)
	go func() {
		runtime.LockOSThread()
		failed <- r.Submit() // the thread ends with this goroutine
	}()
	if err := <-failed; !errors.Is(err, unix.EEXIST) || !strings.Contains(err.Error(), "LockOSThread") {
		t.Fatal(err)
	}
}

func TestDisabledRingIsItsEnablersThread(t *testing.T) {
	if err := Probe().Require(DeferTaskrun); err != nil {
		t.Skip(err)
	}
	r, err := New(Config{Flags: deferred | IORING_SETUP_R_DISABLED})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		err := r.Enable()
		if err == nil {
			r.Next().Nop(1)
			err = r.Wait(1, -1)
		}
		done <- errors.Join(err, r.Close())
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestCloseLetsGoOfEverything(t *testing.T) {
	for name, flags := range setups {
		t.Run(name, func(t *testing.T) {
			fd, peer := pair(t)
			before := descriptors(t)
			r := newRing(t, Config{Flags: flags}, BufferRing, MultishotRecv, RegisteredRing)
			if err := r.RegisterFD(); err != nil {
				t.Fatal(err)
			}
			b, err := r.NewBuffers(0, 4, 4096, Whole)
			if err != nil {
				t.Fatal(err)
			}
			r.Next().RecvMultishot(fd, b, 1)
			if err := r.Submit(); err != nil {
				t.Fatal(err)
			}
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			if err := r.Close(); err != unix.EBADF {
				t.Fatalf("second Close: %v", err)
			}
			if after := descriptors(t); after != before {
				t.Fatalf("%d descriptors before, %d after", before, after)
			}
			// An operation that were still in flight would keep the socket open behind the descriptor's back.
			unix.Shutdown(fd, unix.SHUT_RDWR)
			peer.SetReadDeadline(time.Now().Add(5 * time.Second))
			if n, err := peer.Read(make([]byte, 1)); err != io.EOF {
				t.Fatalf("peer read %d, %v", n, err)
			}
		})
	}
}

func descriptors(t *testing.T) int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

func TestChildrenInheritNoRing(t *testing.T) {
	r := newRing(t, Config{})
	out, err := exec.Command(peer(t, "ls"), "-l", "/proc/self/fd").CombinedOutput()
	if err != nil || strings.Contains(string(out), "io_uring") {
		t.Fatalf("%v\n%s", err, out)
	}
	r.Next().Nop(1)
	await(t, r, 1)
}

func TestImpossibleRingsAreRefused(t *testing.T) {
	if err := Probe().Err(); err != nil {
		t.Skip(err)
	}
	for _, c := range []Config{
		{Entries: -1},
		{Completions: -1},
		{Entries: 1 << 20},
		{Entries: 64, Completions: 1},
		{Flags: IORING_SETUP_DEFER_TASKRUN},
	} {
		if r, err := New(c); err == nil {
			r.Close()
			t.Errorf("%+v: no error", c)
		} else if !strings.HasPrefix(err.Error(), "io_uring_setup: ") {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
