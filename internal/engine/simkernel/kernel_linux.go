// Package simkernel is a kernel that a seed drives, for tests of the engines and of what stands on them.
//
// A Kernel implements engine.Kernel, and the ring of a completion engine, in the memory of one process. It is Linux as far as
// a program can see it: sockets, listeners, pipes, epoll, io_uring, with their poll masks, their errnos and the order of
// their completions. It does everything that Linux may do and seldom does: short counts, late cancellations, queues that
// overflow, no descriptors, a clock that jumps. The same seed, asked the same things, always does the same.
//
// The peers of the connections live inside it, see [Peer]. Nothing sleeps: who waits moves the simulated clock to the next
// moment at which a peer or the network does something.
package simkernel

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// A Kernel is one simulated system. Its methods may be called from any goroutine, but a run is the same again only if they
// are called in the same order.
type Kernel struct {
	// Between, if it is set, is called before some of the calls: there a test plays what other goroutines do. call is the
	// name of the call.
	Between func(call string)

	// Target says what happens to a connection to an address at which nobody listens in the simulation. Nil: chance.
	Target func(address string) Outcome

	// Play prepares a peer before its connection is there. Nil leaves it the plan that chance has made.
	Play func(p *Peer)

	// Trace, if it is set, is told of every call, and of what the ring does.
	Trace func(line string)

	// Faults are chosen by the seed. A test may change them.
	Faults Faults

	// MaxFiles is how many descriptors there can be. Zero means 1000.
	MaxFiles int

	// Wide gives all sockets large buffers.
	Wide bool

	// Entries is how long the submission queue of the last ring is. Zero: there is none.
	Entries int

	mu         sync.Mutex
	rng        *rand.Rand
	now        time.Duration
	events     []event
	sequence   uint64
	files      []*file // by descriptor
	listeners  []*listener
	peers      []*Peer
	port       uint16
	waits      int
	disturbed  int
	threads    int // if there are several
	waiting    []*waiter
	outage     time.Duration // the ring takes nothing until then
	progress   int
	quiet      bool
	violations []string
}

// Faults are the chances of what can go wrong, each for one call that it can happen to.
type Faults struct {
	Short      float64 // less than there is room for is received, sent or spliced
	Again      float64 // EAGAIN though there is something
	NoFiles    float64 // EMFILE, ENFILE, ENOMEM or ENOBUFS of a call that makes a descriptor
	NoBuffers  float64 // ENOBUFS of a receive of the ring
	NoMemory   float64 // ENOMEM of a receive, a registration or a batch
	Refused    float64 // the ring takes nothing of what was submitted
	Part       float64 // the ring takes only a part
	Outage     float64 // the ring takes nothing for up to five seconds
	Later      float64 // what is complete is told of in a later call
	LateCancel float64 // a cancelled operation goes on for a while
	Spurious   float64 // a wait ends for nothing, or a descriptor is told to be ready that is not
	Jump       float64 // the process is stopped for up to five seconds
	Between    float64 // Between is called
}

// New makes the kernel of a seed.
func New(seed uint64) *Kernel {
	k := &Kernel{rng: rand.New(rand.NewPCG(seed, 0x5eed)), port: 20000, MaxFiles: 1000}
	k.now = time.Duration(k.rng.Int64N(int64(time.Hour)))
	// A seed has some of the faults and not others: a fault that comes all the time hides what another would show.
	for _, chance := range []*float64{&k.Faults.Short, &k.Faults.Again, &k.Faults.NoFiles, &k.Faults.NoBuffers, &k.Faults.NoMemory,
		&k.Faults.Refused, &k.Faults.Part, &k.Faults.Later, &k.Faults.LateCancel, &k.Faults.Spurious} {
		*chance = []float64{0, 0, 0, 0.02, 0.1, 0.3}[k.rng.IntN(6)]
	}
	k.Faults.Outage = []float64{0, 0, 0, 0.01}[k.rng.IntN(4)]
	k.Faults.Jump = []float64{0, 0, 0.0002, 0.002}[k.rng.IntN(4)]
	k.Faults.Between = []float64{0, 0.02, 0.1}[k.rng.IntN(3)]
	return k
}

// Now implements engine.Kernel.
func (k *Kernel) Now() time.Duration {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.now
}

// Rand gives the test numbers of the seed's.
func (k *Kernel) Rand(n int) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.rng.IntN(n)
}

// After calls f when d has passed, in the midst of whatever call it is in which that happens.
func (k *Kernel) After(d time.Duration, f func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.after(d, func() {
		k.mu.Unlock()
		defer k.mu.Lock()
		f()
	})
}

// Waits counts the waits that moved the clock.
func (k *Kernel) Waits() int { return k.read(&k.waits) }

