package scenarios

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"testing"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/socket"
	"golang.org/x/sys/unix"
)

// To TCP, a reader that has a signal pending and finds the urgent mark first may see nothing there, whatever lies behind the
// mark. What follows urgent data must come all the same, though the program's threads get many signals: Go preempts by them.
func TestWhatFollowsUrgentDataComesWhileSignalsDo(t *testing.T) {
	inTheClear(t, func(t *testing.T, s *switchboard.Server) {
		s.Accept = everyone(echo)
		at, err := socket.ParseAddr(start(t, s))
		if err != nil {
			t.Fatal(err)
		}
		signalled := make(chan bool)
		over := make(chan struct{})
		go func() {
			defer close(signalled)
			for {
				select {
				case <-over:
					return
				default:
					signalThreads(unix.SIGURG)
				}
			}
		}()
		defer func() { close(over); <-signalled }()
		for i := range 30 {
			if err := afterUrgentData(at, 10); err != nil {
				t.Fatalf("connection %d: %v", i, err)
			}
		}
	})
}

// afterUrgentData connects and has bytes echoed that follow an urgent one, some times.
func afterUrgentData(at socket.Addr, times int) error {
	c, err := socket.New(at.Family(), socket.SOCK_STREAM, 0)
	if err != nil {
		return err
	}
	defer c.Close()
	c.SetTimeout(patience)
	if err := c.Connect(at); err != nil {
		return err
	}
	if err := c.SetNoDelay(true); err != nil {
		return err
	}
	got := make([]byte, 5)
	for i := range times {
		if _, err := c.SendFlags([]byte("!"), socket.MSG_OOB); err != nil {
			return err
		}
		if _, err := c.SendAll([]byte("hello")); err != nil {
			return err
		}
		if n, err := io.ReadFull(c, got); err != nil || string(got) != "hello" {
			return fmt.Errorf("message %d: %q came back, %w", i, got[:n], err)
		}
	}
	return nil
}

// signalThreads sends each thread of this program a signal.
func signalThreads(s unix.Signal) {
	threads, _ := os.ReadDir("/proc/self/task")
	for _, thread := range threads {
		if id, err := strconv.Atoi(thread.Name()); err == nil {
			unix.Tgkill(os.Getpid(), id, s)
		}
	}
}
