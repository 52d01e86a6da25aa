package main

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard/internal/systest"
)

// A server with few descriptors serves whom it could accept, tells once that it pauses, does not spin, and accepts the
// others as descriptors become free.
func TestRunningOutOfDescriptorsPausesAcceptingOnly(t *testing.T) {
	inModes(t, append([]string{"goroutines", "processes"}, eventModes...), func(t *testing.T, mode string) {
		s := start(t, limited(t, serveArgs([]string{"echo", "--mode", mode, "--max-conns=0"})...))
		const clients = 200 // for 64 descriptors in each of two processes
		conns := make([]*net.TCPConn, clients)
		for i := range conns {
			conns[i] = client(t, s)
		}
		s.await("accepting pauses", 1)
		var (
			all     sync.WaitGroup
			served  = make(chan int, clients)
			release = make(chan struct{})
		)
		for i, conn := range conns {
			all.Go(func() {
				defer conn.Close()
				if err := roundTrip(conn, []byte("hello")); err != nil {
					t.Errorf("client %d: %v", i, err)
				}
				served <- i
				<-release
				if err := roundTrip(conn, []byte("goodbye")); err != nil {
					t.Errorf("client %d: %v", i, err)
				}
			})
		}
		<-served
		spinsNot(t, s)
		if n := len(s.entries("connected")); n >= clients {
			t.Errorf("%d clients have 64 descriptors", n)
		}
		close(release)
		all.Wait()
		s.await("accepting goes on", 1)
		told := map[any]int{}
		for _, e := range s.entries("accepting pauses") {
			if told[e["worker"]]++; told[e["worker"]] > 1 {
				t.Errorf("the log says more than once: %v", e)
			}
		}
	})
}

func TestMaxConnsMakesTheOthersWait(t *testing.T) {
	inModes(t, append([]string{"goroutines", "processes"}, eventModes...), func(t *testing.T, mode string) {
		s := serve(t, "echo", "--mode", mode, "--max-conns=2")
		first, second := client(t, s), client(t, s)
		echoes(t, first, []byte("one"))
		echoes(t, second, []byte("two"))
		third := client(t, s)
		if _, err := third.Write([]byte("three")); err != nil {
			t.Fatal(err)
		}
		third.SetReadDeadline(time.Now().Add(150 * time.Millisecond))
		if n, err := third.Read(make([]byte, 10)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("the third of two was served: %d bytes, %v", n, err)
		}
		spinsNot(t, s)
		echoes(t, first, []byte("one"))
		second.Close()
		third.SetReadDeadline(time.Now().Add(patience))
		got := make([]byte, 5)
		if _, err := io.ReadFull(third, got); err != nil || string(got) != "three" {
			t.Errorf("after the second had left: %q, %v", got, err)
		}
	})
}

func TestBlockingServesOneAtATime(t *testing.T) {
	s := serve(t, "echo", "--mode=blocking")
	first, second := client(t, s), client(t, s)
	echoes(t, first, []byte("one"))
	second.Write([]byte("two"))
	second.SetReadDeadline(time.Now().Add(150 * time.Millisecond))
	if _, err := second.Read(make([]byte, 10)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("the second was served beside the first: %v", err)
	}
	first.Close()
	second.SetReadDeadline(time.Now().Add(patience))
	got := make([]byte, 3)
	if _, err := io.ReadFull(second, got); err != nil || string(got) != "two" {
		t.Errorf("after the first had left: %q, %v", got, err)
	}
}

func TestIdleClientsAreHungUpOnAndBusyOnesAreNot(t *testing.T) {
	inEveryMode(t, func(t *testing.T, mode string) {
		s := serve(t, "echo", "--mode", mode, "--idle-timeout=200ms", "--listen=127.0.0.1:0", "--listen=127.0.0.1:0")
		silent := client(t, s)
		busy, err := net.Dial("tcp", s.addrs[1])
		if err != nil {
			t.Fatal(err)
		}
		defer busy.Close()
		hungUp := make(chan error, 1)
		go func() {
			_, err := silent.Read(make([]byte, 1))
			hungUp <- err
		}()
		for beat := time.NewTicker(50 * time.Millisecond); ; <-beat.C {
			echoes(t, busy, []byte("here"))
			if ended := s.entries("disconnected"); len(ended) > 0 {
				beat.Stop()
				reason, _ := ended[0]["reason"].(string)
				if ended[0]["peer"] != silent.LocalAddr().String() || !strings.Contains(reason, "idle timeout") {
					t.Errorf("%v", ended[0])
				}
				break
			}
		}
		if err := <-hungUp; err != io.EOF {
			t.Errorf("the silent client got %v", err)
		}
		echoes(t, busy, []byte("still"))
	})
}

// What a client got is not all, so it must not look like the end.
func TestClientsThatTakeNothingAreResetWhenIdle(t *testing.T) {
	inEveryMode(t, func(t *testing.T, mode string) {
		s := serve(t, "chargen", "--mode", mode, "--idle-timeout=100ms")
		conn := client(t, s)
		if reason, _ := s.await("disconnected", 1)["reason"].(string); !strings.Contains(reason, "idle timeout") {
			t.Errorf("reason %q", reason)
		}
		if _, err := io.Copy(io.Discard, conn); !systest.Is(err, syscall.ECONNRESET) {
			t.Errorf("the client got %v", err)
		}
	})
}
