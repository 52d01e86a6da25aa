//go:build linux

package switchboard

import (
	"errors"
	"net"
	"slices"
	"syscall"
	"time"

	"github.com/switchboard-go/switchboard/internal/buffer"
	"github.com/switchboard-go/switchboard/internal/engine"
	"github.com/switchboard-go/switchboard/internal/engine/simkernel"
	"github.com/switchboard-go/switchboard/internal/tlsconn"
)

// before remembers what the turn that is to begin must know.
func (w *world) before() {
	w.begun, w.pipes = w.k.Now(), w.s.splices.pipes.Load()
	for _, f := range w.lives {
		if len(w.closings) > 0 && f.peer != nil {
			f.beforeLeaving()
		}
		if f.peer != nil && f.closed == 0 {
			f.heard = max(f.peer.LastArrived(), f.peer.LastTaken())
		}
	}
}

// mostQueued is how many bytes a queue can have: what was in a batch comes back on top of what was written meanwhile.
// With TLS there are its answers as well, and what encryption adds to a batch.
func (w *world) mostQueued() int {
	lim := &w.s.limits
	if w.tls || w.upgrades {
		return lim.QueueLimit + 16<<10 + lim.HighWater + 4*lim.ReadBuffer + 4<<10
	}
	return lim.QueueLimit + 16<<10
}

// check looks at what must hold after every turn.
func (w *world) check(l *loop) {
	if len(w.closings) > 0 {
		for _, f := range w.lives {
			f.checkLeaving()
		}
	}
	for line := range l.conns.All() {
		c := connOf(line)
		if c.marked(stopMark) && c.endedFor() == ErrIdle {
			w.lifeOf(c).checkIdle()
		}
		if f := w.lifeOf(c); f != nil && c.state == stateResetting {
			if f.resets == 0 { // what it had received before may be seen only now
				f.resets, f.got = w.begun, c.Received()
			}
			if f.got != c.Received() {
				f.got, f.stirred = c.Received(), w.begun
			}
		}
		if c.marked(stopMark) && c.endedFor() == ErrMessageTimeout {
			w.lifeOf(c).checkMessage()
		}
		if c.state == stateOpen && c.flags&inputFull != 0 && line.Watches(engine.Read) && len(l.list) == 0 && !l.left() {
			w.fault("%v: %d bytes are kept, and it is read on", w.lifeOf(c), c.Buffered())
		}
		if n := c.Queued(); n > w.mostQueued()+spliceSize {
			w.fault("%d bytes are queued, with a QueueLimit of %d", n, w.s.limits.QueueLimit)
		}
		if n := c.Buffered(); n > w.mostKept(c) && w.prompt {
			w.fault("%d bytes are kept, with an InputLimit of %d", n, w.s.limits.InputLimit)
		}
	}
	if s := &l.handshakes; s.places > s.most {
		w.fault("%d handshakes are under way, with Handshakes of %d", s.places, s.most)
	}
	w.checkMemory(l)
	w.checkCounts(l)
	l.mu.Lock()
	told := len(l.given)+l.tasks.Len() > 0 // it is to give them back
	l.mu.Unlock()
	if n := len(l.spares); n > 0 && !told && int64(w.k.Now()) < w.s.splices.until.Load() && len(w.s.loops) == 1 {
		w.fault("%d kernel pipes are kept, and descriptors or memory for them are short", n)
	}
	w.checkGivenUp(l)
	if n := w.s.accepted.Load(); w.s.limits.MaxConns > 0 && n > int64(w.s.limits.MaxConns) {
		w.fault("%d connections are accepted, with MaxConns of %d", n, w.s.limits.MaxConns)
	}
}

// checkGivenUp looks whether connections are spliced on though clients wait for descriptors.
func (w *world) checkGivenUp(l *loop) {
	spent, until := w.ln.spent.Load(), w.s.splices.until.Load()
	w.lacked = w.lacked || spent
	if spent && !w.spent && until != w.until && len(w.s.loops) == 1 {
		w.givenUp = until
	}
	if spent && !w.spent && w.pipes > 0 && w.s.splices.pipes.Load() > 0 && int64(w.k.Now()) >= until && len(w.s.loops) == 1 {
		w.fault("clients wait for descriptors, and no kernel pipe is given up")
	}
	w.spent, w.until = spent, until
	l.mu.Lock()
	asked := len(l.given)+l.tasks.Len() > 0
	l.mu.Unlock()
	if w.givenUp == 0 || w.givenUp != until || asked || int64(w.k.Now()) >= until {
		return
	}
	for line := range l.conns.All() {
		if c := connOf(line); c.flags&spliced != 0 {
			w.fault("%v: it is spliced, and descriptors were short", w.lifeOf(c))
		}
	}
}

