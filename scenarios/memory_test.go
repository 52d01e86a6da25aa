//go:build unix

package scenarios

import (
	"bufio"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/frame"
	"golang.org/x/sys/unix"
)

// plug connects without a net.Conn, which would cost memory here.
func plug(t testing.TB, address string) int {
	t.Helper()
	a, err := net.ResolveTCPAddr("tcp4", address)
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	unix.CloseOnExec(fd)
	if err := unix.Connect(fd, &unix.SockaddrInet4{Port: a.Port, Addr: [4]byte(a.IP.To4())}); err != nil {
		t.Fatal(err)
	}
	return fd
}

func TestIdleConnectionOwnsOneStructAndNothingElse(t *testing.T) {
	inTheClear(t, func(t *testing.T, s *switchboard.Server) {
		const many = 1000
		s.Accept = everyone(echo)
		s.IdleTimeout = time.Hour // a timer for each, that costs nothing either
		address := start(t, s)
		var fds [many]int
		talk := func(n int) {
			var b [1]byte
			for _, fd := range fds[:n] {
				unix.Write(fd, b[:])
				unix.Read(fd, b[:])
			}
		}
		heap := func() int64 {
			var m runtime.MemStats
			for range 3 { // what pools hold is gone after two
				runtime.GC()
			}
			runtime.ReadMemStats(&m)
			return int64(m.HeapAlloc)
		}
		fds[0] = plug(t, address)
		talk(1)
		before, goroutines := heap(), runtime.NumGoroutine()
		for i := 1; i < many; i++ {
			fds[i] = plug(t, address)
		}
		talk(many)
		if each := (heap() - before) / (many - 1); each > 400 {
			t.Errorf("%d bytes of heap for each", each)
		}
		if n := runtime.NumGoroutine(); n > goroutines {
			t.Errorf("%d goroutines, %d before", n, goroutines)
		}
		for _, fd := range fds {
			unix.Close(fd)
		}
	})
}

// thereAndBack says something and hears an answer of the same length, without an allocation of its own.
func thereAndBack(t testing.TB, fd int, said, heard []byte) {
	if _, err := unix.Write(fd, said); err != nil {
		t.Fatal(err)
	}
	for n := 0; n < len(said); {
		m, err := unix.Read(fd, heard[n:])
		if err != nil || m == 0 {
			t.Fatalf("%d bytes, %v", m, err)
		}
		n += m
	}
}

// What is allocated per message is counted over many, so that what the runtime does beside does not matter.
func TestMessagesAllocateNothing(t *testing.T) {
	const messages = 3000
	line, lines := []byte(strings.Repeat("x", 63)+"\n"), frame.Lines(0)
	for name, accept := range map[string]func(c *switchboard.Conn) switchboard.Handler{
		"echo": func(c *switchboard.Conn) switchboard.Handler { return echo },
		"an answer in pieces": func(c *switchboard.Conn) switchboard.Handler {
			return switchboard.DataFunc(func(c *switchboard.Conn, p []byte) (int, error) {
				c.Write(p[:10])
				c.Writev(p[10:20], p[20:])
				return len(p), nil
			})
		},
		"an input in pieces": func(c *switchboard.Conn) switchboard.Handler {
			return switchboard.DataFunc(func(c *switchboard.Conn, p []byte) (int, error) { return c.Write(p[:min(len(p), 7)]) })
		},
		"Frames": func(c *switchboard.Conn) switchboard.Handler {
			return switchboard.Frames(bufio.ScanLines, func(c *switchboard.Conn, m []byte) error {
				_, err := c.Writev(m, line[63:])
				return err
			})
		},
		"Messages": func(c *switchboard.Conn) switchboard.Handler {
			return switchboard.Messages(lines, func(c *switchboard.Conn, m []byte) error { return c.WriteMessage(lines, m) })
		},
		"a timer moved": func(c *switchboard.Conn) switchboard.Handler {
			timer := c.After(time.Hour, func() {})
			return switchboard.DataFunc(func(c *switchboard.Conn, p []byte) (int, error) {
				timer.Reset(time.Hour)
				return c.Write(p)
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			inTheClear(t, func(t *testing.T, s *switchboard.Server) {
				s.IdleTimeout = time.Minute
				s.Accept = func(c *switchboard.Conn) (switchboard.Handler, error) { return accept(c), nil }
				fd := plug(t, start(t, s))
				defer unix.Close(fd)
				heard := make([]byte, len(line))
				for range 100 {
					thereAndBack(t, fd, line, heard)
				}
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				for range messages {
					thereAndBack(t, fd, line, heard)
				}
				runtime.ReadMemStats(&after)
				each := float64(after.Mallocs-before.Mallocs) / messages
				if each > mostAllocations {
					t.Errorf("%.2f allocations a message", each)
				}
			})
		})
	}
}

// Neither do writes from a goroutine to a connection whose loop sleeps.
func TestWritesFromElsewhereAllocateNothing(t *testing.T) {
	inTheClear(t, func(t *testing.T, s *switchboard.Server) {
		const messages = 3000
		conns := accepted(s, echo)
		fd := plug(t, start(t, s))
		defer unix.Close(fd)
		c := next(t, conns)
		message, heard := make([]byte, 64), make([]byte, 64)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range messages {
			c.Write(message)
			unix.Read(fd, heard)
		}
		runtime.ReadMemStats(&after)
		if each := float64(after.Mallocs-before.Mallocs) / messages; each > mostAllocations {
			t.Errorf("%.2f allocations a message", each)
		}
	})
}
