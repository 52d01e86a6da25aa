//go:build linux

package switchboard

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/switchboard-go/switchboard/internal/engine/simkernel"
)

// A life is one connection of the server, and the handler that has it: it checks what it is told and does what chance says.
type life struct {
	w      *world
	c      *Conn
	peer   *simkernel.Peer // at the other end, nil if it is not known, or is another connection of the server
	number int
	stream simkernel.Stream // what it writes
	plain  bool             // its handler has only Data and Closed
	echo   bool
	told   bool // it must be told Closed
	opened bool // it can be written to with its own stream
	begun  bool // Opened was called

	size     int64 // bytes of its own stream that it writes
	step     int
	wrote    int64 // taken by Write
	consumed int64
	least    int // bytes that it waits for before it consumes any
	quits    int64
	timers   int
	holds    int

	paused     bool
	forever    bool // and never resumed
	inputEnded bool
	closing    bool // by Close, or the end of its input
	aborted    bool
	late       bool // when it had ended in order, because of Shutdown
	outEnded   bool // by CloseWrite
	failed     bool // it returned an error
	broke      bool // it panicked or called Goexit
	piped      *life
	joined     bool     // by Pipe
	awaited    bool     // by DialPipe, which joins it
	block      *blocker // its code waits
	secure     bool     // it is dialled over TLS
	bulk       bool     // its peers send much
	closed     int
	gone       bool  // it was looked at since Shutdown has closed it
	ready      bool  // when the turn began, there was input
	received   int64 // until then
	err        error
	closedAt   time.Duration
	timedOut   bool          // its idle timeout is over, and was looked at
	heard      time.Duration // when its peer had last sent something, as the turn began
	begunAt    time.Duration // when it was dialled
	resumed    time.Duration // when it was paused last
	declined   bool          // it consumed nothing of what it was offered last
	unfilled   bool          // Write has refused some: it waits for Drained

	name        *dialledName  // that it has dialled, or nil
	resets      time.Duration // since when it waits to be reset, because it has failed
	stirred     time.Duration // when it was seen then to have received something
	got         int64         // bytes that it had received then
	unjoined    bool          // it has ended before DialPipe could join it
	header      int64         // bytes that its admitters consumed
	upgradeAt   int64         // it calls StartTLS when it has consumed so much, and writes nothing before. Zero: it does not, or has
	goAhead     int64         // bytes that it writes then, in the clear
	partial     bool          // it has not consumed all that it was offered
	progressed  time.Duration // when it last consumed something, or began to wait for more
	messageOver bool          // its message has taken too long, and that was looked at
}

var errSim = errors.New("the handler's own error")

func (f *life) String() string {
	if f == nil {
		return "nobody"
	}
	return fmt.Sprintf("life %d (plain %v, echo %v, wrote %d of %d, consumed %d, ended %v, closing %v, aborted %v, outEnded %v, failed %v, broke %v, closed %d: %v) of %v",
		f.number, f.plain, f.echo, f.wrote, f.size, f.consumed, f.inputEnded, f.closing, f.aborted, f.outEnded, f.failed, f.broke, f.closed, f.err, f.peer)
}

func (w *world) newLife() *life {
	f := &life{w: w, number: len(w.lives), step: 1 + w.rng.IntN(w.s.limits.QueueLimit), plain: w.chance(4)}
	f.size = int64([]int{0, 100, 3000, 20000, 60000}[w.rng.IntN(5)])
	f.step = max(f.step, int(f.size/100))
	f.step = min(f.step, w.s.limits.QueueLimit)
	if w.chance(4) {
		f.quits = int64(w.rng.IntN(10000))
	}
	w.lives = append(w.lives, f)
	return f
}

func (w *world) lifeOf(c *Conn) *life {
	for i := len(w.lives) - 1; i >= 0; i-- {
		if w.lives[i].c == c {
			return w.lives[i]
		}
	}
	return nil
}

func (f *life) handler() Handler {
	if f.block != nil {
		return f.block
	}
	if f.plain {
		return plain{f}
	}
	return f
}

// plain hides the methods that a Handler need not have.
type plain struct{ f *life }

func (p plain) Data(c *Conn, b []byte) (int, error) { return p.f.Data(c, b) }
func (p plain) Closed(c *Conn, err error)           { p.f.Closed(c, err) }