// mostKept is how many bytes of input c can have. Over TLS a record is known when it is whole, and before that there is the
// handshake's input.
func (w *world) mostKept(c *Conn) int {
	lim := &w.s.limits
	most := lim.InputLimit + 4*lim.ReadBuffer
	switch {
	case c.flags&secured == 0:
		return most
	case c.state == stateHandshaking:
		return handshakeInput + 4*lim.ReadBuffer
	}
	return max(most, 2*handshakeInput) + tlsconn.MaxRecord // what came during the last step of the handshake, and before
}

// checkMemory looks whether what connections hold is counted.
func (w *world) checkMemory(l *loop) {
	held := int64(0)
	for line := range l.conns.All() {
		c := connOf(line)
		held += int64(c.weight) * l.budget.unit
		queued := c.Queued()
		if c.out&(posted|inBatch) != 0 || c.todo&listed != 0 || c.state == stateHandshaking {
			continue // it is looked at before long
		}
		if c.out&blocked != 0 && queued/buffer.Min == int(c.counted)/buffer.Min {
			continue
		}
		if n := (c.holds(queued) + l.budget.unit - 1) / l.budget.unit; n != int64(c.weight) {
			w.fault("%d units are held, %d counted, %d bytes queued", n, c.weight, queued)
		}
	}
	b := &l.budget
	switch {
	case b.held > b.limit && !b.due:
		w.fault("%d bytes are held, of %d, and nothing is due", b.held, b.limit)
	case b.held > b.high() && !b.pressed && !b.due:
		w.fault("%d bytes are held, of %d, and everybody is read", b.held, b.limit)
	case b.pressed && !b.again.entry.Running() && !b.again.due:
		w.fault("some are not read for want of memory, and it is not looked again")
	case b.pressed && w.begun > w.pressed+2*pressureFor && w.pressed > 0 && w.prompt && w.k.Faults.Jump == 0:
		w.fault("some are not read for want of memory for longer than %v", pressureFor)
	}
	if !b.pressed {
		w.pressed = 0
	} else if w.pressed == 0 {
		w.pressed = w.k.Now()
	}
	if held != l.budget.held {
		w.fault("connections are counted to hold %d bytes, and their loop %d", held, l.budget.held)
	}
}

const slack = 20 * time.Millisecond // what a byte takes from the peer, and the length of a tick

// checkIdle looks at an idle timeout that is over.
func (f *life) checkIdle() {
	if f.timedOut {
		return
	}
	f.timedOut = true
	if f.peer == nil || f.piped != nil || f.paused || f.closing || f.c.Full() || f.w.tight { // else its input counts, if it is read
		return
	}
	if d := f.w.begun - f.heard; d < f.w.s.limits.IdleTimeout-slack && f.w.begun-f.resumed > f.w.s.limits.IdleTimeout { // as it was when the turn began
		f.w.fault("%v: it is idle, and its peer sent something %v ago; flags %b, %d bytes kept, waits for %d", f, d, f.c.flags, f.c.Buffered(), f.least)
	}
}

// checkClosed looks at an end when the handler is told of it.
func (f *life) checkClosed() {
	if f.err == ErrIdle {
		f.checkIdle()
	}
	for _, wrong := range []syscall.Errno{syscall.EPERM, syscall.EEXIST, syscall.EBADF, syscall.EINVAL, syscall.EFAULT} {
		if errors.Is(f.err, wrong) {
			f.w.fault("%v: no peer and no shortage makes a call fail so", f)
		}
	}
	var op *net.OpError
	if errors.As(f.err, &op) && f.piped == nil && slices.Contains([]string{"read", "write", "splice", "shutdown"}, op.Op) {
		if at := f.c.RemoteAddr(); op.Addr == nil || op.Addr.String() != at.String() || op.Net != at.Network() {
			f.w.fault("%v: it fails at %s %v, and its peer is at %v", f, op.Net, op.Addr, at)
		}
	}
	lim := &f.w.s.limits
	if f.resets > 0 && lim.LingerTimeout > 0 && f.peer != nil && !f.peer.Unix() && !f.peer.HasEnded() && !f.aborted && f.c.Sent() > 0 &&
		!f.w.calm && len(f.w.closings) == 0 && f.piped == nil {
		now, quiet := f.w.k.Now(), f.w.k.Now()-f.stirred
		if late := now-f.resets >= lim.LingerTimeout-slack; quiet < resetQuiet*time.Millisecond-slack && !late {
			f.w.fault("%v: it is reset, and it received something %v ago", f, quiet)
		}
	}
	switch {
	case errors.Is(f.err, ErrBadCount):
		f.w.fault("%v: it has never said that it consumed more than it was offered", f)
	case errors.Is(f.err, errCutOff) && f.peer != nil && f.peer.Said():
		f.w.fault("%v: it was told that its peer was cut off, and that had sent its close_notify", f)
	case errors.Is(f.err, errAnswers) && lim.QueueLimit-lim.HighWater > 5*lim.ReadBuffer+handshakeInput:
		f.w.fault("%v: it was read on though its peer takes no answers", f)
	case errors.Is(f.err, syscall.EADDRNOTAVAIL) && f.w.k.Now()-f.begunAt < f.w.s.limits.DialTimeout-slack:
		f.w.fault("%v: it has not waited for a port", f)
	case errors.Is(f.err, syscall.EAGAIN) && f.c.flags&dialled != 0 && f.w.k.Now()-f.begunAt < f.w.s.limits.DialTimeout-slack:
		f.w.fault("%v: it has not waited for a place in the backlog of a Unix socket", f)
	case f.err == ErrAborted && !f.aborted && f.wrote > 0 && !f.begun && f.consumed <= f.header: // a plain one is not told that it begins
		f.w.fault("%v: what was written before it was there is given up", f)
	}
	if f.err == ErrHalfClosed && f.peer != nil && f.piped == nil && f.c.loop.failing == 0 {
		if d := f.w.k.Now() - f.heard; d < lim.HalfCloseTimeout-slack {
			f.w.fault("%v: it was half-closed too long, and its peer sent or took something %v ago", f, d)
		}
	}
	if f.peer == nil || f.piped != nil || !errors.Is(f.err, ErrStalled) || f.c.loop.failing > 0 { // a loop that waits for its engine ends it late
		return
	}
	if d := f.w.k.Now() - f.peer.LastRead(); d < f.w.s.limits.WriteTimeout-slack {
		f.w.fault("%v: it is stalled, and its peer read something %v ago", f, d)
	}
}

