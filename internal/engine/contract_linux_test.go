package engine_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/switchboard-go/switchboard/internal/engine"
	"github.com/switchboard-go/switchboard/internal/engine/simkernel"
)

var (
	oneSeed = flag.Uint64("seed", 0, "play only this seed")
	seeds   = flag.Uint64("seeds", 0, "play so many seeds on each engine")
	logged  = flag.Bool("log", false, "print what happens")
	playFor = flag.Duration("play", 0, "play seeds for so long on each engine")
)

// play plays seeds until one fails, and says how to play that again.
func play(t *testing.T, usual uint64, one func(seed uint64) error) {
	if *oneSeed != 0 {
		if err := one(*oneSeed); err != nil {
			t.Fatal(err)
		}
		return
	}
	n, first, begun := usual, uint64(1), time.Now()
	if *seeds > 0 {
		n = *seeds
	}
	if *playFor > 0 {
		n, first = 1<<62, uint64(begun.UnixNano())
	}
	for seed := first; seed < first+n; seed++ {
		if err := one(seed); err != nil {
			t.Fatalf("seed %d: %v\nplay it again with: go test -run '%s' -seed %d", seed, err, t.Name(), seed)
		}
		if *playFor > 0 && time.Since(begun) > *playFor {
			t.Logf("%d seeds", seed-first+1)
			return
		}
	}
}

// TestContract plays an owner with nothing but an engine against the simulated kernel.
func TestContract(t *testing.T) {
	for _, name := range []string{"epoll", "uring"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			play(t, 1000, func(seed uint64) error { return contract(name, seed) })
		})
	}
}

func contract(name string, seed uint64) error {
	k := simkernel.New(seed)
	o := &owner{k: k, sim: k, rng: rand.New(rand.NewPCG(seed, 1)), conns: make(map[*engine.Line]*conn), peerOf: k.PeerOf, stream: true}
	if seed%3 == 0 {
		o.exits = 0.01
	}
	if *logged {
		k.Trace = func(line string) { fmt.Println(line) }
	}
	faults := k.Faults
	k.Faults = simkernel.Faults{} // not while it is built
	var err error
	o.most = 1 << (4 + k.Rand(10))
	o.e, _, err = engine.New(k, o, engine.Config{ReadBuffer: o.most, Lines: &o.lines}, name)
	if err != nil {
		return err
	}
	k.Faults = faults
	address := netip.MustParseAddrPort("10.0.0.1:7")
	if k.Rand(4) == 0 {
		o.ln.FD = k.ListenUnix("socket", 1+k.Rand(8))
	} else {
		o.ln.FD = k.Listen(address, 1+k.Rand(8))
	}
	for range 1 + k.Rand(12) {
		k.Call(o.ln.FD, time.Duration(k.Rand(100_000))*time.Microsecond)
	}
	dials := k.Rand(5)
	var woken time.Duration // when, in the wait that is under way
	for range k.Rand(10) {
		k.After(time.Duration(k.Rand(100_000))*time.Microsecond, func() {
			o.e.Wake()
			if o.waiting && woken == 0 {
				woken = k.Now()
			}
		})
	}

	over, ended := false, false
	turns, idle := 0, 0
	run := func() {
		for !over {
			if dials > 0 && o.rng.IntN(10) == 0 {
				dials--
				to := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, 2}), uint16(1+dials))
				if o.rng.IntN(4) == 0 {
					to = address
				}
				o.dial(to)
			}
			waits, progress, disturbed := k.Waits(), k.Progress(), k.Disturbed()
			patience := o.turn()
			if *logged {
				fmt.Println("wait", patience)
			}
			o.waiting, woken, o.begun, o.disturbed = true, 0, k.Now(), disturbed
			if err := o.e.Wait(patience); err != nil {
				if k.Disturbed() == disturbed {
					o.fault("Wait: %v", err)
				}
				k.Sleep(time.Millisecond)
			}
			o.waiting = false
			if d := k.Now() - woken; woken > 0 && d > time.Millisecond && k.Disturbed() == disturbed {
				o.fault("Wake did not end the wait, which went on for %v", d)
			}
			o.bounded()
			if k.Waits() != waits || k.Progress() != progress || k.Disturbed() != disturbed || patience == 0 || k.Quiet() {
				idle = 0
			} else if idle++; idle > 20 {
				o.fault("the engine spins")
			}
			if turns++; turns > 400_000 {
				o.fault("it does not end")
			}
			over = len(o.faults) > 0 || patience < 0 && k.Quiet() && dials == 0 && o.heard
		}
	}
	for !ended {
		onGoroutine(o, func() {
			run()
			o.finish()
			ended = true
		})
	}
	if open := k.OpenFiles(); !slices.Equal(open, []int{o.ln.FD}) {
		o.fault("descriptors %v are open at the end", open)
	}
	if all := append(o.faults, k.Violations()...); len(all) > 0 {
		return fmt.Errorf("engine %s, turn %d:\n%s", name, turns, strings.Join(all, "\n"))
	}
	return nil
}

// finish checks what is left when nothing will ever happen any more, and releases it.
func (o *owner) finish() {
	o.stuck()
	for _, p := range o.sim.Peers() {
		if p.Wrong() != "" {
			o.fault("%v: %s", p, p.Wrong())
		}
	}
	o.sim.Faults = simkernel.Faults{}
	o.exits = 0
	if o.heard {
		o.e.Unlisten(&o.ln)
	}
	for _, c := range o.sorted() {
		if c.batched {
			o.submit()
		}
		c.release()
	}
	o.waiting = true
	o.e.Wait(0)
	o.e.Close()
}

// stuck looks for lines that wait and could go on, when nothing will ever happen any more.
func (o *owner) stuck() {
	for _, c := range o.sorted() {
		if ready := o.k.Ready(int(c.FD), c.Watched()); ready != 0 {
			o.fault("%v waits for %v, of which %v is there", c, c.Watched(), ready)
		}
		if errno := o.k.SocketError(int(c.FD)); errno != 0 && c.Watched() != 0 {
			o.fault("%v waits for %v, and its owner was not told of an error: %v", c, c.Watched(), errno)
		}
		if c.peer != nil && !c.failed && c.shut && c.peer.Heard() == simkernel.Ended && c.peer.Got() != c.size {
			o.fault("%v: its peer has got %d of %d bytes, and an end in order", c, c.peer.Got(), c.size)
		}
	}
}

// bounded looks at how much each line has brought in the last turns. One turn can bring all buffers of a ring, but the
// next must not bring as much again.
func (o *owner) bounded() {
	for _, c := range o.conns {
		c.turns = append(c.turns, c.brought)
		c.brought = 0
		if len(c.turns) < 8 {
			continue
		}
		sum := 0
		for _, n := range c.turns {
			sum += n
		}
		c.turns = c.turns[1:]
		if sum > 24*o.most && o.sim.Faults.LateCancel == 0 {
			o.fault("%v brought %d bytes in 8 turns, with a ReadBuffer of %d", c, sum, o.most)
		}
	}
}

// onGoroutine runs f as a loop's goroutine, which may end early.
func onGoroutine(o *owner, f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		returned := false
		defer func() {
			if !returned {
				o.waiting = false
				o.e.Evacuate()
			}
		}()
		f()
		returned = true
	}()
	<-done
}
