//go:build linux

package switchboard

import (
	"crypto/tls"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/switchboard-go/switchboard/internal/engine/simkernel"
)

// proxy dials a target and joins it with f, at once or when it is there.
func (f *life) proxy(atOnce bool) {
	w := f.w
	w.joins = true
	w.ports++
	address := fmt.Sprintf("10.0.0.3:%d", w.ports)
	t := w.newLife()
	t.plain, t.size = false, 0
	w.callers[address] = f
	t.secure = w.tls && w.chance(2)
	on := f.c
	if !atOnce && w.chance(2) {
		f.dialPipe(t, address)
		return
	}
	if len(w.s.loops) > 1 && w.chance(2) { // any loop
		on = nil
	}
	d, err := t.dial(w.context(), on, address, t)
	if err != nil {
		w.lives = w.lives[:len(w.lives)-1]
		return
	}
	t.c, t.told = d, true
	f.size, f.quits, t.quits = 0, 0, 0
	if f.bulk = w.proxy; f.bulk {
		w.carry(f.peer)
	}
	f.piped, t.piped = t, f
	if atOnce {
		t.opened, f.joined, t.joined = true, true, true
		Pipe(f.c, d)
		if w.chance(2) {
			f.after(time.Duration(w.rng.IntN(20))*time.Millisecond, func() {
				if t.closed == 0 {
					Pipe(f.c, d) // once more
				}
			})
		}
	} else {
		f.c.Pause()
		f.paused = true
	}
}

// dialPipe is proxy by DialPipe, with t as the handler of the target.
func (f *life) dialPipe(t *life, address string) {
	w := f.w
	var config *tls.Config
	if t.secure {
		config = &tls.Config{InsecureSkipVerify: true, Time: w.time}
	}
	t.awaited = true
	if err := f.c.DialPipe(w.context(), address, config, t); err != nil {
		w.lives = w.lives[:len(w.lives)-1]
		return
	}
	t.c, t.told = f.c.extra().target, true
	f.size, f.quits, t.quits = 0, 0, 0
	if f.bulk = w.proxy; f.bulk {
		w.carry(f.peer)
	}
	f.piped, t.piped = t, f
}

// carry makes p one that sends much and fast, for which a Pipe splices.
func (w *world) carry(p *simkernel.Peer) {
	p.Send, p.Every = 100_000+w.rng.IntN(300_000), 0
	p.Chunk = []int{1 << 20, 10_000, 3000}[w.rng.IntN(3)]
	if w.chance(3) {
		p.Echo, p.StopAt, p.ResumeAt = false, int64(w.rng.IntN(100_000)), time.Duration(1+w.rng.IntN(1500))*time.Millisecond
	}
}

// play is Kernel.Play: it has the peers of a Pipe expect each other's bytes.
func (w *world) play(p *simkernel.Peer) {
	f := w.callers[p.At]
	w.speak(p, f)
	switch {
	case f == nil && p.At != "":
		p.In = simkernel.Anything
	case f == nil:
	case f.c == nil || f.c.flags&dialled != 0: // that is adopted, or dialled
		p.In, f.peer = f.stream, p
	case f.piped != nil:
		p.In, p.InFrom, f.peer.In = f.peer.Out, f.header, p.Out
		f.piped.peer = p
		if f.bulk {
			w.carry(p)
		}
	}
}

// dial makes a connection of its own.
func (w *world) dial(from *life) {
	w.ports++
	address := fmt.Sprintf("10.0.0.2:%d", w.ports)
	switch {
	case w.chance(6):
		address = w.address.String()
	case w.chance(10):
		address = "/unix"
	}
	f := w.newLife()
	f.stream = simkernel.Stream(1<<20 + f.number)
	if strings.HasPrefix(address, "10.0.0.2:") {
		w.callers[address] = f
	}
	f.secure = w.tls && (w.chance(2) || address == w.address.String())
	var on *Conn
	if from != nil {
		on = from.c
	}
	ctx := w.context()
	if w.names != nil && w.chance(2) {
		f.secure = false
		ctx, address = f.byName()
	}
	var err error
	f.c, err = f.dial(ctx, on, address, f.handler())
	if err != nil {
		w.lives = w.lives[:len(w.lives)-1]
		delete(w.callers, address)
		return
	}
	f.told, f.begunAt = true, w.k.Now()
	if at := f.c.RemoteAddr(); at == nil || at.String() != address {
		w.fault("%v: its address is %v, and %s was dialled", f, at, address)
	}
	if w.chance(3) {
		f.write()
	}
	if w.chance(10) {
		f.end()
	}
}

// holdAccepting does with the listener what a handover does that fails.
func (w *world) holdAccepting() {
	w.log("accepting is held")
	w.ln.loop.give(task{f: w.ln.hold})
	w.k.After(time.Duration(w.rng.IntN(300))*time.Millisecond, func() { w.ln.loop.give(task{f: w.ln.release}) })
}

// takeFiles has somebody else in the process take all descriptors for a while, in which a client comes.
func (w *world) takeFiles() {
	most, open := w.k.MaxFiles, len(w.k.OpenFiles())
	if open >= most {
		return
	}
	w.k.MaxFiles = open
	w.k.After(time.Duration(1+w.rng.IntN(2000))*time.Millisecond, func() { w.k.MaxFiles = max(w.k.MaxFiles, most) })
	w.k.Call(w.listening, 0)
}