// failure tells whether f's end is one that must not look like success to its peer.
func (f *life) failure() bool {
	return f.closed > 0 && f.err != nil && f.err != ErrIdle && !f.outEnded && !f.closing && !f.timedOut && !f.late
}

// checkEnd looks at what there is when nothing will ever happen any more.
func (w *world) checkEnd() {
	for _, l := range w.s.loops {
		for line := range l.conns.All() {
			if c := connOf(line); c.state == stateHandshaking && c.flags&inputEnded != 0 {
				w.fault("the peer of %v has ended its output, and its handshake waits", c.RemoteAddr())
			}
			w.checkTimeouts(connOf(line))
		}
	}
	for _, f := range w.lives {
		if f.c == nil {
			continue
		}
		if f.closed == 0 && f.told {
			f.checkStuck()
			if f.timers > 0 {
				w.fault("%v: %d of its timers have not fired", f, f.timers)
			}
		}
		if f.peer == nil {
			continue
		}
		if f.peer.Wrong() != "" {
			w.fault("%v: %s", f, f.peer.Wrong())
		}
		if f.err == ErrIdle && f.piped == nil && f.peer.Heard() == simkernel.Reset && f.peer.End == simkernel.Stays && w.s.limits.LingerTimeout >= 0 && w.prompt &&
			f.peer.Sent() == f.consumed && !f.broke && !f.aborted && f.peer.Got() == f.wrote {
			w.fault("%v: it was idle, and its peer was reset", f)
		}
		if f.lostTheLast() {
			w.fault("%v: it was closed in order, and a reset cost its peer the last of what was written", f)
		}
		if f.peer.Heard() == simkernel.Cut && f.upgradeAt == 0 && f.err == nil && f.closed > 0 && f.piped == nil && !f.broke {
			w.fault("%v: it was closed in order, and its peer heard no close_notify", f)
		}
		if f.inputEnded && !f.peer.Said() && f.piped == nil {
			w.fault("%v: it was told of an end in order, and its peer was cut off", f)
		}
		if f.peer.Heard() != simkernel.Ended {
			continue
		}
		if f.piped != nil {
			f.checkPiped()
			continue
		}
		left := len(w.closings) > 0 && f.err == ErrServerClosed && f.peer.Got() == f.wrote                                                  // Shutdown had ended it in order before
		ends := (w.tls || w.upgrades) && f.peer.Said() && f.consumed == f.peer.Sent() && !f.failed && !f.aborted && f.peer.Got() == f.wrote // its close_notify was queued when the system failed
		if f.failure() && !f.peer.Unix() && !left && !ends {
			w.fault("%v: its peer heard an end in order", f)
		}
		if f.peer.Got() != f.wrote && !f.broke && !f.peer.Unix() {
			w.fault("%v: its peer heard an end in order after %d bytes", f, f.peer.Got())
		}
	}
}

// lostTheLast tells whether f has not lingered as long as it should.
func (f *life) lostTheLast() bool {
	lim, p := &f.w.s.limits, f.peer
	return f.closed > 0 && f.err == nil && f.piped == nil && !f.aborted && !f.broke && lim.LingerTimeout >= time.Second &&
		p.Heard() == simkernel.Reset && p.Got() < f.wrote && p.End == simkernel.Stays && p.Read == 0 && p.ReadEvery == 0 && p.StopAt < 0
}

