//go:build unix

package switchboard_test

import (
	"bytes"
	"context"
	"io"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/frame"
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