// accept is Server.Accept.
func (w *world) accept(c *Conn) (Handler, error) {
	f := w.newLife()
	f.c = c
	f.opened = true
	if f.peer = w.k.PeerOf(int(c.line.FD)); f.peer != nil {
		f.stream = f.peer.In
	}
	f.checkAdmitted()
	w.mayBreak(f)
	switch {
	case w.chance(30):
		f.failed = true
		return nil, errSim
	case w.upgrades && f.peer != nil && f.peer.LaterAt > 0 && w.header == 0:
		f.upgradeAt, f.goAhead, f.size = f.peer.LaterAt, f.peer.LaterGot, f.size+f.peer.LaterGot
	case (w.proxy || w.chance(4)) && f.peer != nil:
		if f.proxy(w.chance(2)); f.piped == nil {
			f.failed = true
			return nil, errSim
		}
	case w.waits && w.chance(2):
		f.blocks()
	case w.chance(3):
		f.echo = true
		if f.peer != nil {
			f.peer.In, f.peer.InFrom = f.peer.Out, f.header
		}
	default:
		f.write()
	}
	w.mayBreak(f)
	f.told = true
	return f.handler(), nil
}

// Opened implements Opener.
func (f *life) Opened(c *Conn) error {
	w := f.w
	w.log("Opened %d", f.number)
	if f.begun || f.closed > 0 || f.consumed > f.header {
		w.fault("%v: Opened twice, or after something else", f)
	}
	f.begun, f.opened = true, true
	if f.peer == nil {
		f.peer = w.k.PeerOf(int(c.line.FD))
	}
	if local, remote := c.LocalAddr(), c.RemoteAddr(); local != nil && local.Network() == "tcp" && local.String() == remote.String() {
		w.fault("%v: it is connected to itself", f)
	}
	w.mayBreak(f)
	if c.flags&dialled == 0 {
		f.write()
		return nil
	}
	if f.piped != nil {
		a := f.piped
		if f.awaited && w.chance(8) { // it is not to be joined
			f.unjoined = true
			switch w.rng.IntN(3) {
			case 0:
				f.closing = true
				c.Close()
			case 1:
				f.aborted = true
				c.Abort()
			default:
				f.failed = true
				return errSim
			}
			return nil
		}
		if f.awaited {
			a.joined, f.joined = true, true
			return nil
		}
		if a.c.loop != c.loop {
			if !f.joined { // and nobody else is to have its input meanwhile
				c.Pause()
				f.paused = true
				err := a.c.Do(func() {
					a.paused, f.paused, a.joined, f.joined = false, false, true, true
					Pipe(a.c, c)
				})
				if err != nil {
					f.closing = true
					return io.EOF
				}
			}
			return nil
		}
		if a.closed == 0 && !a.aborted && !a.closing || w.chance(2) {
			a.paused, a.joined, f.joined = false, true, true
			Pipe(a.c, c)
			return nil
		}
		f.closing = true
		return io.EOF
	}
	f.write()
	if w.chance(20) {
		f.failed = true
		return errSim
	}
	return nil
}

// Data implements Handler.
func (f *life) Data(c *Conn, p []byte) (int, error) {
	if room := f.w.s.limits.QueueLimit - c.Queued(); f.echo && !f.declined && len(p) > max(room, 1) {
		f.w.fault("%v: it is offered %d bytes, and Write takes %d", f, len(p), room)
	}
	f.declined = true // if it does not return
	if !f.partial {
		f.progresses()
	}
	f.partial = true
	n, err := f.data(c, p)
	f.declined = n == 0
	if n > 0 {
		f.progresses()
	}
	f.partial = n < len(p)
	return n, err
}

