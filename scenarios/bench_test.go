//go:build unix

package scenarios

import (
	"bytes"
	"context"
	"io"
	"sync/atomic"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/frame"
	"golang.org/x/sys/unix"
)

// BenchmarkMessage is one message there and back. The client makes no allocations, so those it reports are the loop's.
func BenchmarkMessage(b *testing.B) {
	lines, end := frame.Lines(1000), []byte("\n")
	for _, c := range []struct {
		name    string
		size    int // of a message
		ahead   int // messages that are in flight
		handler switchboard.Handler
	}{
		{"64B", 64, 1, echo},
		{"64B-16-in-flight", 64, 16, echo},
		{"16KiB", 16 << 10, 1, echo},
		{"line", 64, 1, switchboard.Frames(lines.Split, func(c *switchboard.Conn, line []byte) error {
			_, err := c.Writev(line, end)
			return err
		})},
		{"message", 64, 1, switchboard.Messages(lines, func(c *switchboard.Conn, line []byte) error {
			return c.WriteMessage(lines, line)
		})},
	} {
		for _, engine := range engines() {
			b.Run(c.name+"/"+engine, func(b *testing.B) {
				s := newServer(b, engine)
				s.Loops, s.Accept = 1, everyone(c.handler)
				exchange(b, call(b, start(b, s)), c.size, c.ahead)
			})
		}
	}
	for _, engine := range engines() {
		b.Run("64B-piped/"+engine, func(b *testing.B) {
			target, proxy := newServer(b, "auto"), newServer(b, engine)
			target.Loops, target.Accept = 1, everyone(echo)
			address := start(b, target)
			proxy.Loops, proxy.Accept = 1, func(c *switchboard.Conn) (switchboard.Handler, error) {
				h := switchboard.DataFunc(func(*switchboard.Conn, []byte) (int, error) { return 0, nil })
				back, err := c.Dial(context.Background(), address, h)
				if err == nil {
					c.Do(func() { switchboard.Pipe(c, back) })
				}
				return h, err
			}
			exchange(b, call(b, start(b, proxy)), 64, 1)
		})
	}
}

// exchange sends messages and reads them back, with so many ahead.
func exchange(b *testing.B, p peer, size, ahead int) {
	conn := p.Conn
	conn.SetDeadline(time.Time{})
	message := append(bytes.Repeat([]byte("x"), size-1), '\n')
	all := bytes.Repeat(message, ahead)
	back := make([]byte, len(all))
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		if n%ahead != 0 {
			continue // these have gone with the first
		}
		conn.Write(all)
		if _, err := io.ReadFull(conn, back); err != nil {
			b.Fatal(err)
		}
	}
}

func onEachEngine(b *testing.B, f func(b *testing.B, s *switchboard.Server)) {
	for _, engine := range engines() {
		b.Run(engine, func(b *testing.B) { f(b, newServer(b, engine)) })
	}
}

// One message to each of a thousand connections, from a goroutine that is none of theirs, until all have it.
func BenchmarkBroadcast(b *testing.B) {
	onEachEngine(b, func(b *testing.B, s *switchboard.Server) {
		const many = 1000
		conns := accepted(s, echo)
		address := start(b, s)
		var fds [many]int
		var to [many]*switchboard.Conn
		for i := range many {
			fds[i] = plug(b, address)
			to[i] = next(b, conns)
		}
		defer func() {
			for _, fd := range fds {
				unix.Close(fd)
			}
		}()
		message, heard := make([]byte, 64), make([]byte, 64)
		b.ReportAllocs()
		for b.Loop() {
			for _, c := range to {
				c.Write(message)
			}
			for _, fd := range fds {
				for n := 0; n < len(message); {
					m, err := unix.Read(fd, heard[n:])
					if err != nil || m == 0 {
						b.Fatal(m, err)
					}
					n += m
				}
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/many, "ns/message")
	})
}

// A function run on a connection's loop, by a goroutine that waits for it.
func BenchmarkDo(b *testing.B) {
	onEachEngine(b, func(b *testing.B, s *switchboard.Server) {
		conns := accepted(s, echo)
		fd := plug(b, start(b, s))
		defer unix.Close(fd)
		c := next(b, conns)
		ran := make(chan bool, 1)
		f := func() { ran <- true }
		b.ReportAllocs()
		for b.Loop() {
			c.Do(f)
			<-ran
		}
	})
}

// A connection made, used once and closed.
func BenchmarkConnectEchoClose(b *testing.B) {
	onEachEngine(b, func(b *testing.B, s *switchboard.Server) {
		var gone atomic.Int64
		s.Trace = &switchboard.Trace{Closed: func(*switchboard.Conn, error) { gone.Add(1) }}
		s.Accept = everyone(echo)
		address := start(b, s)
		said, heard := make([]byte, 64), make([]byte, 64)
		made := int64(0)
		b.ReportAllocs()
		for b.Loop() {
			fd := plug(b, address)
			thereAndBack(b, fd, said, heard)
			unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}) // no TIME_WAIT: there are 28,000 ports
			unix.Close(fd)
			made++
		}
		for gone.Load() < made {
			time.Sleep(time.Millisecond)
		}
	})
}
