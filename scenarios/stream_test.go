package scenarios

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard"
)

func TestDeadlinesOfABlockingHandler(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		s.QueueLimit = 256 << 10
		type result struct {
			what string
			err  error
			took time.Duration
		}
		results := make(chan result, 10)
		s.Accept = everyone(switchboard.Blocking(func(conn net.Conn, r *bufio.Reader) error {
			r.ReadByte()
			timed := func(what string, f func() error) {
				began := time.Now()
				err := f()
				results <- result{what, err, time.Since(began)}
			}
			read := func() error { _, err := conn.Read(make([]byte, 1)); return err }
			write := func() error { _, err := conn.Write(make([]byte, 64<<20)); return err }
			soon := func() time.Time { return time.Now().Add(20 * time.Millisecond) }
			timed("read", func() error {
				conn.SetReadDeadline(soon())
				return read()
			})
			timed("read after it", read)
			conn.SetReadDeadline(time.Time{})
			timed("read, the deadline set meanwhile", func() error {
				time.AfterFunc(20*time.Millisecond, func() { conn.SetReadDeadline(time.Unix(1, 0)) })
				return read()
			})
			timed("write", func() error {
				conn.SetWriteDeadline(soon())
				return write()
			})
			conn.SetDeadline(time.Time{})
			timed("write, the deadline set meanwhile", func() error {
				time.AfterFunc(20*time.Millisecond, func() { conn.SetDeadline(time.Unix(1, 0)) })
				return write()
			})
			return errors.New("done")
		}))
		p := call(t, start(t, s))
		p.says("x")
		for range 5 {
			r := next(t, results)
			var timeout net.Error
			if !errors.Is(r.err, os.ErrDeadlineExceeded) || !errors.As(r.err, &timeout) || !timeout.Timeout() {
				t.Errorf("%s: %v", r.what, r.err)
			}
			if r.took < 15*time.Millisecond && r.what != "read after it" {
				t.Errorf("%s: after %v", r.what, r.took)
			}
		}
	})
}

// A Write waits until the peer has taken what was written before.
func TestBlockingWriteWaitsForTheReader(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		all := noise(11, 10_000_000)
		written := make(chan error, 1)
		conns := make(chan *switchboard.Conn, 1)
		s.Trace = &switchboard.Trace{Opened: func(c *switchboard.Conn) { conns <- c }}
		s.Accept = everyone(switchboard.Blocking(func(conn net.Conn, r *bufio.Reader) error {
			r.ReadByte()
			n, err := io.WriteString(conn, all)
			if err == nil && n != len(all) {
				err = io.ErrShortWrite
			}
			written <- err
			return io.EOF
		}))
		p := call(t, start(t, s))
		p.says("x")
		c := next(t, conns)
		eventually(t, "the queue is full", c.Full)
		if n := c.Queued(); n > 1<<20 {
			t.Errorf("%d bytes are queued", n)
		}
		stays(t, "the Write waits", func() bool { return len(written) == 0 })
		p.hearsEnd(all)
		if err := next(t, written); err != nil {
			t.Error(err)
		}
	})
}

// Writes of several goroutines do not mix, and all of them end.
func TestBlockingWritesOfManyGoroutines(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		const writers, size = 8, 1_500_000
		s.Accept = everyone(switchboard.Blocking(func(conn net.Conn, r *bufio.Reader) error {
			r.ReadByte()
			var wg sync.WaitGroup
			for w := range writers {
				wg.Go(func() {
					if _, err := io.WriteString(conn, strings.Repeat(string(rune('a'+w)), size)); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			return io.EOF
		}))
		p := call(t, start(t, s))
		p.says("x")
		got, err := io.ReadAll(p)
		if err != nil || len(got) != writers*size {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
		for rest := string(got); rest != ""; rest = rest[size:] {
			if rest[:size] != strings.Repeat(rest[:1], size) {
				t.Fatal("writes are mixed")
			}
		}
	})
}

// A peer that sends faster than the code reads is stopped, and nothing is lost.
func TestSlowBlockingReaderStopsItsPeer(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		all := noise(12, 5_000_000)
		goOn, heard := make(chan bool), make(chan bool, 1)
		conns := make(chan *switchboard.Conn, 1)
		s.Trace = &switchboard.Trace{Opened: func(c *switchboard.Conn) { conns <- c }}
		s.Accept = everyone(switchboard.Blocking(func(conn net.Conn, r *bufio.Reader) error {
			head := make([]byte, 1)
			io.ReadFull(r, head)
			<-goOn
			rest, err := io.ReadAll(r)
			heard <- err == nil && string(head)+string(rest) == all
			return io.EOF
		}))
		p := call(t, start(t, s))
		go func() {
			io.WriteString(p, all)
			p.endsOutput()
		}()
		c := next(t, conns)
		most := int64(64<<10 + 64<<10 + 4096) // HighWater, one read more, and what r has read ahead
		if s.Engine == "uring" {
			most += 256 << 10 // or what the kernel had received before it was told to stop
		}
		eventually(t, "it is stopped", func() bool { return c.Received() >= 64<<10 })
		stays(t, "it is stopped", func() bool { return c.Received() <= most })
		close(goOn)
		if !next(t, heard) {
			t.Error("not all of it was heard")
		}
	})
}