func (f *life) data(c *Conn, p []byte) (int, error) {
	w := f.w
	w.datas++
	w.log("Data %d: %d bytes at %d", f.number, len(p), f.consumed)
	switch {
	case f.closed > 0:
		w.fault("%v: Data after Closed", f)
	case f.paused:
		w.fault("%v: Data while paused", f)
	case f.inputEnded:
		w.fault("%v: Data after InputEnded", f)
	case f.closing && !f.plain || f.aborted || f.failed || f.broke:
		w.fault("%v: Data after it was closed", f)
	case len(p) == 0:
		w.fault("%v: Data of nothing", f)
	case len(p) > w.s.limits.InputLimit:
		w.fault("%v: Data of %d bytes, with an InputLimit of %d", f, len(p), w.s.limits.InputLimit)
	}
	if f.peer != nil {
		clear := p
		if f.upgradeAt > 0 { // what follows is encrypted
			clear = p[:min(int64(len(p)), f.upgradeAt-f.consumed)]
		}
		if i := f.peer.Out.Check(clear, f.consumed); i >= 0 {
			w.fault("%v: byte %d of its input is not what its peer has sent there", f, f.consumed+int64(i))
		}
	}
	w.mayBreak(f)
	n := len(p)
	switch {
	case f.least > 0 && len(p) < f.least && len(p) < w.s.limits.InputLimit:
		return 0, nil
	case w.chance(4):
		n = 1 + w.rng.IntN(n)
	case w.chance(8) && len(p) < w.s.limits.InputLimit && f.upgradeAt == 0:
		f.least = len(p) + 1 + w.rng.IntN(200)
		return 0, nil
	}
	held := f.least > 0
	f.least = 0
	if f.upgradeAt > 0 {
		n = int(min(int64(len(p)), f.upgradeAt-f.consumed))
	}
	if f.echo {
		n = min(n, w.s.limits.QueueLimit)
		taken, err := 0, error(nil)
		shared := false
		if f.number%3 == 0 { // what shares a batch with others must look the same to the peer
			shared, _ = c.WriteShared(bytes.Clone(p[:n]))
		}
		if taken = n; !shared {
			taken, err = c.Write(p[:n])
		}
		if err != nil {
			if !errors.Is(err, ErrQueueFull) {
				f.consumed += int64(n)
				return n, nil
			}
			if !held && n <= w.s.limits.QueueLimit-w.s.limits.HighWater {
				w.fault("%v: an echo of %d bytes is refused", f, n)
			}
			if n > 1 {
				n = 1
				taken, err = c.Write(p[:1])
			}
			if err != nil {
				return 0, nil
			}
		}
		n = taken
		f.wrote += int64(n)
	}
	f.consumed += int64(n)
	f.startTLS()
	if f.quits > 0 && f.consumed >= f.quits {
		f.quits = 0
		switch w.rng.IntN(4) {
		case 0:
			f.failed = true
			return n, errSim
		case 1:
			f.closing = true
			return n, io.EOF
		default:
			f.end()
			return n, nil
		}
	}
	f.write()
	f.act()
	w.mayBreak(f)
	return n, nil
}

// InputEnded implements InputEnder.
func (f *life) InputEnded(c *Conn, rest []byte) error {
	w := f.w
	w.log("InputEnded %d, rest %d", f.number, len(rest))
	if f.inputEnded || f.closed > 0 {
		w.fault("%v: InputEnded twice, or after Closed", f)
	}
	f.inputEnded = true
	if f.peer != nil && f.peer.Sent() != f.consumed+int64(len(rest)) && !f.broke {
		w.fault("%v: its input ended with %d bytes that it did not consume", f, len(rest))
	}
	w.mayBreak(f)
	switch w.rng.IntN(4) {
	case 0:
		f.closing = true
		return io.EOF
	case 1:
		f.end()
	case 2:
		f.write()
		f.c.CloseWrite()
		f.outEnded = true
	}
	return nil
}

// Drained implements Drainer.
func (f *life) Drained(c *Conn) {
	f.w.log("Drained %d", f.number)
	if f.closed > 0 {
		f.w.fault("%v: Drained after Closed", f)
	}
	f.unfilled = false
	f.progresses()
	f.w.mayBreak(f)
	f.write()
	f.act()
}

// Leaving implements Leaver.
func (f *life) Leaving(c *Conn) {
	f.w.mayBreak(f)
	f.end()
}

// Closed implements Handler.
func (f *life) Closed(c *Conn, err error) {
	w := f.w
	w.log("Closed %d: %v", f.number, err)
	if f.closed++; f.closed > 1 {
		w.fault("%v: Closed for the %d. time", f, f.closed)
	}
	if c != f.c {
		w.fault("%v: Closed of another connection", f)
	}
	f.err, f.closedAt = err, w.k.Now()
	w.note(err)
	f.checkClosed()
	f.checkName()
	if errors.Is(err, ErrMemory) && !w.tight {
		w.fault("%v: it was ended for want of memory, and there is enough", f)
	}
	if f.unjoined {
		if _, ok := f.piped.c.handler.(*pipe); ok {
			w.fault("%v: it was ended before it could be joined with its client, and is", f)
		}
	}
	if f.awaited && !f.joined { // DialPipe leaves its client to us
		f.piped.aborted = true
		f.piped.c.Abort()
	}
	if o := f.piped; o != nil && !f.joined && !o.awaited && (o.begun || o.c.flags&dialled == 0) { // else it finds that out when it is there
		o.closing = true
		o.c.Close()
	}
	w.mayBreak(f)
}