// write writes what is left of its stream, as far as it is taken.
func (f *life) write() {
	w := f.w
	if f.upgradeAt > 0 || f.echo || f.block != nil || f.piped != nil || f.closing || f.aborted || f.outEnded || f.closed > 0 || f.unfilled {
		return
	}
	for range 1 + w.rng.IntN(8) {
		n := min(f.size-f.wrote, int64(f.step))
		if n == 0 {
			return
		}
		p := make([]byte, n)
		f.stream.Fill(p, f.wrote)
		got, err := f.c.Write(p)
		if err != nil {
			if errors.Is(err, ErrQueueFull) {
				f.unfilled = true
			}
			return
		}
		f.wrote += int64(got)
		if f.c.Queued() > w.mostQueued() {
			w.fault("%v: %d bytes are queued, with a QueueLimit of %d", f, f.c.Queued(), w.s.limits.QueueLimit)
		}
		if f.c.Full() && w.chance(2) {
			return
		}
	}
}

// act does something of what the loop alone may do.
func (f *life) act() {
	w := f.w
	if w.calm || f.closed > 0 || f.piped != nil || f.block != nil {
		return
	}
	switch w.rng.IntN(40) {
	case 0, 1:
		f.c.Pause()
		f.paused = true
		if f.forever = w.chance(8); !f.forever {
			f.after(time.Duration(w.rng.IntN(50))*time.Millisecond, f.resume)
		}
	case 2:
		f.after(time.Duration(w.rng.IntN(300))*time.Millisecond, f.write)
	case 3:
		if len(w.lives) < 40 {
			w.dial(f)
		}
	case 4:
		release := f.c.Hold()
		f.holds++
		f.after(time.Duration(w.rng.IntN(300))*time.Millisecond, func() {
			f.holds--
			release()
		})
	case 5:
		f.outside()
	case 6:
		if w.chance(4) {
			f.end()
		}
	case 7:
		if !f.paused && !f.echo {
			f.c.SetHandler(f.handler())
		}
	case 8:
		if w.chance(4) {
			f.c.After(math.MaxInt64, func() { w.fault("%v: a timer of 292 years has fired", f) })
		}
	}
}

func (f *life) resume() {
	if f.closed == 0 {
		f.paused, f.resumed = false, f.w.k.Now()
		f.progresses()
		f.c.Resume()
	}
}

// unread puts some of what f has consumed back in front of what it has not.
func (f *life) unread() {
	w, c := f.w, f.c
	if f.peer == nil || f.echo || f.piped != nil || f.block != nil || w.upgrades || w.s.limits.MessageTimeout > 0 || c.state != stateOpen ||
		c.marked(stopMark) || c.flags&inputEnded != 0 || f.closing || f.aborted || f.failed || f.broke {
		return
	}
	n := min(f.consumed-f.header, int64(w.s.limits.InputLimit-c.Buffered()))
	if n <= 0 {
		return
	}
	if w.chance(2) {
		n = 1 + w.rng.Int64N(n)
	}
	p := make([]byte, n)
	f.consumed -= n
	f.peer.Out.Fill(p, f.consumed)
	c.Unread(p)
}

// after is Conn.After with a check of the time.
func (f *life) after(d time.Duration, do func()) {
	begun := f.w.k.Now()
	f.timers++
	f.c.After(d, func() {
		f.timers--
		if passed := f.w.k.Now() - begun; passed < d {
			f.w.fault("%v: a timer of %v fired after %v", f, d, passed)
		}
		if f.closed > 0 {
			f.w.fault("%v: a timer fired after Closed", f)
		}
		f.w.mayBreak(f)
		do()
	})
}

// end ends the connection in one of the ways there are.
func (f *life) end() {
	if f.piped != nil || f.block != nil {
		return
	}
	w := f.w
	switch w.rng.IntN(4) {
	case 0:
		f.aborted, f.late = true, f.c.state == stateLingering
		f.c.Abort()
	case 1:
		if !f.outEnded && !f.closing {
			f.outEnded = true
			f.c.CloseWrite()
		}
	default:
		f.closing = true
		f.c.Close()
	}
}

// outside does what another goroutine may do.
func (w *world) outside() {
	if w.calm {
		return
	}
	if w.waits || w.shuts || w.names != nil {
		w.settle()
		if w.shuts && w.chance(100) {
			w.shutdown()
		}
	}
	w.orderAll()
	if w.proxy && w.chance(400) {
		w.takeFiles()
	}
	if w.chance(600) {
		w.holdAccepting()
	}
	if !w.chance(6) || len(w.lives) == 0 {
		return
	}
	if w.chance(40) && len(w.lives) < 40 {
		w.dial(nil)
		return
	}
	if len(w.foreign) > 0 && w.chance(10) {
		w.adopt()
		return
	}
	w.lives[w.rng.IntN(len(w.lives))].outside()
}

func (f *life) outside() {
	w := f.w
	if f.c == nil || f.block != nil {
		return
	}
	switch w.rng.IntN(12) {
	case 0, 1, 2, 3:
		if !f.plain || f.opened {
			f.write()
		}
	case 4, 5:
		f.c.Do(func() {
			if f.closed > 0 {
				w.fault("%v: Do's function ran after Closed", f)
			}
			w.mayBreak(f)
			f.write()
			f.act()
			if w.chance(8) {
				f.unread()
			}
		})
	case 6:
		if w.chance(10) {
			f.end()
		}
	case 7:
		f.checkNames()
	case 8:
		if n := f.c.Queued(); n > w.mostQueued() && f.piped == nil {
			w.fault("%v: %d bytes are queued, with a QueueLimit of %d", f, n, w.s.limits.QueueLimit)
		}
	}
}
