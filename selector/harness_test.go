package selector

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard/internal/testsocket"
)

// each tests a promise on every mechanism of the platform.
func each(t *testing.T, promise func(t *testing.T, s *Selector)) {
	t.Helper()
	for _, name := range slices.Concat(Mechanisms(), slices.Sorted(maps.Keys(others))) {
		t.Run(name, func(t *testing.T) { promise(t, opened(t, name)) })
	}
}

func opened(t testing.TB, name string) *Selector {
	t.Helper()
	open := others[name]
	if open == nil {
		open = func() (*Selector, error) { return Open(name) }
	}
	s, err := open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// others opens mechanisms that only tests have.
var others = make(map[string]func() (*Selector, error))

// must fails the test for an error of a call that only prepares.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// owned closes fd after the test, unless the test has: closing a number twice might hit somebody else's file.
func owned(t testing.TB, fds ...int) {
	t.Cleanup(func() {
		for _, fd := range fds {
			testsocket.Close(fd)
		}
	})
}

func pipe(t testing.TB) (r, w int) { return testsocket.Pipe(t) }
func pair(t testing.TB) (a, b int) { return testsocket.Pair(t) }

// tcp makes a connection over loopback; both ends are the test's to close.
func tcp(t testing.TB) (client, server int) { return testsocket.TCP(t, "127.0.0.1:0") }

func listener(t testing.TB) (fd int, address string) {
	t.Helper()
	fd, address = testsocket.Listen(t, "127.0.0.1:0")
	owned(t, fd)
	return fd, address
}

func ownedPipe(t testing.TB) (r, w int) {
	r, w = pipe(t)
	owned(t, r, w)
	return r, w
}

// settle waits until fd shows one of the poll bits, so that what is on its way has arrived.
func settle(t testing.TB, fd int, bits int16) {
	t.Helper()
	for bits != 0 {
		fds := []pollFD{newPollFD(fd, bits)}
		if n, err := pollFor(fds, -1); n > 0 && fds[0].Revents&bits != 0 {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

func write(t testing.TB, fd int, text string) {
	t.Helper()
	if n, err := testsocket.Write(fd, []byte(text)); n != len(text) {
		t.Fatalf("write %d: %d, %v", fd, n, err)
	}
}

// fill writes until fd takes no more, drain reads until it gives no more.
func fill(t testing.TB, fd int)  { t.Helper(); exhaust(t, fd, testsocket.Write) }
func drain(t testing.TB, fd int) { t.Helper(); exhaust(t, fd, testsocket.Read) }

func exhaust(t testing.TB, fd int, call func(int, []byte) (int, error)) {
	t.Helper()
	p := make([]byte, 4096)
	for {
		if _, err := call(fd, p); err == testsocket.ErrAgain {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

func register(t testing.TB, s *Selector, fd int, ev Events, data any) {
	t.Helper()
	must(t, s.Register(fd, ev, data))
}

// selects calls Select and compares what it returns, whatever the order.
func selects(t testing.TB, s *Selector, timeout time.Duration, want ...Ready) {
	t.Helper()
	got, err := s.Select(timeout)
	if err != nil {
		t.Fatal(err)
	}
	got = slices.Clone(got)
	slices.SortFunc(got, func(a, b Ready) int { return a.Key.FD - b.Key.FD })
	slices.SortFunc(want, func(a, b Ready) int { return a.Key.FD - b.Key.FD })
	if !slices.Equal(got, want) {
		t.Fatalf("Select(%v) = %v, want %v", timeout, got, want)
	}
}

type result struct {
	ready []Ready
	err   error
}

// waits starts a Select without end on a goroutine of its own, and returns when it is about to wait.
func waits(s *Selector) <-chan result {
	done := make(chan result, 1)
	go func() {
		ready, err := s.Select(-1)
		done <- result{ready, err}
	}()
	for s.state.Load() != waiting && len(done) == 0 {
		runtime.Gosched()
	}
	return done
}

// program finds a program that the test needs: without it the test is skipped, or fails where CI is set.
func program(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		message := fmt.Sprintf("needs %s: %v", name, err)
		if os.Getenv("CI") == "true" {
			t.Fatal(message)
		}
		t.Skip(message)
	}
	return path
}

// looksDuring counts how often the mechanism looks, by which a wait is told from a spin.
func looksDuring(s *Selector, act func()) int {
	count := &countedLooks{mechanism: s.mechanism}
	s.mechanism = count
	act()
	s.mechanism = count.mechanism
	return count.n
}

type countedLooks struct {
	mechanism
	n int
}

func (c *countedLooks) take(s *Selector) {
	c.n++
	c.mechanism.take(s)
}
