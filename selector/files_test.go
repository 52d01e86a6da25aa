//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package selector

import (
	"errors"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/switchboard-go/switchboard/internal/testsocket"
)

func TestCloseReleasesEveryDescriptor(t *testing.T) {
	lowest := func() int {
		fd, err := unix.FcntlInt(0, unix.F_DUPFD_CLOEXEC, 0)
		must(t, err)
		unix.Close(fd)
		return fd
	}
	before := lowest()
	for _, name := range Mechanisms() {
		for range 3 {
			s, err := Open(name)
			must(t, err)
			must(t, s.Close())
		}
		if after := lowest(); after != before {
			t.Errorf("%s: the next descriptor is %d, was %d", name, after, before)
		}
	}
}

func TestRegularFile(t *testing.T) {
	f, err := os.CreateTemp(t.TempDir(), "")
	must(t, err)
	defer f.Close()
	each(t, func(t *testing.T, s *Selector) {
		err := s.Register(int(f.Fd()), Write, nil)
		if m := s.Mechanism(); m == "epoll" || m == "kqueue" { // kqueue would never call one readable at its end
			if !errors.Is(err, syscall.EPERM) || !strings.Contains(err.Error(), "regular files") {
				t.Errorf("%s said %v", m, err)
			}
			return
		}
		must(t, err)
		selects(t, s, -1, Ready{Key{int(f.Fd()), Write, nil}, Write})
		must(t, s.Modify(int(f.Fd()), Read, nil)) // also at its end
		selects(t, s, -1, Ready{Key{int(f.Fd()), Read, nil}, Read})
	})
}

// A descriptor in two lists is still one open file: the kernel takes no more entries than the process may open.
func TestListsTakeAsManyDescriptorsAsTheProcessMayOpen(t *testing.T) {
	fds := many(t, 3000)
	got, writable, _, err := Select(fds, fds, fds, 0)
	if err != nil || len(got) != 0 || !slices.Equal(writable, fds) {
		t.Fatalf("%d readable, %d of %d writable, %v", len(got), len(writable), len(fds), err)
	}
	var limit, old unix.Rlimit
	must(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &old))
	limit = old
	limit.Cur = rlimit(fds[len(fds)-1] + 1)
	must(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &limit))
	defer unix.Setrlimit(unix.RLIMIT_NOFILE, &old)
	_, writable, _, err = Select(fds, fds, fds, 0)
	if err != nil || !slices.Equal(writable, fds) {
		t.Fatalf("at the limit: %d of %d writable, %v", len(writable), len(fds), err)
	}
}

// many opens n datagram sockets, which are writable at once; most numbers are above select's customary 1024.
func many(t testing.TB, n int) []int {
	t.Helper()
	var limit unix.Rlimit
	must(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &limit))
	if uint64(limit.Cur) < uint64(n+200) {
		t.Skipf("needs %d descriptors, the limit is %d: ulimit -n", n+200, limit.Cur)
	}
	var fds []int
	t.Cleanup(func() {
		for _, fd := range fds {
			unix.Close(fd)
		}
	})
	for range n {
		fds = append(fds, testsocket.Datagram(t))
	}
	return fds
}

// The new file is not waited for in part, under the key of the old one.
func TestModifyOfAReusedNumberSaysWhatToDo(t *testing.T) {
	each(t, func(t *testing.T, s *Selector) {
		if m := s.Mechanism(); m == "poll" || m == "select" {
			t.Skip("they know numbers only")
		}
		for _, was := range []Events{Read, Write, Read | Write, Hangup, Read | Hangup} {
			for _, is := range []Events{Read, Write, Read | Write, Hangup, Read | Write | Hangup} {
				if was == is {
					continue
				}
				old, b := pair(t)
				register(t, s, old, was, nil)
				unix.Close(old)
				unix.Close(b)
				r, w := pipeAt(t, old)
				write(t, w, "x")
				if err := s.Modify(old, is, nil); err == nil || !strings.Contains(err.Error(), "unregister it first") {
					t.Errorf("%v to %v: %v", was, is, err)
				}
				selects(t, s, 0)
				_, err := s.Unregister(old)
				must(t, err)
				register(t, s, r, Read, nil)
				selects(t, s, -1, Ready{Key{r, Read, nil}, Read})
				_, err = s.Unregister(r)
				must(t, err)
				unix.Close(r)
				unix.Close(w)
			}
		}
	})
}
