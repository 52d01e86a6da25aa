package selector

import (
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/switchboard-go/switchboard/internal/testsocket"
)

// A forked child, or a duplicate, keeps an open file alive after its descriptor was closed here, and epoll goes on
// telling of it under the number that it was registered by.
func TestFileHeldElsewhereDoesNotSpeakForItsNumber(t *testing.T) {
	holders := map[string]func(t *testing.T, fd int){
		"duplicate": func(t *testing.T, fd int) {
			fd, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
			must(t, err)
			owned(t, fd)
		},
		"child": func(t *testing.T, fd int) {
			fd, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
			must(t, err)
			f := os.NewFile(uintptr(fd), "held")
			defer f.Close()
			child := exec.Command(program(t, "sleep"), "600")
			child.ExtraFiles = []*os.File{f}
			must(t, child.Start())
			t.Cleanup(func() {
				child.Process.Kill()
				child.Wait()
			})
		},
	}
	promise := func(hold func(t *testing.T, fd int), reused bool) func(*testing.T) {
		return func(t *testing.T) {
			s := opened(t, "epoll")
			var others [40]int
			for i := range others {
				r, _ := ownedPipe(t)
				others[i] = r
				register(t, s, r, Read, i)
			}
			old, w := pipe(t)
			owned(t, w)
			register(t, s, old, Read, "old")
			hold(t, old)
			_, err := s.Forget(old)
			must(t, err)
			testsocket.Close(old)
			r, w2 := old, -1
			if reused {
				r, w2 = pipeAt(t, old)
				register(t, s, r, Read, "new")
			}
			write(t, w, "for the old one")
			// The old file is readable for good, and must not end every wait.
			selects(t, s, 20*time.Millisecond)
			looks := looksDuring(s, func() { selects(t, s, 20*time.Millisecond) })
			if looks > 5 {
				t.Errorf("one wait took %d looks", looks)
			}
			if reused {
				write(t, w2, "for the new one")
				selects(t, s, -1, Ready{Key{r, Read, "new"}, Read})
				_, err := s.Unregister(r)
				must(t, err)
			}
			must(t, s.Wake()) // the wake file has moved along
			selects(t, s, -1)
			done := waits(s)
			must(t, s.Wake())
			<-done
			if s.Len() != len(others) {
				t.Errorf("%d are registered", s.Len())
			}
		}
	}
	for name, hold := range holders {
		t.Run(name, promise(hold, false))
		t.Run(name+", number reused", promise(hold, true))
	}
}

// Two events are taken at once; serving the first closes the second's file and opens another under its number. The
// second event still carries the first file's key, by which its owner knows that it is gone.
func TestNumberReusedWithinOneResult(t *testing.T) {
	each(t, func(t *testing.T, s *Selector) {
		a, wa := ownedPipe(t)
		b, wb := pipe(t)
		write(t, wa, "x")
		write(t, wb, "x")
		register(t, s, a, Read, "a")
		register(t, s, b, Read, "b")
		ready, err := s.Select(-1)
		must(t, err)
		if len(ready) != 2 {
			t.Fatal(ready)
		}
		_, err = s.Forget(b)
		must(t, err)
		testsocket.Close(b)
		testsocket.Close(wb)
		pipeAt(t, b)
		register(t, s, b, Read, "new")
		for _, r := range ready {
			if r.Key.Data == "new" {
				t.Error("the result changed under its reader")
			}
		}
		selects(t, s, 0, Ready{Key{a, Read, "a"}, Read})
	})
}

func TestSignalsDoNotEndTheWait(t *testing.T) {
	interrupted := func(t *testing.T, wait func(timeout time.Duration)) {
		const timeout = 30 * time.Millisecond
		began := make(chan int)
		done := make(chan time.Duration)
		go func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			began <- unix.Gettid()
			start := time.Now()
			defer func() { done <- time.Since(start) }()
			wait(timeout)
		}()
		thread := <-began
		for {
			select {
			case took := <-done:
				if took < timeout {
					t.Errorf("ended after %v of %v", took, timeout)
				}
				return
			case <-time.After(time.Millisecond): // SIGURG: the Go runtime has a handler that ignores it
				unix.Tgkill(os.Getpid(), thread, unix.SIGURG)
			}
		}
	}
	r, _ := ownedPipe(t)
	each(t, func(t *testing.T, s *Selector) {
		register(t, s, r, Read, nil)
		interrupted(t, func(timeout time.Duration) { selects(t, s, timeout) })
	})
	t.Run("lists", func(t *testing.T) {
		interrupted(t, func(timeout time.Duration) {
			if got, _, _, err := Select([]int{r}, nil, nil, timeout); len(got) != 0 || err != nil {
				t.Errorf("%v, %v", got, err)
			}
		})
	})
}

func threads(t testing.TB) int {
	t.Helper()
	tasks, err := os.ReadDir("/proc/self/task")
	must(t, err)
	return len(tasks)
}

func TestWaitingEpollHoldsNoThread(t *testing.T) {
	const selectors = 500
	before := threads(t)
	var all []*Selector
	var done []<-chan result
	for range selectors {
		s := opened(t, "epoll")
		all = append(all, s)
		done = append(done, waits(s))
	}
	if now := threads(t); now > before+20 {
		t.Errorf("%d threads while %d selectors wait, %d before", now, selectors, before)
	}
	for i, s := range all {
		must(t, s.Wake())
		<-done[i]
	}
}
