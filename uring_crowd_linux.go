package switchboard

import (
	"time"

	"github.com/switchboard-go/switchboard/internal/uring"
)

// crowd decides how many completions a busy loop waits for at once.
//
// A loop that takes what is there, turn after turn, keeps finding a few messages and changes between its own work and the
// kernel's for each few. Letting some tens gather costs them a tenth of a millisecond at most, and a message 5 to 10 parts
// in 100 less. So many are waited for as keep coming in time: one more after each turn that brought them, and none, for a
// while, after one that did not. Big messages gain nothing by it, and would take all buffers.
type crowd struct {
	size    int // to be waited for, if the loop is busy
	brought int // completions, by the turn before
	bytes   int // in them
}

const (
	crowdLeast = 8
	crowdMost  = 256
	crowdShare = 3 // of the loop's connections no more than one in so many: the rest is being served meanwhile
	crowdWait  = 100 * time.Microsecond
)

// worth returns how many completions to wait for, which is zero if the loop is not busy.
func (w *crowd) worth(l *loop) int {
	n := min(w.size, crowdMost, int(l.active.Load())/crowdShare)
	if n < crowdLeast || w.brought < crowdLeast || w.bytes > l.limits.ReadBuffer {
		return 0
	}
	return n
}

// came tells whether they came in time.
func (w *crowd) came(all bool) {
	if !all {
		w.size = 0
	}
}

// turn tells what a turn brought.
func (w *crowd) turn(done []uring.CQE) {
	w.brought, w.bytes = len(done), 0
	for i := range done {
		w.bytes += int(max(done[i].Res, 0))
	}
	if w.brought >= crowdLeast {
		w.size = min(w.size+1, crowdMost)
	}
}
