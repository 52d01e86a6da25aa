//go:build unix

package handler

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/internal/service"
	"github.com/switchboard-go/switchboard/socket"
)

const patience = 20 * time.Second

// start serves until the test ends, and returns where.
func start(t testing.TB, s *switchboard.Server) string {
	t.Helper()
	l, err := socket.CreateServer("127.0.0.1:0", nil)
	if err != nil {
		t.Fatal(err)
	}
	at, err := l.LocalAddr()
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.ServeSocket(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		if err := <-served; !errors.Is(err, switchboard.ErrServerClosed) {
			t.Error(err)
		}
	})
	return at.String()
}

func everyone(h switchboard.Handler) func(*switchboard.Conn) (switchboard.Handler, error) {
	return func(*switchboard.Conn) (switchboard.Handler, error) { return h, nil }
}

func call(t testing.TB, address string) *net.TCPConn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	return conn.(*net.TCPConn)
}

func TestASpeechFitsIntoAnyLimits(t *testing.T) {
	want := make([]byte, 300_000)
	if _, err := io.ReadFull(service.Chargen.Speech(), want); err != nil {
		t.Fatal(err)
	}
	for _, limits := range [][2]int{{0, 0}, {1000, 1000}, {1000, 1500}, {100_000, 100_001}, {10, 1 << 20}} {
		s := &switchboard.Server{Accept: Accept(service.Chargen), HighWater: limits[0], QueueLimit: limits[1]}
		conn := call(t, start(t, s))
		got := make([]byte, len(want))
		if _, err := io.ReadFull(conn, got); err != nil || !bytes.Equal(got, want) {
			t.Errorf("with limits %v: %v", limits, err)
		}
		conn.Close()
	}
}

// A client that takes a speech as fast as it comes leaves the others their turns.
func TestASpeechLeavesOthersTheirTurns(t *testing.T) {
	speech, echo := Accept(service.Chargen), Accept(service.Echo)
	first := true
	s := &switchboard.Server{Loops: 1, Accept: func(c *switchboard.Conn) (switchboard.Handler, error) {
		if first {
			first = false
			return speech(c)
		}
		return echo(c)
	}}
	address := start(t, s)
	greedy := call(t, address)
	over := make(chan error, 1)
	go func() {
		_, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{greedy}, make([]byte, 1<<20))
		over <- err
	}()
	other := call(t, address)
	for range 50 {
		if _, err := other.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(other, make([]byte, 5)); err != nil {
			t.Fatal(err)
		}
	}
	greedy.CloseWrite()
	greedy.SetLinger(0)
	greedy.Close()
	<-over
}

func TestLinesAreAnsweredInUpperCase(t *testing.T) {
	address := start(t, &switchboard.Server{Accept: everyone(Lines(20))})
	for said, want := range map[string]string{
		"":                             "",
		"\n":                           "\n",
		"hello\nworld\r\n\nlast":       "HELLO\nWORLD\n\nLAST\n",
		"größe ǆ\nplain z{`a\n":        "GRÖßE Ǆ\nPLAIN Z{`A\n",
		strings.Repeat("x", 20) + "\n": strings.Repeat("X", 20) + "\n",
		"ok\n" + strings.Repeat("x", 21) + "\nnot this\n": "OK\nerror: a line of more than 20 bytes\n",
		"ok\n" + strings.Repeat("x", 1000):                "OK\nerror: a line of more than 20 bytes\n",
	} {
		for _, inPieces := range []bool{false, true} {
			conn := call(t, address)
			conn.SetNoDelay(true)
			pieces := []string{said}
			if inPieces {
				pieces = strings.SplitAfter(said, "")
			}
			fails, told := strings.Contains(want, "error:"), false
			for _, p := range pieces {
				if _, err := io.WriteString(conn, p); err != nil {
					told = true // of the reset in the middle of too long a line
					break
				}
			}
			conn.CloseWrite()
			if got, err := io.ReadAll(conn); string(got) != want || !fails && err != nil || fails && !told && !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("%q in pieces %v: %q, %v, want %q", said, inPieces, got, err, want)
			}
			conn.Close()
		}
	}
}

// BenchmarkLine reports the server's allocations, as the client makes none.
func BenchmarkLine(b *testing.B) {
	conn := call(b, start(b, &switchboard.Server{Accept: everyone(Lines(1000))}))
	conn.SetDeadline(time.Time{})
	line := []byte(strings.Repeat("x", 63) + "\n")
	b.ReportAllocs()
	for b.Loop() {
		conn.Write(line)
		if _, err := io.ReadFull(conn, line); err != nil {
			b.Fatal(err)
		}
	}
	conn.Close()
}
