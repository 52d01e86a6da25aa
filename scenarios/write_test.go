package scenarios

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/internal/systest"
	"github.com/switchboard-go/switchboard/socket"
)

// packets serves on a Unix socket that keeps the bounds of what each system call sent, so that a Read of the peer tells
// what was sent in one.
func packets(t *testing.T, s *switchboard.Server) (conn func() peer) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "packets")
	l, err := socket.New(socket.AF_UNIX, socket.SOCK_SEQPACKET, 0)
	if err != nil {
		t.Skip(err)
	}
	if err := l.Bind(socket.UnixAddr(path)); err != nil {
		t.Fatal(err)
	}
	if err := l.Listen(10); err != nil {
		t.Fatal(err)
	}
	served := make(chan error)
	go func() { served <- s.ServeSocket(l) }()
	t.Cleanup(func() {
		stop(s)
		next(t, served)
	})
	return func() peer {
		c, err := net.Dial("unixpacket", path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		c.SetDeadline(time.Now().Add(patience))
		return peer{c, t}
	}
}

// hearsPacket reads what one system call sent.
func (p peer) hearsPacket(want string) {
	p.t.Helper()
	got := make([]byte, 1<<20)
	if n, err := p.Read(got); err != nil || string(got[:n]) != want {
		p.t.Fatalf("one call sent %.200q, %v; want %.200q", got[:n], err, want)
	}
}

func TestSmallWritesOfOneTurnLeaveInOneCall(t *testing.T) {
	inTheClear(t, func(t *testing.T, s *switchboard.Server) {
		pieces := func(c *switchboard.Conn) {
			for range 100 {
				c.Write([]byte("piece "))
				c.Writev([]byte("of"), nil, []byte(" it; "))
			}
		}
		conns := accepted(s, switchboard.DataFunc(func(c *switchboard.Conn, p []byte) (int, error) {
			pieces(c)
			return len(p), nil
		}))
		p := packets(t, s)()
		all := strings.Repeat("piece of it; ", 100)
		p.says("go")
		p.hearsPacket(all)
		c := next(t, conns)
		c.Do(func() { pieces(c) })
		p.hearsPacket(all)
		c.Do(func() { c.After(0, func() { pieces(c) }) })
		p.hearsPacket(all)
	})
}

func TestSeveralMessagesOfOneReadAreAnsweredInOneCall(t *testing.T) {
	inTheClear(t, func(t *testing.T, s *switchboard.Server) {
		s.Accept = everyone(switchboard.DataFunc(func(c *switchboard.Conn, p []byte) (int, error) { return c.Write(p[:1]) }))
		p := packets(t, s)()
		p.says("12345678")
		p.hearsPacket("12345678")
	})
}

func TestWritevSendsAllSlicesInOneCall(t *testing.T) {
	inTheClear(t, func(t *testing.T, s *switchboard.Server) {
		conns := accepted(s, echo)
		p := packets(t, s)()
		c := next(t, conns)
		if n, err := c.Writev([]byte("head "), []byte(""), []byte("body "), []byte("tail")); n != 14 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		p.hearsPacket("head body tail")
	})
}

func TestWritevOfVeryManySlicesKeepsThemInOrder(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		conns := accepted(s, echo)
		p := call(t, start(t, s))
		c := next(t, conns)
		all := noise(2, 400_000)
		var slices [][]byte
		for rest := []byte(all); len(rest) > 0; {
			n := min(len(rest), 1+len(slices)*7%2000)
			slices = append(slices, rest[:n])
			rest = rest[n:]
		}
		given := bytes.Join(slices, nil)
		if n, err := c.Writev(slices...); n != len(all) || err != nil {
			t.Fatal(n, err)
		}
		if !bytes.Equal(bytes.Join(slices, nil), given) {
			t.Error("Writev changed the caller's slices")
		}
		p.hears(all)
	})
}

