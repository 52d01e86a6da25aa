//go:build linux

package switchboard

import (
	"flag"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"net"
	"net/netip"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/switchboard-go/switchboard/internal/engine"
	"github.com/switchboard-go/switchboard/internal/engine/simkernel"
)

var (
	simSeed = flag.Uint64("seed", 0, "TestSimulation plays only this seed, or so many as -seeds says from this one on")
	simMany = flag.Uint64("seeds", 0, "TestSimulation plays so many seeds on each engine; 0: 1000, and fewer with -short or -race")
	simFor  = flag.Duration("play", 0, "TestSimulation plays for so long on each engine, seeds that it has not played before")
	simWait = flag.Duration("patience", 2*time.Minute, "TestSimulation takes a seed that lasts longer for one that does not end; most take milliseconds")
	simLog  = flag.Bool("log", false, "TestSimulation prints what happens")
)

// TestSimulation plays a server against the simulated kernel, see docs/simulator.md.
func TestSimulation(t *testing.T) {
	for _, name := range []string{"epoll", "uring"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first, n := uint64(1), uint64(usualSeeds)
			switch begun := time.Now(); {
			case *simSeed != 0:
				first, n = *simSeed, max(1, *simMany)
			case *simFor > 0:
				first, n = uint64(begun.UnixNano()), 1<<62
			case *simMany > 0:
				n = *simMany
			case testing.Short():
				n = usualSeeds / 10
			}
			begun := time.Now()
			for seed := first; seed < first+n; seed++ {
				if err := simulate(t, name, seed); err != nil {
					t.Fatalf("seed %d: %v\nplay it again: go test -run '%s' -seed %d -log .", seed, err, t.Name(), seed)
				}
				if *simFor > 0 && time.Since(begun) > *simFor {
					t.Logf("%d seeds", seed-first+1)
					break
				}
			}
		})
	}
}

// A world is one run: a server with one loop, its listener, and all that connects.
type world struct {
	k          *simkernel.Kernel
	s          *Server
	rng        *rand.Rand
	ln         *listener
	listening  int
	address    netip.AddrPort
	lives      []*life
	callers    map[string]*life // of dials for a Pipe, by the address
	breaks     float64          // the chance of a panic or a Goexit in user code
	ports      uint16
	mu         sync.Mutex // see meet
	turns      int
	datas      int64         // calls of Data
	begun      time.Duration // the turn
	faults     []string
	calm       bool // nothing new is begun
	tls        bool // all that connects speaks TLS
	upgrades   bool // most of what connects begins TLS later
	admissions map[*Conn]*admission
	header     int64 // bytes that the admitters want
	refused    int64 // connections
	ends       Ends  // of those whose handler was told
	joins      bool  // some were joined
	waits      bool  // there is user code that waits
	shuts      bool  // somebody calls Shutdown
	closings   []*closing
	slept      time.Duration // the time of the goroutines' bubble
	served     chan error    // of serve
	closed     bool          // by Close
	left       int           // turns that the loops may take to end then
	steps      int           // of handshakes
	proxy      bool          // all that connects is joined with a target, and sends much
	prompt     bool          // the ring does at once what it is asked for
	spent      bool          // after the last turn, clients waited for descriptors
	until      int64         // and until then nothing is spliced
	givenUp    int64         // it was so when kernel pipes were given up for clients
	tight      bool          // memory is
	pressed    time.Duration // since when some are not read for want of it, 0 if all are
	names      map[string]*dialledName
	foreign    []*foreign // not adopted
	said       logged
	awaitings  atomic.Int64 // of the ends of contexts, see dialContext
	lacked     bool         // a client waited for a descriptor
	broken     bool         // some user code did not return
	pipes      int64        // of the kernel, when the turn began
}

func (w *world) fault(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	w.log("FAULT %s", line)
	if len(w.faults) < 10 {
		w.faults = append(w.faults, line)
	}
}

func (w *world) log(format string, args ...any) {
	if *simLog {
		fmt.Printf(format+"\n", args...)
	}
}

// chance tells whether something happens that comes once in n.
func (w *world) chance(n int) bool { return w.rng.IntN(n) == 0 }

func (w *world) among(d ...time.Duration) time.Duration { return d[w.rng.IntN(len(d))] }

