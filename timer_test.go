//go:build linux

package switchboard

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard/internal/engine"
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
