package switchboard

import (
	"testing"

	"github.com/switchboard-go/switchboard/internal/uring"
)

func TestOnlyABusyLoopOfManyConnectionsLetsMessagesGather(t *testing.T) {
	l := &loop{limits: &limits{ReadBuffer: 64 << 10}}
	small, big := make([]uring.CQE, 2*crowdLeast), make([]uring.CQE, 2*crowdLeast)
	for i := range big {
		small[i].Res, big[i].Res = 64, 16<<10
	}
	after := func(conns int, done []uring.CQE, turns int) int {
		w := crowd{}
		for range turns {
			w.turn(done)
		}
		l.active.Store(int64(conns))
		return w.worth(l)
	}
	for _, c := range []struct {
		what  string
		conns int
		done  []uring.CQE
		turns int
		n     int
	}{
		{"a loop that was busy for a turn", 1000, small, 1, 0},
		{"a busy loop", 1000, small, 3 * crowdLeast, 3 * crowdLeast},
		{"a loop that is busy for long", 10_000, small, 10 * crowdMost, crowdMost},
		{"a loop with few connections", crowdShare * (crowdLeast - 1), small, 100, 0},
		{"a loop with some", crowdShare * crowdLeast, small, 100, crowdLeast},
		{"a loop with a little to do in a turn", 1000, small[:crowdLeast-1], 100, 0},
		{"a loop that moves much", 1000, big, 100, 0},
	} {
		if n := after(c.conns, c.done, c.turns); n != c.n {
			t.Errorf("%s waits for %d, want %d", c.what, n, c.n)
		}
	}
	w := crowd{size: 100, brought: 100}
	l.active.Store(1000)
	w.came(true)
	if n := w.worth(l); n != 100 {
		t.Errorf("after they came in time it waits for %d", n)
	}
	w.came(false)
	if n := w.worth(l); n != 0 {
		t.Errorf("after they did not come in time it waits for %d", n)
	}
}
