package engine_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"slices"
	"syscall"
	"time"

	"github.com/switchboard-go/switchboard/internal/buffer"
	"github.com/switchboard-go/switchboard/internal/engine"
	"github.com/switchboard-go/switchboard/internal/engine/simkernel"
	"github.com/switchboard-go/switchboard/internal/rawio"
)

// A conn is a connection as small as an owner can have it: it checks what it receives, sends a stream of its own, pauses,
// half-closes and closes when chance says so.
type conn struct {
	engine.Line
	o       *owner
	peer    *simkernel.Peer // who must be at the other end, nil if nobody says
	got     int64
	out     buffer.Queue
	made    int64 // bytes of its own stream that were queued, up to size
	size    int64
	step    int // so many at once
	dialled bool
	opened  bool // a dialled one is connected
	batched bool
	paused  bool
	until   time.Duration // while paused
	ended   bool          // the input
	shut    bool          // the output
	failed  bool          // something was lost, as it may be: nothing is checked for completeness
	gone    bool
	brought int           // bytes, in this turn
	turns   []int         // the same, in the turns before
	doomed  bool          // to be released
	closeAt time.Duration // by itself, 0: never
	aborts  bool          // and then by a reset
}

// An owner is a loop with nothing but an engine.
type owner struct {
	k       engine.Kernel
	sim     *simkernel.Kernel // nil over the real kernel
	rng     *rand.Rand
	e       engine.Engine
	lines   engine.Table
	conns   map[*engine.Line]*conn
	ln      engine.Listener
	heard   bool // listening
	faults  []string
	exits   float64 // the chance of runtime.Goexit in a callback
	waiting bool    // in Wait, or in Submit
	exited  int
	most    int // Config.ReadBuffer

	begun     time.Duration // the wait
	disturbed int           // Kernel.Disturbed then
	peerOf    func(fd int) *simkernel.Peer
	stream    bool // those accepted send streams
	lasts     bool // nobody closes before both streams have ended
}

func (o *owner) fault(format string, args ...any) {
	if *logged {
		fmt.Println("FAULT", fmt.Sprintf(format, args...))
	}
	if len(o.faults) < 10 {
		o.faults = append(o.faults, fmt.Sprintf(format, args...))
	}
}

// called begins a method of the Owner's, for l if that is not nil.
func (o *owner) called(method string, l *engine.Line) *conn {
	if !o.waiting {
		o.fault("%s: outside of Wait and Submit", method)
	}
	if *logged && l != nil {
		fmt.Println(method, l.Index, l.Watched())
	}
	if l == nil {
		return nil
	}
	c := o.conns[l]
	if c == nil || c.gone {
		o.fault("%s: for a line that was released", method)
		return nil
	}
	if c.doomed {
		c.batched = c.batched && method != "Sent"
		return nil
	}
	if o.exits > 0 && o.rng.Float64() < o.exits {
		c.doomed, c.failed = true, true
		c.batched = c.batched && method != "Sent" // what it was to be told is lost, and so is it
		o.exit()
	}
	return c
}

// over ends a method that has done its work.
func (o *owner) over(c *conn) {
	if o.rng.IntN(200) == 0 && !o.lasts { // any line can be released from within any method
		all := o.sorted()
		if len(all) > 0 {
			other := all[o.rng.IntN(len(all))]
			other.failed = true
			other.release()
		}
	}
	if c != nil && !c.gone {
		if o.rng.IntN(4) == 0 {
			c.flush()
		}
		c.watch()
	}
	if o.exits > 0 && o.rng.Float64() < o.exits {
		o.exit()
	}
}

func (o *owner) exit() {
	o.exited++
	runtime.Goexit()
}

func (o *owner) Readable(l *engine.Line, buf []byte) int {
	c := o.called("Readable", l)
	if c == nil {
		return 0
	}
	if !l.Watches(engine.Read) {
		o.fault("Readable: of a line that is not watched for Read")
	}
	n, errno := o.k.Recv(int(l.FD), buf)
	switch {
	case errno == 0 && n == 0:
		c.inputEnded()
	case errno == 0:
		c.received(buf[:n])
	case !rawio.WouldBlock(errno):
		c.fail(errno)
	}
	o.over(c)
	return max(n, 0)
}

func (o *owner) Received(l *engine.Line, p []byte) {
	if c := o.called("Received", l); c != nil {
		c.received(p)
		o.over(c)
	}
}

func (o *owner) InputEnded(l *engine.Line) {
	if c := o.called("InputEnded", l); c != nil {
		c.inputEnded()
		o.over(c)
	}
}