// Disturbed counts the faults that happened.
func (k *Kernel) Disturbed() int { return k.read(&k.disturbed) }

// Progress counts what went on for good: bytes that moved, connections that came, ends and errors that were told.
func (k *Kernel) Progress() int { return k.read(&k.progress) }

func (k *Kernel) read(n *int) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return *n
}

// Quiet tells whether the last wait had nothing to wait for: nobody will do anything any more.
func (k *Kernel) Quiet() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.quiet
}

// Violations lists what the program did and must not do: mostly, calls on descriptors that are not open.
func (k *Kernel) Violations() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.violations)
}

func (k *Kernel) violated(format string, args ...any) {
	if len(k.violations) < 20 {
		k.violations = append(k.violations, fmt.Sprintf("at %v: ", k.now)+fmt.Sprintf(format, args...))
	}
}

func (k *Kernel) trace(format string, args ...any) {
	if k.Trace != nil {
		k.Trace(fmt.Sprintf("%v ", k.now) + fmt.Sprintf(format, args...))
	}
}

// call begins a call of the program's: time passes, and what has come due happens. The caller unlocks k.mu.
func (k *Kernel) call(name string) {
	if k.Between != nil {
		k.mu.Lock()
		hit := k.rng.Float64() < k.Faults.Between
		k.mu.Unlock()
		if hit {
			k.Between(name)
		}
	}
	k.mu.Lock()
	k.advance(k.now + time.Duration(k.rng.IntN(4))*time.Microsecond)
	k.trace("%s", name)
	k.quiet = false
	if k.chance(k.Faults.Jump) {
		k.advance(k.now + time.Duration(k.rng.Int64N(int64(5*time.Second))))
	}
}

// chance tells whether a fault happens.
func (k *Kernel) chance(p float64) bool {
	if p == 0 || k.rng.Float64() >= p {
		return false
	}
	k.disturbed++
	k.trace("  a fault")
	return true
}

// upTo returns a number from 1 to n, mostly n.
func (k *Kernel) upTo(n int) int {
	if n > 1 && k.chance(k.Faults.Short) {
		return 1 + k.rng.IntN(n-1)
	}
	return n
}

// An event is something that happens at its time.
type event struct {
	at       time.Duration
	sequence uint64
	f        func()
}

func (e event) before(o event) bool { return e.at < o.at || e.at == o.at && e.sequence < o.sequence }

// after has f happen later. The events are a heap.
func (k *Kernel) after(d time.Duration, f func()) {
	k.sequence++
	k.events = append(k.events, event{k.now + d, k.sequence, f})
	q := k.events
	for i := len(q) - 1; i > 0 && q[i].before(q[(i-1)/2]); i = (i - 1) / 2 {
		q[i], q[(i-1)/2] = q[(i-1)/2], q[i]
	}
}

func (k *Kernel) first() func() {
	q := k.events
	f := q[0].f
	last := len(q) - 1
	q[0] = q[last]
	q[last] = event{}
	q = q[:last]
	k.events = q
	for i := 0; ; {
		least := i
		for c := 2*i + 1; c <= 2*i+2 && c < len(q); c++ {
			if q[c].before(q[least]) {
				least = c
			}
		}
		if least == i {
			return f
		}
		q[i], q[least] = q[least], q[i]
		i = least
	}
}

// advance moves the clock to at, and has happen what is due until then, each at its time.
func (k *Kernel) advance(at time.Duration) {
	for len(k.events) > 0 && k.events[0].at <= at {
		k.now = max(k.now, k.events[0].at)
		k.first()()
	}
	k.now = max(k.now, at)
}

// wait moves the clock until ready says that there is something, at most by d unless that is negative. It may end for
// nothing.
func (k *Kernel) wait(d time.Duration, ready func() bool) {
	k.quiet = false
	if k.threads > 1 {
		w := &waiter{ready: ready, deadline: -1}
		if d >= 0 {
			w.deadline = k.now + d
		}
		k.await(w, true)
		return
	}
	deadline := k.now + d
	for !ready() {
		if d == 0 || k.chance(k.Faults.Spurious) {
			return
		}
		if len(k.events) == 0 && d < 0 {
			k.quiet = true
			k.trace("  nothing will happen any more")
			return
		}
		k.waits++
		if len(k.events) == 0 || d > 0 && k.events[0].at > deadline {
			k.advance(deadline)
			return
		}
		k.advance(k.events[0].at)
		if d > 0 && k.now >= deadline {
			return
		}
	}
}

// latency is how long something takes on its way through the network.
func (k *Kernel) latency() time.Duration {
	switch k.rng.IntN(8) {
	case 0:
		return 0
	case 1:
		return time.Duration(k.rng.IntN(5000)) * time.Microsecond
	}
	return time.Duration(k.rng.IntN(100)) * time.Microsecond
}