// simulate plays a seed, with all its goroutines in a bubble.
func simulate(t *testing.T, name string, seed uint64) (err error) {
	defer func() {
		if v := recover(); v != nil { // a goroutine waits for ever
			err = fmt.Errorf("%v", v)
		}
	}()
	stuck := time.AfterFunc(*simWait, func() {
		debug.SetTraceback("all")
		panic(fmt.Sprintf("%s: seed %d does not end", t.Name(), seed))
	})
	defer stuck.Stop()
	synctest.Test(t, func(*testing.T) { err = play(name, seed) })
	return err
}

func play(name string, seed uint64) error {
	w := &world{k: simkernel.New(seed), rng: rand.New(rand.NewPCG(seed, 2)), callers: make(map[string]*life)}
	if *simLog {
		w.k.Trace = func(line string) { fmt.Println(line) }
	}
	if w.chance(3) {
		w.breaks = []float64{0.001, 0.01, 0.05}[w.rng.IntN(3)]
	}
	faults := w.k.Faults
	w.k.Faults = simkernel.Faults{}
	w.proxy, w.waits, w.shuts = w.chance(6), w.chance(4), w.chance(4)
	w.slept = w.k.Now()
	if err := w.build(name); err != nil {
		return err
	}
	w.k.Faults = faults
	w.prompt = faults.LateCancel+faults.Part+faults.Refused == 0 && (name != "uring" || w.k.Entries >= 8)
	if w.proxy && w.chance(2) { // a read that brings less than there is room for ends splicing
		w.k.Faults.Short = 0
	}
	for _, l := range w.s.loops {
		l.handshakes.best = 1 + w.rng.IntN(3) // else it is the machine's
	}
	w.k.Wide, w.k.Target = w.proxy, w.target
	w.k.Play = w.play
	w.k.Between = w.between
	if w.chance(4) {
		w.names = make(map[string]*dialledName)
	}
	for range w.rng.IntN(8) / 5 {
		w.openForeign()
	}
	for range 1 + w.rng.IntN(12) {
		w.k.Call(w.listening, time.Duration(w.rng.IntN(200_000))*time.Microsecond)
	}
	for range w.rng.IntN(4) {
		w.k.Call(w.listening, time.Duration(w.rng.IntN(20_000))*time.Millisecond)
	}
	w.serveAll()
	w.finish()
	if all := append(w.faults, w.k.Violations()...); len(all) > 0 {
		return fmt.Errorf("engine %s, turn %d, %+v:\n%s", name, w.turns, w.s.limits, strings.Join(all, "\n"))
	}
	return nil
}

