package selector

import (
	"testing"

	"golang.org/x/sys/windows"

	"github.com/switchboard-go/switchboard/internal/testsocket"
)

// pipeAt makes a pipe whose reading end has a number that was in use before: it opens sockets until one has it.
func pipeAt(t testing.TB, at int) (r, w int) {
	t.Helper()
	for range 1000 {
		r, w = pipe(t)
		if w == at {
			r, w = w, r
		}
		if r == at {
			owned(t, r, w)
			return r, w
		}
		owned(t, r, w)
	}
	t.Skipf("the system does not give %d again", at)
	return r, w
}

// many opens n datagram sockets, which are writable at once.
func many(t testing.TB, n int) []int {
	t.Helper()
	var fds []int
	t.Cleanup(func() {
		for _, fd := range fds {
			testsocket.Close(fd)
		}
	})
	for range n {
		fds = append(fds, testsocket.Datagram(t))
	}
	return fds
}

// failsUnderWine says why a test in which sockets are closed during a wait is not for s: the server of Wine ends, with
// every program that it serves, when a socket is closed that WSAPoll or select waits for beside others.
func failsUnderWine(s *Selector) string {
	if s.Mechanism() == "afd" || windows.NewLazySystemDLL("ntdll.dll").NewProc("wine_get_version").Find() != nil {
		return ""
	}
	return "Wine's server may end when a socket is closed that " + s.Mechanism() + " waits for"
}
