//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package selector

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/switchboard-go/switchboard/internal/testsocket"
)

// pipeAt makes a pipe whose reading end has a number that was in use before.
func pipeAt(t testing.TB, at int) (r, w int) {
	t.Helper()
	first, w := pipe(t)
	if first == at {
		owned(t, first, w)
		return first, w
	}
	r, err := unix.FcntlInt(uintptr(first), unix.F_DUPFD_CLOEXEC, at)
	must(t, err)
	testsocket.Close(first)
	owned(t, r, w)
	if r != at {
		t.Fatalf("the kernel gave %d, not %d again", r, at)
	}
	return r, w
}

func failsUnderWine(*Selector) string { return "" }
