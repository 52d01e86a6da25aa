package poller

import (
	"errors"
	"os"
	"runtime"
	"runtime/pprof"
	"sync"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard/internal/testsocket"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// pair makes a connection; the FD is closed after the test, the peer too unless the test has set it to -1.
func pair(t testing.TB) (f *FD, peer *int) {
	t.Helper()
	a, b := testsocket.TCP(t, "127.0.0.1:0")
	f, err := NewFD(a)
	must(t, err)
	t.Cleanup(func() {
		f.Close()
		if b >= 0 {
			testsocket.Close(b)
		}
	})
	return f, &b
}

// receive reads one byte, waiting for it. begun is closed when there was nothing at first.
func receive(f *FD, begun chan<- struct{}) (b byte, n int, err error) {
	waited := f.Read(func(fd uintptr) bool {
		var p [1]byte
		n, err = testsocket.Read(int(fd), p[:])
		if err == testsocket.ErrAgain {
			if begun != nil {
				close(begun)
				begun = nil
			}
			return false
		}
		b = p[0]
		return true
	})
	if waited != nil {
		return 0, 0, waited
	}
	return b, n, err
}

func TestReadWaitsForBytesAndForTheEnd(t *testing.T) {
	f, peer := pair(t)
	for _, sent := range "switchboard" {
		begun := make(chan struct{})
		done := make(chan struct{})
		go func() {
			defer close(done)
			if b, n, err := receive(f, begun); b != byte(sent) || n != 1 || err != nil {
				t.Errorf("%q, %d, %v; want %q", b, n, err, sent)
			}
		}()
		<-begun
		_, err := testsocket.Write(*peer, []byte{byte(sent)})
		must(t, err)
		<-done
	}
	begun := make(chan struct{})
	go func() {
		<-begun
		testsocket.ShutdownWrite(*peer)
	}()
	if _, n, err := receive(f, begun); n != 0 || err != nil {
		t.Errorf("at the end %d, %v", n, err)
	}
}

func TestReadHearsAReset(t *testing.T) {
	f, peer := pair(t)
	begun := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		if _, _, err := receive(f, begun); !errors.Is(err, testsocket.ErrReset) {
			t.Errorf("%v", err)
		}
	}()
	<-begun
	must(t, testsocket.Reset(*peer))
	*peer = -1
	<-done
}

func TestReadHearsAConnection(t *testing.T) {
	l, _ := testsocket.Listen(t, "127.0.0.1:0")
	f, err := NewFD(l)
	must(t, err)
	defer f.Close()
	tries := 0
	must(t, f.Read(func(fd uintptr) bool {
		if tries++; tries == 1 {
			c := testsocket.Connecting(t, l)
			t.Cleanup(func() { testsocket.Close(c) })
			return false
		}
		return true
	}))
}

func TestWriteWaitsForAConnectThatEnds(t *testing.T) {
	listener, _ := testsocket.Listen(t, "127.0.0.1:0")
	defer testsocket.Close(listener)
	dead := testsocket.Bound(t)
	defer testsocket.Close(dead)
	for _, to := range []int{listener, dead} {
		c := testsocket.Connecting(t, to)
		f, err := NewFD(c)
		must(t, err)
		var failed error
		must(t, f.Write(func(uintptr) bool {
			failed = testsocket.Error(c)
			return failed != nil || testsocket.Connected(c)
		}))
		if (failed != nil) != (to == dead) {
			t.Errorf("connected with %v", failed)
		}
		must(t, f.Close())
	}
}

func TestWriteWaitsForRoom(t *testing.T) {
	f, peer := pair(t)
	p := make([]byte, 64<<10)
	sent := 0
	var received sync.WaitGroup
	full := make(chan struct{})
	received.Go(func() {
		<-full
		into := make([]byte, 64<<10)
		for {
			n, err := testsocket.Read(*peer, into)
			if n == 0 && err == nil {
				return
			}
			if err != nil {
				runtime.Gosched()
			}
		}
	})
	waits := 0
	for waits < 3 {
		var n int
		var err error
		must(t, f.Write(func(fd uintptr) bool {
			if n, err = testsocket.Write(int(fd), p); err == testsocket.ErrAgain {
				if waits++; waits == 1 {
					close(full)
				}
				return false
			}
			return true
		}))
		must(t, err)
		sent += n
	}
	must(t, f.Close())
	received.Wait()
}

