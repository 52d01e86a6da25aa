//go:build unix

package switchboard_test

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

// drainer writes whenever it may, until it has written enough.
type drainer struct {
	*watched
	rest  int
	turns int
}

func (d *drainer) Drained(c *switchboard.Conn) {
	d.turns++
	d.fill(c)
}

func (d *drainer) fill(c *switchboard.Conn) {
	for d.rest > 0 {
		n := min(d.rest, 10_000)
		if _, err := c.Write(bytes.Repeat([]byte{byte(d.rest)}, n)); errors.Is(err, switchboard.ErrQueueFull) {
			return
		}
		d.rest -= n
	}
	c.Close()
}

func TestDrainedTellsWhenToWriteOn(t *testing.T) {
	for _, limits := range []struct{ low, high, limit int }{{0, 0, 0}, {1000, 20_000, 30_000}, {10_000, 20_000, 20_000}, {1, 2, 10_000}} {
		onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
			s.LowWater, s.HighWater, s.QueueLimit = limits.low, limits.high, limits.limit
			const size = 8_000_000
			d := &drainer{watched: watch(nil), rest: size}
			conns := accepted(s, d)
			p := call(t, start(t, s))
			c := next(t, conns)
			c.Do(func() { d.fill(c) })
			eventually(t, "the queue is full", c.Full)
			got, err := io.Copy(io.Discard, p)
			p.Close()
			if err != nil || got != size {
				t.Fatalf("heard %d, %v", got, err)
			}
			if err := next(t, d.ended); err != nil || d.turns == 0 {
				t.Errorf("ended with %v after %d turns", err, d.turns)
			}
		})
	}
}

// A Drainer that is refused again and again is not called again before the peer has taken something.
func TestDrainerThatIsRefusedDoesNotSpin(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		s.LowWater, s.HighWater, s.QueueLimit = 50_000, 64_000, 64_000
		d := &drainer{watched: watch(nil)}
		var turns count
		s.Accept = func(c *switchboard.Conn) (switchboard.Handler, error) {
			h := &insister{drainer: d, turns: &turns}
			c.Do(func() { h.Drained(c) })
			return h, nil
		}
		p := call(t, start(t, s))
		p.hears(strings.Repeat("x", 1000))
		var before int64
		eventually(t, "the queue is stuck", func() bool {
			last := before
			before = turns.Load()
			time.Sleep(5 * time.Millisecond)
			return last == turns.Load()
		})
		stays(t, "no turn is taken", func() bool { return turns.Load() == before })
	})
}

// insister writes large messages for ever, as far as it may.
type insister struct {
	*drainer
	turns *count
}

func (h *insister) Drained(c *switchboard.Conn) {
	h.turns.Add(1)
	for {
		if _, err := c.Write(bytes.Repeat([]byte("x"), 40_000)); err != nil {
			return
		}
	}
}

// Nobody who waits for Drained may wait for ever.
func TestWriteThatNoQueueCanHoldIsAnotherError(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, s *switchboard.Server) {
		s.QueueLimit = 100_000
		conns := accepted(s, echo)
		call(t, start(t, s))
		c := next(t, conns)
		n, err := c.Write(make([]byte, 100_001))
		if n != 0 || err == nil || errors.Is(err, switchboard.ErrQueueFull) || !strings.Contains(err.Error(), "QueueLimit") {
			t.Errorf("%d, %v", n, err)
		}
		if c.Full() {
			t.Error("an empty queue is Full")
		}
		if n, err := c.Write(make([]byte, 100_000)); n != 100_000 || err != nil {
			t.Errorf("%d, %v", n, err)
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
					if _, err := c.Write([]byte("hello")); err != nil {
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
		if err := next(t, ended); !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
			t.Errorf("the end was %v", err)
		}
	})
}
