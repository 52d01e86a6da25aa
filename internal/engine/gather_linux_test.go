package engine

import (
	"testing"

	"github.com/switchboard-go/switchboard/internal/uring"
)

func TestOnlyABusyLoopOfManyConnectionsLetsMessagesGather(t *testing.T) {
	busy := func(lines int) Config {
		c := Config{ReadBuffer: 64 << 10, Lines: new(Table)}
		for range lines {
			c.Lines.Add(new(Line))
		}
		return c
	}
	small, big := make([]uring.CQE, 2*gatherLeast), make([]uring.CQE, 2*gatherLeast)
	for i := range big {
		small[i].Res, big[i].Res = 64, 16<<10
	}
	after := func(conns int, done []uring.CQE, turns int) int {
		w := gather{}
		for range turns {
			w.turn(done)
		}
		return w.worth(busy(conns))
	}
	for _, c := range []struct {
		what  string
		conns int
		done  []uring.CQE
		turns int
		n     int
	}{
		{"a loop that was busy for a turn", 1000, small, 1, 0},
		{"a busy loop", 1000, small, 3 * gatherLeast, 3 * gatherLeast},
		{"a loop that is busy for long", 10_000, small, 10 * gatherMost, gatherMost},
		{"a loop with few connections", gatherShare * (gatherLeast - 1), small, 100, 0},
		{"a loop with some", gatherShare * gatherLeast, small, 100, gatherLeast},
		{"a loop with a little to do in a turn", 1000, small[:gatherLeast-1], 100, 0},
		{"a loop that moves much", 1000, big, 100, 0},
	} {
		if n := after(c.conns, c.done, c.turns); n != c.n {
			t.Errorf("%s waits for %d, want %d", c.what, n, c.n)
		}
	}
	w := gather{size: 100, brought: 100}
	w.came(true)
	if n := w.worth(busy(1000)); n != 100 {
		t.Errorf("after they came in time it waits for %d", n)
	}
	w.came(false)
	if n := w.worth(busy(1000)); n != 0 {
		t.Errorf("after they did not come in time it waits for %d", n)
	}
}