func (o *owner) Writable(l *engine.Line) {
	c := o.called("Writable", l)
	if c == nil {
		return
	}
	if c.dialled && !c.opened {
		if errno := o.k.SocketError(int(l.FD)); errno != 0 {
			c.fail(errno)
			o.over(c)
			return
		}
		if o.k.Ready(int(l.FD), engine.Write) != 0 { // else it was told for nothing
			c.opened = true
		}
	}
	c.flush()
	o.over(c)
}

func (o *owner) Failed(l *engine.Line, call string, errno syscall.Errno) {
	if c := o.called("Failed", l); c != nil {
		if errno == 0 || errno == syscall.ENOENT || errno == syscall.EEXIST || errno == syscall.EBADF || errno == syscall.EINVAL {
			o.fault("Failed: %s: %v", call, errno)
		}
		c.fail(errno)
		o.over(c)
	}
}

func (o *owner) Sent(l *engine.Line, rest []byte, errno syscall.Errno) {
	c := o.called("Sent", l)
	if c == nil {
		return
	}
	if !c.batched {
		o.fault("Sent: of a line that has nothing in the batch")
	}
	c.batched = false
	if errno != 0 {
		c.fail(errno)
	} else {
		c.out.PutBack(rest)
		if o.sim != nil && len(rest) > 0 && o.sim.Disturbed() == o.disturbed && o.sim.Now()-o.begun > time.Millisecond {
			o.fault("%v: %d bytes that the kernel did not take came back %v later", c, len(rest), o.sim.Now()-o.begun)
		}
	}
	o.over(c)
}

func (o *owner) Acceptable(ln *engine.Listener) {
	o.called("Acceptable", nil)
	for range 4 {
		fd, _, errno := o.k.Accept(ln.FD)
		if errno != 0 {
			break
		}
		c := o.add(fd)
		c.opened = true
		if o.stream {
			c.size = int64(o.rng.IntN(20000))
		}
		c.watch()
	}
	o.over(nil)
}

func (o *owner) Rest(time.Duration) {}
func (o *owner) Woken()             {}

func (o *owner) add(fd int) *conn {
	c := &conn{o: o, step: 1 + o.rng.IntN(3000), Line: engine.Line{FD: int32(fd)}}
	if o.peerOf != nil {
		c.peer = o.peerOf(fd)
	}
	if !o.lasts && o.rng.IntN(4) == 0 {
		c.closeAt = o.k.Now() + time.Duration(o.rng.IntN(200))*time.Millisecond
		c.aborts = o.rng.IntN(2) == 0
	}
	o.lines.Add(&c.Line)
	o.conns[&c.Line] = c
	return c
}

func (o *owner) dial(to netip.AddrPort) {
	fd, err := o.k.Socket(rawio.INET)
	if err != nil {
		return
	}
	if errno := o.k.ConnectInet(fd, to, 0); errno != 0 && errno != syscall.EINPROGRESS {
		o.k.Close(fd)
		return
	}
	c := o.add(fd)
	c.dialled, c.size = true, int64(o.rng.IntN(20000))
	c.watch()
}

func (c *conn) received(p []byte) {
	if c.ended {
		c.o.fault("%v received %d bytes after the end of its input", c, len(p))
	}
	if len(p) == 0 {
		c.o.fault("%v received nothing", c)
	}
	if c.peer != nil {
		if i := c.peer.Out.Check(p, c.got); i >= 0 {
			c.o.fault("%v: byte %d of its input is not the one that its peer sent there", c, c.got+int64(i))
		}
	}
	c.got += int64(len(p))
	c.brought += len(p)
	if c.o.rng.IntN(6) == 0 {
		c.paused, c.until = true, c.o.k.Now()+time.Duration(c.o.rng.IntN(3))*time.Millisecond
	}
}

func (c *conn) inputEnded() {
	if c.ended {
		c.o.fault("%v: its input ended twice", c)
	}
	c.ended = true
	if c.o.lasts && !c.failed && c.got != conversation {
		c.o.fault("%v: its input ended after %d of %d bytes", c, c.got, conversation)
	}
	if c.o.sim != nil && c.peer != nil && !c.failed && c.peer.Heard() != simkernel.Reset && c.got != c.peer.Sent() {
		c.o.fault("%v: its input ended after %d of %d bytes", c, c.got, c.peer.Sent())
	}
}

func (c *conn) fail(syscall.Errno) {
	c.doomed, c.failed = true, true
}

