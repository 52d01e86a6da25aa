//go:build unix

package socket

import (
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestEachWaitingCallHasItsOwnTimeout(t *testing.T) {
	l, _ := listening(t, "127.0.0.1:0", nil)
	forever := in(func() error { _, _, err := l.Accept(); return err })
	waitParked(t, "Accept", 1)
	const timeout = 200 * time.Millisecond
	noError(t, l.SetTimeout(timeout))
	var done sync.WaitGroup
	for range 5 {
		done.Go(func() {
			start := time.Now()
			_, _, err := l.Accept()
			if d := time.Since(start); d < timeout || !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("after", d, err)
			}
		})
	}
	done.Wait() // although one goes on waiting, whose turn it is
	noError(t, l.Close())
	if err := <-forever; !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}

func TestTurnsPassInOrder(t *testing.T) {
	x, y := unixPair(t, SOCK_STREAM)
	var got [4]byte
	var done sync.WaitGroup
	for i := range got {
		done.Go(func() {
			if _, err := y.Recv(got[i : i+1]); err != nil {
				t.Error(err)
			}
		})
		if !settled(func() bool {
			turn := &y.turn[reading]
			turn.mu.Lock()
			defer turn.mu.Unlock()
			return turn.taken && len(turn.queue) == i
		}) {
			t.Fatal("call", i, "does not wait")
		}
	}
	// In the middle of the queue one gives up.
	y.SetTimeout(time.Millisecond)
	if _, err := y.Recv(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
	x.Send([]byte("abcd"))
	done.Wait()
	if string(got[:]) != "abcd" {
		t.Errorf("%q", got)
	}
}

func TestTimeInTheQueueCounts(t *testing.T) {
	x, y := unixPair(t, SOCK_STREAM)
	first := in(func() error { _, err := y.Recv(make([]byte, 1)); return err })
	waitParked(t, "Recv", 1)
	noError(t, y.SetTimeout(time.Hour))
	second := in(func() error { _, err := y.Recv(make([]byte, 1)); return err })
	turn := &y.turn[reading]
	if !settled(func() bool {
		turn.mu.Lock()
		defer turn.mu.Unlock()
		return len(turn.queue) == 1
	}) {
		t.Fatal("the second call does not wait")
	}
	latest := time.Now().Add(time.Hour)
	x.Send([]byte("x"))
	noError(t, <-first)
	p := y.parked.Load()
	var limit time.Time
	if !settled(func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		limit = p.limit[reading]
		return !limit.IsZero()
	}) {
		t.Fatal("the second call has no limit")
	}
	if limit.After(latest) {
		t.Error("the time began anew with the turn:", limit.Sub(latest))
	}
	x.Send([]byte("x"))
	noError(t, <-second)
}

// Calls whose time runs out just when their turn comes must pass it on.
func TestNoTurnIsLost(t *testing.T) {
	x, y := unixPair(t, SOCK_STREAM)
	noError(t, y.SetTimeout(200*time.Microsecond))
	const bytes = 2000
	var received, timeouts atomic.Int32
	var done sync.WaitGroup
	for range 20 {
		done.Go(func() {
			p := make([]byte, 1)
			for received.Load() < bytes {
				switch n, err := y.Recv(p); {
				case err == nil && n == 1:
					received.Add(1)
				case errors.Is(err, os.ErrDeadlineExceeded):
					timeouts.Add(1)
				default:
					t.Error(n, err)
					return
				}
			}
		})
	}
	for range bytes {
		if _, err := x.Send([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if timeouts.Load() < 500 {
			time.Sleep(50 * time.Microsecond)
		}
	}
	done.Wait()
	if received.Load() != bytes {
		t.Error(received.Load())
	}
	t.Log(timeouts.Load(), "timeouts")
	if turn := &y.turn[reading]; turn.taken || len(turn.queue) > 0 {
		t.Errorf("%+v", turn)
	}
}