// build makes the server and its loop, but not the goroutine that would run it.
func (w *world) build(name string) error {
	s := &Server{
		Accept:      w.accept,
		Engine:      name,
		Loops:       1 + w.rng.IntN(4)/2*w.rng.IntN(2),
		ReadBuffer:  []int{256, 1024, 4096, 16 << 10, 64 << 10}[w.rng.IntN(5)],
		HighWater:   []int{1000, 4096, 16 << 10, 64 << 10, 300_000}[w.rng.IntN(5)],
		SlowCall:    -1,
		DialControl: w.control,
		Logger:      slog.New(&w.said),
		Trace: &Trace{
			Opened: func(c *Conn) { w.mayBreak(w.lifeOf(c)) },
			Closed: func(c *Conn, err error) { w.mayBreak(w.lifeOf(c)) },
			Refused: func(c *Conn, err error) {
				w.refused++
				w.checkRefused(c, err)
				w.mayBreak(nil)
			},
		},
		kernel: w.k,
		lookup: w.lookup,
	}
	s.InputLimit = s.ReadBuffer * (1 + w.rng.IntN(4))
	s.QueueLimit = s.HighWater * (1 + w.rng.IntN(4))
	s.LowWater = 1 + w.rng.IntN(s.HighWater-1)
	s.IdleTimeout = w.among(0, 0, 50*time.Millisecond, time.Second, math.MaxInt64)
	s.WriteTimeout = w.among(-1, 0, 100*time.Millisecond, 2*time.Second)
	s.LingerTimeout = w.among(-1, 0, 0, 100*time.Millisecond)
	s.HalfCloseTimeout = w.among(0, 0, 500*time.Millisecond)
	s.DialTimeout = w.among(0, 0, 50*time.Millisecond)
	if w.chance(4) {
		s.MaxConns = 1 + w.rng.IntN(5)
	}
	if w.chance(4) {
		w.k.MaxFiles = 6 + w.rng.IntN(20)
	} else if w.proxy && w.chance(3) {
		w.k.MaxFiles = 12 + w.rng.IntN(20)
	}
	s.MessageTimeout = w.among(0, 0, 0, 50*time.Millisecond, time.Second)
	w.tls = w.chance(3)
	w.upgrades = !w.tls && w.chance(6)
	if w.tls || w.upgrades {
		w.secure(s)
	}
	if w.chance(6) {
		w.admit(s)
	}
	s.MemoryLimit = 1 << 40 // all is counted
	if w.proxy {
		s.ReadBuffer = []int{256, 1024, 4096}[w.rng.IntN(3)]
		s.InputLimit = max(s.InputLimit, s.ReadBuffer)
	}
	var err error
	if s.limits, err = s.resolve(); err != nil {
		return err
	}
	if w.tight = w.chance(6); w.tight { // less than resolve allows: these connections hold little
		s.limits.MemoryLimit = int64(s.limits.Loops * (20_000 + w.rng.IntN(300_000)))
	}
	s.limits.pipes = w.rng.IntN(4)
	if w.proxy {
		s.limits.pipes++
	}
	s.trace = s.Trace
	w.s = s
	s.origins.Store(&[]*origin{newOrigin(nil, s.limits.Loops)})
	for i := range s.limits.Loops {
		l, err := newLoop(s, i, &s.limits)
		if err != nil {
			return err
		}
		w.watchEngine(l)
		s.loops = append(s.loops, l)
	}
	s.listeners, s.state = make(map[*listener]struct{}), serverRunning
	s.running.Store(int64(len(s.loops)))
	s.ended = make(chan struct{})

	w.address = netip.MustParseAddrPort("10.0.0.1:7")
	var addr net.Addr = net.TCPAddrFromAddrPort(w.address)
	if w.chance(4) {
		w.listening = w.k.ListenUnix("/socket", 1+w.rng.IntN(8))
		addr = &net.UnixAddr{Name: "/socket", Net: "unix"}
	} else {
		w.listening = w.k.Listen(w.address, 1+w.rng.IntN(8))
	}
	w.ln = &listener{line: engine.Listener{FD: w.listening}, addr: addr, tls: s.TLSConfig}
	w.served = make(chan error, 1)
	go func() { w.served <- s.serve(w.ln) }()
	synctest.Wait()
	return nil
}

// serve runs l's goroutine, and another one as often as a handler ends it, until l has ended.
func (w *world) serve(l *loop) {
	for returned := false; !returned; {
		done := make(chan struct{})
		go func() {
			defer close(done)
			defer func() {
				if !returned {
					w.log("the goroutine of loop %d ends", l.number)
					if !l.exiting {
						w.fault("the loop's goroutine ended, and no handler did it")
						returned = true
						return
					}
					l.exiting = false
					l.current.Store(nil)
					l.engine.Evacuate()
				}
			}()
			w.run(l)
			returned = true
		}()
		<-done
	}
}

// serveAll runs all loops, one at a time.
func (w *world) serveAll() {
	if len(w.s.loops) == 1 {
		w.serve(w.s.loops[0])
		return
	}
	var all sync.WaitGroup
	for _, l := range w.s.loops {
		all.Go(func() {
			w.k.Join()
			w.serve(l)
			w.k.Leave()
		})
		synctest.Wait()
	}
	w.k.Start()
	all.Wait()
}

