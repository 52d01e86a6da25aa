package simkernel

import "time"

// Threads of a program, such as those of several loops, run one at a time: one goes on until it waits, and then it is for the
// seed to say which of those that can go on does. So a run with several of them is the same again too.

// A waiter is a thread that waits.
type waiter struct {
	ready    func() bool
	deadline time.Duration // negative: none
	turn     chan struct{}
}

// Join is called by each thread first, if there are several. It returns when it is the thread's turn.
func (k *Kernel) Join() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.threads++
	k.await(&waiter{ready: func() bool { return true }}, false)
}

// Start gives the first turn, when all threads have called Join.
func (k *Kernel) Start() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.pass()
}

// Leave ends the calling thread.
func (k *Kernel) Leave() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.threads--; k.threads > 0 {
		k.pass()
	}
}

// await waits until it is w's turn. The calling thread gives its own away if it has it.
func (k *Kernel) await(w *waiter, hasTurn bool) {
	w.turn = make(chan struct{}, 1)
	k.waiting = append(k.waiting, w)
	if hasTurn {
		k.pass()
	}
	k.mu.Unlock()
	<-w.turn
	k.mu.Lock()
}

// pass has one of the threads go on. If none can, the clock moves until one can.
func (k *Kernel) pass() {
	for {
		var able []int
		next := time.Duration(-1)
		for i, w := range k.waiting {
			switch {
			case w.ready(), w.deadline >= 0 && w.deadline <= k.now:
				able = append(able, i)
			case w.deadline >= 0 && (next < 0 || w.deadline < next):
				next = w.deadline
			}
		}
		if len(able) == 0 && k.chance(k.Faults.Spurious) {
			able = append(able, k.rng.IntN(len(k.waiting)))
		}
		if len(k.events) > 0 && (next < 0 || k.events[0].at < next) {
			next = k.events[0].at
		}
		if len(able) == 0 && next < 0 {
			k.quiet = true
			k.trace("  nothing will happen any more")
			able = append(able, 0)
		}
		if len(able) > 0 {
			i := able[k.rng.IntN(len(able))]
			w := k.waiting[i]
			k.waiting = append(k.waiting[:i], k.waiting[i+1:]...)
			w.turn <- struct{}{}
			return
		}
		k.waits++
		k.advance(next)
	}
}
