package switchboard

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard/internal/engine"
	"github.com/switchboard-go/switchboard/socket"
)

// onRings serves with h on rings until the test ends.
func onRings(t *testing.T, h Handler, prepare ...func(*socket.Socket)) (s *Server, address string) {
	t.Helper()
	if !slices.Contains(Engines(), "uring") {
		t.Skip("this kernel has no io_uring") // it has the other engines
	}
	s = &Server{Engine: "uring", Loops: 1, Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
		Accept: func(*Conn) (Handler, error) { return h, nil }}
	l, err := socket.CreateServer("127.0.0.1:0", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range prepare {
		f(l)
	}
	at, err := l.LocalAddr()
	if err != nil {
		t.Fatal(err)
	}
	over := make(chan error, 1)
	go func() { over <- s.ServeSocket(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		s.Shutdown(ctx)
		if err := <-over; !errors.Is(err, ErrServerClosed) {
			t.Errorf("ServeSocket returned %v", err)
		}
	})
	return s, at.String()
}

// echoes has n clients send size bytes each, all at once, and compare what comes back.
func echoes(t *testing.T, address string, n, size int) {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, size+n)
	for j := range noise {
		noise[j] = byte(rng.Uint32())
	}
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			c, err := net.Dial("tcp", address)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			c.SetDeadline(time.Now().Add(time.Minute))
			said := noise[i : i+size]
			go func() {
				c.Write(said)
				c.(*net.TCPConn).CloseWrite()
			}()
			heard, err := io.ReadAll(c)
			if err != nil || !bytes.Equal(heard, said) {
				t.Errorf("client %d: heard %d bytes of %d, %v", i, len(heard), size, err)
			}
		})
	}
	wg.Wait()
}

func small(t *testing.T, v *int, value int) {
	before := *v
	*v = value
	t.Cleanup(func() { *v = before })
}

func TestBuffersThatRunDryStarveNobody(t *testing.T) {
	small(t, &engine.RingBuffers, 2)
	_, address := onRings(t, DataFunc((*Conn).Write))
	echoes(t, address, 500, 1<<20)
}

func TestQueuesOfTheRingMayOverflow(t *testing.T) {
	small(t, &engine.RingEntries, 4)
	small(t, &engine.RingCompletions, 8)
	_, address := onRings(t, DataFunc((*Conn).Write))
	echoes(t, address, 200, 20_000)
}

// The number of an aborted connection is soon another's. What the ring was doing for the old one must not reach the new:
// each connection has a mark of its own, and whoever gets another's has been crossed.
func TestAbortWithOperationsInFlightCrossesNoLines(t *testing.T) {
	var aborted atomic.Int64
	_, address := onRings(t, DataFunc(func(c *Conn, p []byte) (int, error) {
		c.Write(p)
		if p[0]%3 == 0 {
			aborted.Add(1)
			c.Abort() // with the write in the batch, and receiving under way
		}
		return len(p), nil
	}))
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := range 400 {
				c, err := net.Dial("tcp", address)
				if err != nil {
					t.Error(err)
					return
				}
				mark := bytes.Repeat([]byte{byte(worker*31 + i)}, 1+i%100)
				c.SetDeadline(time.Now().Add(time.Minute))
				c.Write(mark)
				heard := make([]byte, len(mark))
				n, err := io.ReadFull(c, heard)
				if !bytes.Equal(heard[:n], mark[:n]) {
					t.Errorf("heard %v of another line, not %v", heard[:n], mark[:n])
				}
				if mark[0]%3 != 0 && err != nil {
					t.Errorf("a connection that nobody aborted: %v", err)
				}
				c.Close()
			}
		})
	}
	wg.Wait()
	if aborted.Load() < 500 {
		t.Errorf("only %d were aborted", aborted.Load())
	}
}

// A fickle handler has the ring receive again and, before the kernel has heard of it, ends the connection.
type fickle struct{}

func (fickle) Data(c *Conn, p []byte) (int, error) {
	c.Pause()
	c.After(time.Millisecond, func() {
		c.Do(c.Resume)
		c.Do(c.Abort)
	})
	return len(p), nil
}

func (fickle) Closed(*Conn, error) { time.Sleep(time.Millisecond / 2) } // the descriptor is free: somebody shall have it

func TestWhatWasBegunForAConnectionIsNotDoneToTheNextOfItsNumber(t *testing.T) {
	_, address := onRings(t, fickle{})
	done := make(chan struct{})
	var others sync.WaitGroup
	for range 2 { // what has nothing to do with the server, but takes the numbers of its connections
		others.Go(func() {
			for round := byte(0); ; round++ {
				select {
				case <-done:
					return
				default:
				}
				a, b, err := socket.Pair(socket.AF_UNIX, socket.SOCK_STREAM, 0)
				if err != nil {
					t.Error(err)
					return
				}
				b.SetTimeout(time.Second)
				said, heard := bytes.Repeat([]byte{round}, 50), make([]byte, 50)
				a.Send(said)
				time.Sleep(time.Millisecond)
				if _, err := io.ReadFull(b, heard); err != nil || !bytes.Equal(said, heard) {
					t.Errorf("heard %v, %v", heard, err)
				}
				a.Close()
				b.Close()
			}
		})
	}
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			for range 100 {
				c, err := net.Dial("tcp", address)
				if err != nil {
					t.Error(err)
					return
				}
				c.Write([]byte("hello"))
				io.Copy(io.Discard, c) // until it is reset
				c.Close()
			}
		})
	}
	clients.Wait()
	close(done)
	others.Wait()
}

func TestChildrenAreStartedWhileRingsAreOpen(t *testing.T) {
	_, address := onRings(t, DataFunc((*Conn).Write))
	done := make(chan struct{})
	go func() {
		defer close(done)
		echoes(t, address, 50, 200_000)
	}()
	for range 20 {
		out, err := exec.Command("ls", "-l", "/proc/self/fd").Output()
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(out), "io_uring") {
			t.Fatalf("a child has inherited a ring:\n%s", out)
		}
	}
	<-done
}

func TestBatchedSendThatTheKernelRefusesIsQueuedAgain(t *testing.T) {
	// The listener's send buffer, which connections inherit, holds less than the answers to a few bytes.
	_, address := onRings(t, DataFunc(func(c *Conn, p []byte) (int, error) {
		for i := range p {
			if _, err := c.Write(bytes.Repeat(p[i:i+1], 100)); err != nil {
				return i, err
			}
		}
		return len(p), nil
	}), func(l *socket.Socket) { l.SetSendBuffer(4096) })
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			c, err := net.Dial("tcp", address)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			c.SetDeadline(time.Now().Add(time.Minute))
			said := make([]byte, 5000)
			for i := range said {
				said[i] = byte(i)
			}
			go func() {
				for part := range slices.Chunk(said, 25) {
					c.Write(part)
				}
				c.(*net.TCPConn).CloseWrite()
			}()
			heard, err := io.ReadAll(c)
			if err != nil || len(heard) != 100*len(said) {
				t.Errorf("heard %d bytes of %d, %v", len(heard), 100*len(said), err)
			}
			for i, b := range heard {
				if b != byte(i/100) {
					t.Errorf("byte %d is %d, not %d", i, b, byte(i/100))
					break
				}
			}
		})
	}
	wg.Wait()
}