// flush sends what it can.
func (c *conn) flush() {
	if c.gone || c.batched || c.shut || !c.opened {
		return
	}
	for c.out.Len() < 4096 && c.made < c.size {
		p := make([]byte, min(int64(c.step), c.size-c.made))
		if c.peer != nil {
			c.peer.In.Fill(p, c.made)
		}
		c.out.Add(p)
		c.made += int64(len(p))
	}
	if c.out.Len() > 0 && c.Watched()&engine.Write == 0 {
		if c.o.e.Batch(&c.Line, &c.out, nil) {
			c.batched = true
			return
		}
	}
	for c.out.Len() > 0 {
		n, errno := c.o.k.Send(int(c.FD), c.out.First())
		if errno != 0 {
			if !rawio.WouldBlock(errno) {
				c.fail(errno)
			}
			return
		}
		c.out.Drop(n)
	}
	if c.made == c.size && c.out.Len() == 0 {
		if c.o.k.ShutdownWrite(int(c.FD)) == 0 {
			c.shut = true
		} else {
			c.doomed, c.failed = true, true
		}
	}
}

// watch tells the engine what c waits for.
func (c *conn) watch() {
	if c.gone || c.doomed {
		return
	}
	want := engine.Events(0)
	if !c.opened {
		want = engine.Write
	} else {
		if !c.ended && !c.paused {
			want |= engine.Read
		}
		if !c.shut && !c.batched {
			want |= engine.Write
		}
		if want == 0 && !c.batched {
			want = engine.Hangup
		}
	}
	if want == c.Watched() {
		return
	}
	if err := c.o.e.Watch(&c.Line, want); err != nil {
		c.doomed, c.failed = true, true
		if !errors.Is(err, syscall.ENOMEM) {
			c.o.fault("Watch: %v", err)
		}
	}
}

func (c *conn) release() {
	if c.gone {
		return
	}
	c.gone = true
	if c.aborts || c.failed {
		c.o.k.Reset(int(c.FD))
		c.failed = true
	}
	c.o.e.Release(&c.Line)
	c.o.lines.Remove(&c.Line)
	delete(c.o.conns, &c.Line)
	c.out.Drop(c.out.Len())
	if c.FD != -1 {
		c.o.fault("Release left the descriptor %d", c.FD)
	}
}

func (c *conn) String() string { return fmt.Sprintf("line %d of %v", c.Index, c.peer) }

// turn is what comes between two waits: what is due, and how long the next wait may last.
func (o *owner) turn() (patience time.Duration) {
	patience = -1
	now := o.k.Now()
	within := func(at time.Duration) {
		if d := max(0, at-now); patience < 0 || d < patience {
			patience = d
		}
	}
	for _, c := range o.sorted() {
		if c.closeAt > 0 {
			if c.closeAt <= now {
				c.failed = c.failed || !c.ended || !c.shut
				c.doomed = true
			} else {
				within(c.closeAt)
			}
		}
		if c.doomed && c.batched {
			o.submit()
		}
		if c.doomed {
			c.release()
			continue
		}
		if c.ended && c.shut && o.rng.IntN(3) == 0 && o.k.Untaken(int(c.FD)) <= 0 {
			c.release()
			continue
		}
		if c.paused && c.until <= now {
			c.paused = false
		} else if c.paused {
			within(c.until)
		}
		c.flush()
		c.watch()
	}
	if !o.heard {
		if err := o.e.Listen(&o.ln); err != nil {
			within(now + time.Millisecond)
		} else {
			o.heard = true
		}
	} else if o.rng.IntN(50) == 0 {
		o.e.Unlisten(&o.ln)
		o.heard = false
		within(now + time.Millisecond)
	}
	if o.rng.IntN(30) == 0 || slices.ContainsFunc(o.sorted(), func(c *conn) bool { return c.batched && !c.shut }) {
		if !o.submit() { // who has more to send would not be told before the wait is over
			within(now)
		}
	}
	if slices.ContainsFunc(o.sorted(), func(c *conn) bool { return c.doomed }) {
		within(now)
	}
	return patience
}

func (o *owner) submit() bool {
	o.waiting = true
	defer func() { o.waiting = false }()
	if o.sim != nil {
		o.begun, o.disturbed = o.sim.Now(), o.sim.Disturbed()
	}
	return o.e.Submit()
}

// sorted returns the connections in an order that does not depend on chance.
func (o *owner) sorted() []*conn {
	all := make([]*conn, 0, len(o.conns))
	for _, c := range o.conns {
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b *conn) int { return int(a.Index) - int(b.Index) })
	return all
}