// Each writer's messages arrive whole and in its order, whatever the others and the loop write.
func TestWritesOfManyGoroutinesKeepTheirOrder(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		const writers, each = 8, 300
		s.QueueLimit = 64 << 20
		conns := accepted(s, switchboard.DataFunc(func(c *switchboard.Conn, p []byte) (int, error) { return len(p), nil }))
		p := call(t, start(t, s))
		c := next(t, conns)
		message := func(writer, n int) []byte {
			m := bytes.Repeat([]byte{byte(writer)}, 6+n*13%5000) // some larger than what is sent at once
			binary.BigEndian.PutUint32(m, uint32(len(m)))
			binary.BigEndian.PutUint16(m[4:], uint16(n))
			return append(m, byte(writer))
		}
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() {
				for n := range each {
					send := func() {
						m := message(w, n)
						if _, err := c.Writev(m[:5], m[5:]); err != nil {
							t.Error(err)
						}
						clear(m) // Write has no more use for it
					}
					if w%2 == 0 {
						send()
					} else {
						c.Do(send)
					}
				}
			})
		}
		var seen [writers]int
		for range writers * each {
			var head [4]byte
			if _, err := io.ReadFull(p, head[:]); err != nil {
				t.Fatal(err)
			}
			m := make([]byte, binary.BigEndian.Uint32(head[:])+1)
			copy(m, head[:])
			if _, err := io.ReadFull(p, m[4:]); err != nil {
				t.Fatal(err)
			}
			w := int(m[len(m)-1])
			if w >= writers || !bytes.Equal(m, message(w, seen[w])) {
				t.Fatalf("message %d of writer %d came out of order or in pieces", seen[w], w)
			}
			seen[w]++
		}
		wg.Wait()
	})
}

func TestAGigabyteToAPeerThatNeverReadsIsRefused(t *testing.T) {
	inTheClear(t, func(t *testing.T, s *switchboard.Server) {
		conns := accepted(s, echo)
		call(t, start(t, s))
		c := next(t, conns)
		piece := make([]byte, 1<<20)
		taken, refused := 0, 0
		for range 1 << 10 {
			n, err := c.Write(piece)
			taken += n
			if err == nil {
				continue
			}
			refused++
			if !errors.Is(err, switchboard.ErrQueueFull) || n != 0 {
				t.Fatalf("Write took %d and said %v", n, err)
			}
		}
		if c.Queued() > 1<<20 || int64(taken) != c.Sent()+int64(c.Queued()) || refused < 900 {
			t.Errorf("took %d: sent %d, queued %d; refused %d", taken, c.Sent(), c.Queued(), refused)
		}
		if !c.Full() {
			t.Error("it is not Full")
		}
		if n, err := c.Write(make([]byte, 1<<30)); n != 0 || err == nil {
			t.Errorf("a gigabyte at once: %d, %v", n, err)
		}
	})
}

func TestWriteToAPeerThatResetSaysSo(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		ended := make(chan error, 1)
		s.Accept = func(c *switchboard.Conn) (switchboard.Handler, error) {
			c.Pause() // so that reading does not hear of it first
			h := watch(nil)
			h.ended = ended
			go func() {
				for {
					_, err := c.Write([]byte("hello"))
					if errors.Is(err, switchboard.ErrQueueFull) { // the loop is behind
						time.Sleep(time.Millisecond)
						continue
					}
					if err != nil {
						var op *net.OpError
						if !errors.As(err, &op) || op.Op != "write" || op.Addr == nil {
							t.Errorf("Write said %#v", err)
						}
						return
					}
				}
			}()
			return h, nil
		}
		p := call(t, start(t, s))
		p.hears("hello")
		p.resets()
		if err := next(t, ended); !systest.Is(err, syscall.ECONNRESET) && !systest.Is(err, syscall.EPIPE) {
			t.Errorf("the end was %v", err)
		}
	})
}