// run turns l until it has ended. The first loop ends the run when nothing will happen any more.
func (w *world) run(l *loop) {
	idle := 0
	for more := true; more; {
		if !w.closed {
			w.outside()
		}
		waits, progress, disturbed, steps := w.k.Waits(), w.k.Progress(), w.k.Disturbed(), w.steps
		w.log("turn %d, of loop %d", w.turns, l.number)
		w.before()
		more = l.turn()
		w.check(l)
		if w.k.Waits() != waits || w.k.Progress() != progress || w.k.Disturbed() != disturbed || w.steps != steps || w.k.Quiet() {
			idle = 0
		} else if idle++; idle > 30 {
			w.fault("the loop spins")
		}
		if w.turns++; w.turns > 300_000 {
			w.fault("it does not end")
		}
		switch {
		case w.closed:
			synctest.Wait()
			w.orderAll()
			if w.left--; w.left < 0 {
				w.fault("Close does not end the loop: %d lines are left", l.conns.Len())
				l.close()
				return
			}
		case len(w.faults) > 0 || w.over():
			if len(w.faults) == 0 {
				w.checkEnd()
			}
			w.close()
		}
	}
	l.close()
}

// over tells whether nothing will happen any more.
func (w *world) over() bool {
	for _, l := range w.s.loops {
		l.mu.Lock()
		given := len(l.given) > 0
		l.mu.Unlock()
		if l.left() || len(l.list) > 0 || given {
			return false
		}
	}
	return w.k.Quiet() || w.k.Now() > never
}

// never is when a run ends that waits for a timeout of centuries.
const never = 10_000 * time.Hour

// close closes the server, as kindly as the kernel can be.
func (w *world) close() {
	w.checkLeft()
	w.k.Faults, w.k.Between, w.breaks, w.calm = simkernel.Faults{}, nil, 0, true
	w.closed, w.left = true, 10_000
	w.s.Close()
	synctest.Wait()
}

// finish looks whether all is given back, when the loops have ended.
func (w *world) finish() {
	synctest.Wait()
	if !w.closed { // Shutdown has ended the loops
		w.checkLeft()
		w.calm = true
	}
	for _, f := range w.lives {
		if f.block != nil {
			close(f.block.orders)
		}
	}
	w.settle()
	for _, s := range w.closings {
		if !s.over {
			w.fault("Shutdown waits, and the loops have ended")
		}
	}
	if err := <-w.served; err != ErrServerClosed {
		w.fault("serving ended: %v", err)
	}
	for _, p := range w.k.Peers() {
		p.Stop()
	}
	for _, f := range w.lives {
		if f.told && f.closed != 1 {
			w.fault("%v: Closed was called %d times", f, f.closed)
		}
	}
	w.leaveForeign()
	if open := w.k.OpenFiles(); !slices.Equal(open, []int{w.listening}) && len(w.faults) == 0 {
		w.fault("descriptors %v are open at the end, and only %d should be", open, w.listening)
	}
	if n := w.s.active.Load(); n != 0 {
		w.fault("%d connections are counted at the end", n)
	}
	if n := w.s.splices.pipes.Load(); n != 0 {
		w.fault("%d kernel pipes are counted at the end", n)
	}
	w.checkAdmissions()
	if len(w.faults) == 0 {
		w.checkStats()
		w.checkLog()
	}
	for _, l := range w.s.loops {
		w.log("loop %d spliced %d bytes", l.number, l.count.Spliced)
		if len(w.faults) == 0 {
			w.checkNothingLeft(l)
		}
		if n := l.active.Load(); n != 0 {
			w.fault("loop %d counts %d connections at the end", l.number, n)
		}
		if q := l.count.Queued; q != 0 {
			w.fault("%d bytes are counted as queued at the end", q)
		}
	}
}

// between is called by the kernel before a call: other goroutines run when the loop waits, or is about to.
func (w *world) between(call string) {
	switch call {
	case "sleep", "select", "io_uring_enter, which waits", "accept", "epoll_wait":
		w.outside()
	}
}

// mayBreak panics, or ends the goroutine, in user code.
func (w *world) mayBreak(f *life) {
	if w.breaks == 0 || w.rng.Float64() >= w.breaks {
		return
	}
	if f != nil {
		f.broke = true
	}
	w.log("%v breaks", f)
	w.broken = true
	if w.chance(2) {
		panic("for testing")
	}
	runtime.Goexit()
}

// target is Kernel.Target.
func (w *world) target(address string) simkernel.Outcome {
	w.attempt(address)
	if w.proxy && !w.chance(8) {
		return simkernel.Accepts
	}
	return simkernel.ByChance
}

func (w *world) control(fd int) error {
	w.mayBreak(nil)
	if w.chance(30) {
		return fmt.Errorf("no")
	}
	return nil
}