// A reader that never quite catches up must not make what it has read pile up.
func TestBlockingReaderThatLagsHoldsWhatIsUnreadOnly(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		const size, piece = 16 << 20, 5000
		var before, after runtime.MemStats
		done := make(chan error, 1)
		conns := make(chan *switchboard.Conn, 1)
		s.Trace = &switchboard.Trace{Opened: func(c *switchboard.Conn) { conns <- c }}
		s.Accept = everyone(switchboard.Blocking(func(conn net.Conn, r *bufio.Reader) (err error) {
			runtime.ReadMemStats(&before)
			c, buf := <-conns, make([]byte, piece)
			for at := int64(0); at < size && err == nil; at += piece {
				for c.Received() < at+2*piece { // so that there is always some that is not read
					runtime.Gosched()
				}
				_, err = io.ReadFull(conn, buf)
			}
			done <- err
			return io.EOF
		}))
		p := call(t, start(t, s))
		go p.Write(make([]byte, size+10*piece))
		if err := next(t, done); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		if grown := int64(after.TotalAlloc - before.TotalAlloc); grown > 3*size { // ten times that, if it piled up
			t.Errorf("%d bytes were allocated to read %d", grown, size)
		}
	})
}

func TestCloseOfABlockingConnWakesItsReadersAndWriters(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		results := make(chan error, 10)
		conns := make(chan *switchboard.Conn, 1)
		s.Trace = &switchboard.Trace{Opened: func(c *switchboard.Conn) { conns <- c }}
		s.Accept = everyone(switchboard.Blocking(func(conn net.Conn, r *bufio.Reader) error {
			r.ReadByte()
			go func() {
				_, err := conn.Read(make([]byte, 1))
				results <- err
			}()
			for range 3 {
				go func() {
					_, err := conn.Write(make([]byte, 64<<20))
					results <- err
				}()
			}
			c := <-conns
			eventually(t, "the queue is full", c.Full)
			conn.Close()
			_, err := conn.Write([]byte("late"))
			results <- err
			_, err = conn.Read(make([]byte, 1))
			results <- err
			return nil
		}))
		p := call(t, start(t, s))
		p.says("x")
		for range 6 {
			if err := next(t, results); !errors.Is(err, net.ErrClosed) {
				t.Errorf("%v", err)
			}
		}
	})
}

// What f leaves behind when it returns cannot take the input of its next call.
func TestReadThatOutlivesItsHandlerEnds(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		results := make(chan error, 100)
		s.Accept = everyone(switchboard.Blocking(func(conn net.Conn, r *bufio.Reader) error {
			line, err := r.ReadString('\n')
			if err != nil {
				return err
			}
			reads := make(chan bool)
			go func() {
				close(reads)
				_, err := conn.Read(make([]byte, 100))
				results <- err
			}()
			<-reads
			_, err = io.WriteString(conn, line)
			return err
		}))
		p := call(t, start(t, s))
		for range 50 {
			p.says("hello\n")
			p.hears("hello\n")
			if err := next(t, results); !errors.Is(err, net.ErrClosed) {
				t.Errorf("a Read left behind gave %v", err)
			}
		}
	})
}

func TestResetWakesABlockingHandler(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		results := make(chan error, 10)
		begun := make(chan bool, 1)
		s.Accept = everyone(switchboard.Blocking(func(conn net.Conn, r *bufio.Reader) error {
			r.ReadByte()
			begun <- true
			_, err := io.Copy(io.Discard, conn)
			results <- err
			return err
		}))
		p := call(t, start(t, s))
		p.says("x")
		next(t, begun)
		p.resets()
		if err := next(t, results); err == nil {
			t.Error("a reset was read as an end")
		}
	})
}

func TestBlockingConnKnowsItsAddresses(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		s.Accept = everyone(switchboard.Blocking(func(conn net.Conn, r *bufio.Reader) error {
			r.ReadByte()
			fmt.Fprint(conn, conn.LocalAddr(), conn.RemoteAddr())
			return io.EOF
		}))
		p := call(t, start(t, s))
		p.says("x")
		p.hearsEnd(fmt.Sprint(p.RemoteAddr(), p.LocalAddr()))
	})
}
