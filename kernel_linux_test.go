package switchboard

import (
	"errors"
	"io"
	"net"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard/internal/engine"
	"github.com/switchboard-go/switchboard/internal/rawio"
)

// An eager kernel says of every descriptor that it is ready.
type eager struct{ engine.Kernel }

func (eager) Ready(_ int, want engine.Events) engine.Events { return want }

// Input that the system promises and does not bring puts a timeout off for a while, and not for ever.
func TestPromisedInputDoesNotPutATimeoutOffForEver(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	s := &Server{Engine: "epoll", Loops: 1, IdleTimeout: 10 * time.Millisecond, kernel: eager{engine.System},
		Trace:   &Trace{Closed: func(_ *Conn, err error) { ended <- err }},
		Handler: DataFunc(func(_ *Conn, p []byte) (int, error) { return len(p), nil })}
	over := make(chan error, 1)
	go func() { over <- s.Serve(l) }()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Minute))
	if _, err := io.ReadAll(c); err != nil {
		t.Errorf("it was not ended in order: %v", err)
	}
	s.Close()
	<-over
	if err := <-ended; err != ErrIdle {
		t.Errorf("it ended with %v", err)
	}
}

// A scarce kernel has no epoll the second time that one is asked for.
type scarce struct {
	engine.Kernel
	opened int
}

func (k *scarce) Open(mechanism string) (engine.Poller, error) {
	if k.opened++; k.opened == 2 {
		return nil, syscall.EMFILE
	}
	return k.Kernel.Open(mechanism)
}

// A server that could not make all of its loops makes them anew when it is asked again.
func TestAServerThatCouldNotBeginBeginsLater(t *testing.T) {
	s := &Server{Engine: "epoll", Loops: 2, kernel: &scarce{Kernel: engine.System}}
	defer s.Close()
	if _, err := s.run(); !errors.Is(err, syscall.EMFILE) {
		t.Errorf("it began without a loop: %v", err)
	}
	if loops, err := s.run(); err != nil || len(loops) != 2 {
		t.Errorf("it has %d loops, %v", len(loops), err)
	}
}

// A tidy kernel remembers what was closed.
type tidy struct {
	engine.Kernel
	closed []int
}

func (k *tidy) Close(fd int) {
	k.closed = append(k.closed, fd)
	k.Kernel.Close(fd)
}

// A connection that was taken over and is not to be served is closed here, even if its loop has ended.
func TestWhatIsTakenForALoopThatHasEndedIsClosed(t *testing.T) {
	s := &Server{Loops: 1}
	defer s.Close()
	loops, err := s.run()
	if err != nil {
		t.Fatal(err)
	}
	l := loops[0]
	l.give(task{f: l.stop})
	<-l.done
	k := &tidy{Kernel: l.kernel}
	l.kernel = k
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fds[1])
	c := &taken{c: newConn(l, fds[0], rawio.Peer{}, 0), descr: fds[0]}
	c.drop(ErrServerClosed)
	if !slices.Equal(k.closed, fds[:1]) {
		t.Errorf("%v are closed, and it is %d", k.closed, fds[0])
	}
}
