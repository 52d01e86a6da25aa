package engine

import (
	"time"

	"github.com/switchboard-go/switchboard/internal/uring"
)

// gather decides how many completions a busy loop waits for at once.
//
// A loop that takes what is there, turn after turn, keeps finding a few messages and changes between its own work and the
// kernel's for each few. Letting some tens gather costs them a tenth of a millisecond at most, and makes a message 5 to 10
// percent cheaper. So many are waited for as keep coming in time: one more after each turn that brought them, and none, for
// a while, after one that did not. Big messages gain nothing by it, and would take all buffers.
type gather struct {
	size    int // to be waited for, if the loop is busy
	brought int // completions, by the turn before
	bytes   int // in them
}

const (
	gatherLeast = 8
	gatherMost  = 256
	gatherShare = 3 // of the loop's lines no more than one in so many: the rest is being served meanwhile
	gatherWait  = 100 * time.Microsecond
)

// worth returns how many completions to wait for, which is zero if the loop is not busy.
func (g *gather) worth(c Config) int {
	n := min(g.size, gatherMost, c.Lines.Len()/gatherShare)
	if n < gatherLeast || g.brought < gatherLeast || g.bytes > c.ReadBuffer {
		return 0
	}
	return n
}

// came tells whether they came in time.
func (g *gather) came(all bool) {
	if !all {
		g.size = 0
	}
}

// turn tells what a turn brought.
func (g *gather) turn(done []uring.CQE) {
	g.brought, g.bytes = len(done), 0
	for i := range done {
		g.bytes += int(max(done[i].Res, 0))
	}
	if g.brought >= gatherLeast {
		g.size = min(g.size+1, gatherMost)
	}
}