// checkPiped looks at one side of a Pipe whose peer has heard an end in order: it must be the other peer's.
func (f *life) checkPiped() {
	other := f.piped
	if other.peer == nil || len(f.w.closings) > 0 || !f.joined || // Shutdown ends in order behind what was received
		f.peer.Unix() || f.broke || other.broke || other.failed || f.failed {
		return
	}
	if f.peer.Got() != other.peer.Sent()-other.header && f.w.s.limits.IdleTimeout == 0 {
		f.w.fault("%v: its peer heard an end in order after %d bytes, of the %d that the other peer sent: %v", f, f.peer.Got(), other.peer.Sent(), other)
	}
}

// checkStuck looks whether f waits for what is there.
func (f *life) checkStuck() {
	w, c := f.w, f.c
	fd := int(c.line.FD)
	if fd < 0 {
		w.fault("%v: it has no descriptor, and waits", f)
		return
	}
	switch {
	case c.state == stateConnecting:
		return
	case c.state == stateHandshaking: // nobody may answer it, and it may wait for ever
		if c.flags&(inputFull|inputEnded) == 0 && w.k.Ready(fd, engine.Read) != 0 {
			w.fault("%v: there is input of its handshake, and it is not read", f)
		}
		return
	}
	if errno := w.k.SocketError(fd); errno != 0 && c.state == stateOpen && c.line.Watched() != 0 {
		w.fault("%v: its peer has reset it, and it has not heard: %v", f, errno)
	}
	if c.Queued() > 0 && w.k.Ready(fd, engine.Write) != 0 {
		w.fault("%v: %d bytes are queued, and there is room", f, c.Queued())
	}
	if f.unfilled && c.Queued() == 0 && f.block == nil && !f.plain && !f.closing && !f.aborted && !f.outEnded {
		w.fault("%v: it was refused a Write, and never told that its queue has drained", f)
	}
	if (f.closing || f.aborted || f.failed || f.broke) && c.Queued() == 0 && c.state == stateOpen && f.holds == 0 {
		w.fault("%v: it was closed, and nothing comes of it", f)
	}
	if c.flags&(inputEnded|endTold|paused) == inputEnded && !c.marked(stopMark) && c.state == stateOpen && (c.in == nil || !c.stopped()) {
		w.fault("%v: its input has ended, and it is not told", f)
	}
	if f.block != nil {
		f.block.checkStuck()
	}
	if len(w.closings) > 0 && f.plain && f.piped == nil && !c.marked(stopMark) && c.flags&(paused|secured) == 0 && c.in == nil && c.Queued() == 0 && !c.held() {
		w.fault("%v: it is idle, and Shutdown has not closed it", f)
	}
	if f.piped != nil && (f.piped.closed > 0 || f.joined && f.piped.c.state == stateGone) && c.Queued() == 0 && c.state == stateOpen {
		w.fault("%v: the other one of its Pipe is gone: %v", f, f.piped)
	}
	reads := !f.paused && !f.inputEnded && !f.closing && !f.aborted && !f.failed && !f.broke && c.flags&inputEnded == 0 && c.state == stateOpen
	reads = reads && c.endedFor() == nil // what it said last may wait for ever, if WriteTimeout is off
	reads = reads && c.out&unanswered == 0
	if f.piped != nil {
		reads = reads && f.opened && f.piped.closed == 0 && !f.piped.c.Full()
	} else {
		reads = reads && !c.Full() && (f.block == nil || f.block.reads())
	}
	if reads && w.k.Ready(fd, engine.Read) != 0 {
		w.fault("%v: there is input, and it is not read: flags %b, watched %b, %d bytes kept, waits for %d", f, c.flags, c.line.Watched(), c.Buffered(), f.least)
	}
}

// checkNames looks at what other goroutines may ask a connection for.
func (f *life) checkNames() {
	w, c := f.w, f.c
	if c.RemoteAddr() == nil {
		w.fault("%v: it has no remote address", f)
	}
	local := c.LocalAddr()
	raw, err := c.SyscallConn()
	if err != nil {
		if local != nil || !errors.Is(err, net.ErrClosed) {
			w.fault("%v: it has the address %v, and no descriptor: %v", f, local, err)
		}
		return
	}
	err = raw.Control(func(fd uintptr) {
		if int32(fd) != c.line.FD || !slices.Contains(w.k.OpenFiles(), int(fd)) {
			w.fault("%v: its descriptor is said to be %d", f, fd)
		}
	})
	if err != nil || local == nil {
		w.fault("%v: it has a descriptor and the address %v: %v", f, local, err)
	}
}