func TestDeadlinesEndReadAndWrite(t *testing.T) {
	f, _ := pair(t)
	never := func(uintptr) bool { return false }
	for range 2 {
		began := time.Now()
		must(t, f.SetReadDeadline(began.Add(20*time.Millisecond)))
		if _, _, err := receive(f, nil); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%v", err)
		}
		if took := time.Since(began); took < 20*time.Millisecond {
			t.Errorf("ended after %v of 20ms", took)
		}
	}
	tried := false
	if err := f.Read(func(uintptr) bool { tried = true; return true }); !errors.Is(err, os.ErrDeadlineExceeded) || tried {
		t.Errorf("after the deadline: %v, tried: %v", err, tried)
	}
	must(t, f.SetReadDeadline(time.Time{}))
	must(t, f.Read(func(uintptr) bool { return true }))

	begun := make(chan struct{})
	go func() {
		<-begun
		f.SetReadDeadline(time.Now().Add(-time.Second)) // one that is past already
	}()
	if _, _, err := receive(f, begun); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a deadline set meanwhile: %v", err)
	}
	must(t, f.SetReadDeadline(time.Now().Add(time.Hour)))
	begun = make(chan struct{})
	go func() {
		<-begun
		f.SetReadDeadline(time.Now().Add(10 * time.Millisecond)) // one that is earlier
	}()
	if _, _, err := receive(f, begun); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("an earlier deadline set meanwhile: %v", err)
	}
	must(t, f.SetWriteDeadline(time.Now().Add(-time.Hour)))
	if err := f.Write(never); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("write: %v", err)
	}
}

func TestCloseEndsReadAndWrite(t *testing.T) {
	a, b := testsocket.TCP(t, "127.0.0.1:0")
	defer testsocket.Close(b)
	f, err := NewFD(a)
	must(t, err)
	const readers = 5
	begun := make(chan struct{})
	ended := make(chan error)
	for i := range readers {
		go func() {
			var tell chan<- struct{}
			if i == 0 {
				tell = begun
			}
			_, _, err := receive(f, tell)
			ended <- err
		}()
	}
	// The first of them may wait for its turn behind another: Close must end both.
	select {
	case <-begun:
	case <-time.After(10 * time.Millisecond):
	}
	must(t, f.Close())
	for range readers {
		if err := <-ended; !errors.Is(err, os.ErrClosed) {
			t.Errorf("%v", err)
		}
	}
	for i, err := range []error{f.Close(), f.Read(nil), f.Write(nil),
		f.SetReadDeadline(time.Now()), f.SetWriteDeadline(time.Now())} {
		if !errors.Is(err, os.ErrClosed) {
			t.Errorf("call %d after Close: %v", i, err)
		}
	}
	if testsocket.IsOpen(a) {
		t.Error("the descriptor is open")
	}
}

func TestTryThatPanicsHoldsNobody(t *testing.T) {
	f, _ := pair(t)
	func() {
		defer func() { recover() }()
		f.Read(func(uintptr) bool { panic("of the caller's") })
	}()
	must(t, f.Read(func(uintptr) bool { return true }))
	must(t, f.Close())
}

// Goroutines that wait hold no threads.
func TestThousandsThatWaitTakeNoThreads(t *testing.T) {
	const sockets = 2000
	if testing.Short() {
		t.Skip("opens thousands of sockets")
	}
	before := pprof.Lookup("threadcreate").Count()
	var all []*FD
	var peers []int
	var waiting, ended sync.WaitGroup
	for range sockets {
		a, b := testsocket.TCP(t, "127.0.0.1:0")
		f, err := NewFD(a)
		must(t, err)
		all, peers = append(all, f), append(peers, b)
		tries := 0
		waiting.Add(1)
		ended.Go(func() {
			err := f.Read(func(fd uintptr) bool {
				if tries++; tries == 1 {
					waiting.Done()
				}
				var p [1]byte
				n, _ := testsocket.Read(int(fd), p[:])
				return n == 1
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	waiting.Wait()
	if now := pprof.Lookup("threadcreate").Count(); now > before+20 {
		t.Errorf("%d threads, %d before", now, before)
	}
	for _, fd := range peers {
		_, err := testsocket.Write(fd, []byte("x"))
		must(t, err)
	}
	ended.Wait()
	for i, f := range all {
		must(t, f.Close())
		must(t, testsocket.Close(peers[i]))
	}
}
