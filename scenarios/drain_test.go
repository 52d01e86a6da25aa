package scenarios

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard"
)

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
		eventually(t, "the queue is stuck, and no turn is taken", func() bool {
			before := turns.Load()
			time.Sleep(100 * time.Millisecond)
			return turns.Load() == before
		})
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
