package socket

import (
	"testing"
	"time"

	"github.com/switchboard-go/switchboard/internal/winsock"
)

const (
	writable = winsock.POLLOUT

	// waitState is what a stack says of a goroutine that waits in the poller.
	waitState = "[sync.Cond.Wait"
)

// ready asks WSAPoll until the socket is ready.
func ready(t *testing.T, s *Socket, events int16) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		got, errno := winsock.Poll(s.FD(), events)
		if errno != 0 || time.Now().After(end) {
			t.Fatal("poll: not ready:", errno)
		}
		if got != 0 {
			return
		}
	}
}

// startPoller starts what this process has once: the goroutine of the poller.
func startPoller() {
	a, b, err := Pair(AF_INET, SOCK_STREAM, 0)
	if err != nil {
		panic(err)
	}
	a.SetDeadline(time.Time{})
	a.Close()
	b.Close()
}

// needRights is for tests of descriptors that travel (SCM_RIGHTS).
func needRights(t *testing.T) { t.Skip("Windows passes no handles over sockets") }
