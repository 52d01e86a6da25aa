package switchboard

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"syscall"

	"github.com/switchboard-go/switchboard/internal/engine"
	"github.com/switchboard-go/switchboard/internal/rawio"
)

// Reasons for which connections and servers end. Compare them with errors.Is. An error of the system wraps its errno:
// errors.Is(err, syscall.ECONNRESET).
var (
	// ErrServerClosed is returned by Serve and Dial after Shutdown or Close. It also ends the connections that Close
	// aborts.
	ErrServerClosed = errors.New("switchboard: the server is closed")

	// ErrQueueFull is returned by Write when p does not fit below Server.QueueLimit. Nothing of p was taken. Drained is
	// called when there is room again.
	ErrQueueFull = errors.New("switchboard: the peer reads too slowly, its output queue is full")

	// ErrUnsent is wrapped by the error of Closed when bytes that Write had taken were not sent.
	ErrUnsent = errors.New("written bytes were not sent")

	// ErrIdle ends a connection after Server.IdleTimeout without a byte in either direction.
	ErrIdle = errors.New("switchboard: nothing was received or sent within the idle timeout")

	// ErrMessageTimeout ends a connection whose peer did not complete a message within Server.MessageTimeout.
	ErrMessageTimeout = errors.New("switchboard: the message was not complete within the message timeout")

	// ErrHalfClosed ends a connection whose peer has ended its output, after Server.HalfCloseTimeout without a byte in
	// either direction.
	ErrHalfClosed = errors.New("switchboard: no byte was received or sent within the half-close timeout after the peer had ended its output")

	// ErrHandshakeTimeout ends a TLS handshake that waited for its peer longer than Server.HandshakeTimeout.
	ErrHandshakeTimeout = errors.New("switchboard: the TLS handshake took longer than the handshake timeout")

	// ErrStalled ends a connection whose peer took no output within Server.WriteTimeout.
	ErrStalled = errors.New("switchboard: the peer took nothing within the write timeout")

	// ErrTooLong ends a connection of Frames whose message is not complete within Server.InputLimit bytes. The error that
	// wraps it has both numbers.
	ErrTooLong = errors.New("switchboard: the message is longer than the input limit")

	// ErrBadCount ends a connection whose handler returned a count that is negative, or larger than what it was offered.
	ErrBadCount = errors.New("switchboard: the handler returned a count out of range")

	// ErrAborted ends a connection that Abort ended.
	ErrAborted = errors.New("switchboard: the connection was aborted here")
)

// A PanicError ends a connection whose handler has panicked.
type PanicError struct {
	Value any    // the argument of panic
	Stack []byte // the stack of the goroutine, as of debug.Stack
}

func (e *PanicError) Error() string {
	return fmt.Sprintf("switchboard: the handler panicked: %v", e.Value)
}

// Unwrap returns Value if it is an error, otherwise nil.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// unsent adds to err, which may be nil, that n written bytes were lost.
func unsent(n int, err error) error {
	if err == nil {
		return fmt.Errorf("switchboard: %w: %d", ErrUnsent, n)
	}
	return fmt.Errorf("%w (%w: %d)", err, ErrUnsent, n)
}

// A systemError is an errno with the call, the network and the address it belongs to, as the net package has it: op is the error.
// All of it is one allocation, since many connections end with one.
type systemError struct {
	op   net.OpError
	call os.SyscallError
	addr net.TCPAddr
	ip   [16]byte
}

// callError is an errno of a call on a socket with this address.
func callError(call string, addr net.Addr, errno syscall.Errno) error {
	return new(systemError).of(call, addr, errno)
}

// callError is an errno of a call on c.
func (c *Conn) callError(call string, errno syscall.Errno) error {
	e := new(systemError)
	ap, scope := c.peer.AddrPort()
	if more := c.more.Load(); scope != 0 || !ap.IsValid() || more != nil && more.remote.Load() != nil {
		return e.of(call, c.RemoteAddr(), errno)
	}
	e.addr.Port = int(ap.Port())
	if ip := ap.Addr(); ip.Is4() {
		four := ip.As4()
		e.addr.IP = e.ip[:copy(e.ip[:], four[:])]
	} else {
		e.ip = ip.As16()
		e.addr.IP = e.ip[:]
	}
	return e.of(call, &e.addr, errno)
}

func (e *systemError) of(call string, addr net.Addr, errno syscall.Errno) error {
	e.call = os.SyscallError{Syscall: call, Err: rawio.Error(errno)}
	e.op = net.OpError{Op: call, Net: networkOf(addr), Addr: addr, Err: &e.call}
	return &e.op
}

func networkOf(addr net.Addr) string {
	if addr == nil {
		return "tcp"
	}
	return addr.Network()
}

// isReset tells whether err is nothing but an errno that says that the peer has reset the connection, or the system has given it
// up: what most failures are. It costs less than errors.Is.
func isReset(err error) bool {
	op, ok := err.(*net.OpError)
	if !ok {
		return false
	}
	call, ok := op.Err.(*os.SyscallError)
	return ok && (call.Err == syscall.ECONNRESET || call.Err == syscall.EPIPE || call.Err == syscall.ETIMEDOUT)
}

// closedError is use after close.
func (c *Conn) closedError(call string) error {
	addr := c.RemoteAddr()
	return &net.OpError{Op: call, Net: networkOf(addr), Addr: addr, Err: net.ErrClosed}
}

// ending is how a connection will end, and why.
type ending struct {
	err error
	how manner
}

// A manner is how a connection ends. What looks like success to the peer is only the first.
type manner uint8

const (
	order   manner = iota // once all is sent: the end of output, and over TLS a close_notify
	failure               // once all is sent and acknowledged: a reset
	abort                 // at once: a reset; what is queued is dropped
)

// mannerOf returns how a connection ends because of err.
func mannerOf(err error) manner {
	if err == nil || err == ErrIdle {
		return order
	}
	return failure
}

// CloseWrite ends the output of c: after everything that was written, the peer reads the end of input, as after
// shutdown(2) with SHUT_WR. Reading goes on. When the peer ends its output too, the connection ends. If c has ended, or
// its output has, CloseWrite returns an error that is net.ErrClosed. Any goroutine may call it.
func (c *Conn) CloseWrite() error {
	c.mu.Lock()
	if c.out&(closed|noOutput) != 0 || c.ending != nil {
		c.mu.Unlock()
		return c.closedError("closewrite")
	}
	c.out |= noOutput
	c.tellUnlock()
	return nil
}

// Close ends c in order. Everything that was written is sent, then the peer reads the end of input. The connection ends,
// and Handler.Closed is called, when the peer has closed its side too, or after Server.LingerTimeout. Input that arrives
// until then is dropped: closing a socket with unread input makes the system send a reset, and the peer could lose the
// last of the output. The handler gets no more Data. Close does not wait, and always returns nil. Further calls do
// nothing. Any goroutine may call it.
func (c *Conn) Close() error {
	c.end(nil)
	return nil
}

// Abort ends c at once: queued output is dropped and the peer gets a reset. Handler.Closed gets ErrAborted. Any goroutine
// may call it.
func (c *Conn) Abort() { c.drop(ErrAborted) }

// Fail ends c because of err, as an error that a handler returns does: what was written is sent, and then the peer gets a
// reset, so that it does not take an incomplete stream for a complete one. Handler.Closed gets err. Any goroutine may call
// it.
func (c *Conn) Fail(err error) { c.endHow(failure, err) }

// end ends c because of err, which may be nil, once what was written is sent. The handler will be told err.
func (c *Conn) end(err error) { c.endHow(mannerOf(err), err) }

// drop ends c at once. The handler will be told err.
func (c *Conn) drop(err error) { c.endHow(abort, err) }

func (c *Conn) endHow(how manner, err error) {
	c.mu.Lock()
	if c.out&closed != 0 || c.ending != nil && (c.ending.how == abort || how != abort) {
		c.mu.Unlock()
		return
	}
	if c.ending != nil && c.ending.err != nil && how == abort {
		err = c.ending.err // why it was ending already
	}
	c.endAs(how, err)
	c.tellUnlock()
}

// endAs decides how c ends, if that is not decided. mu is held.
func (c *Conn) endAs(how manner, err error) {
	if c.ending == nil || c.ending.how < how {
		c.ending = &ending{err, how}
		c.marks.Or(stopMark)
	}
}

// endedFor returns why c ends, once that is decided.
func (c *Conn) endedFor() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ending == nil {
		return nil
	}
	return c.ending.err
}

// tellUnlock unlocks mu, and tells the loop to look at c unless it is about to anyway.
func (c *Conn) tellUnlock() {
	tell := c.out&posted == 0 && !c.inTurn()
	if tell {
		c.out |= posted
	}
	c.mu.Unlock()
	if tell {
		c.loop.post(c)
	}
}

// endOutput tells the peer, once, that no more will come, and ends c if the peer has said so too.
func (c *Conn) endOutput(out outFlags) (gone bool) {
	if out&endSent == 0 {
		c.mu.Lock()
		c.out |= endSent
		c.mu.Unlock()
		errno := c.loop.kernel.ShutdownWrite(int(c.line.FD))
		if errno != 0 && errno != syscall.ENOTCONN { // not connected: the peer has reset, which reading will tell
			c.breakDown(c.callError("shutdown", errno))
			return true
		}
	}
	if c.flags&endTold != 0 {
		c.finish(nil)
		return true
	}
	return false
}

// depart takes the way out that was decided, when nothing is queued or at once.
func (c *Conn) depart(e *ending) {
	k, fd := c.loop.kernel, int(c.line.FD)
	switch {
	case e.how == abort, e.how == failure && c.state < stateOpen:
		if fd >= 0 {
			k.Reset(fd)
		}
		c.finish(e.err)
	case c.state < stateOpen:
		if e.err == nil {
			e.err = ErrAborted // before it could begin
		}
		c.finish(e.err)
	case c.state != stateOpen: // it is departing
	case e.how == failure:
		c.become(stateResetting)
		c.stopSplicing()
		c.dropInput()
		more := c.extra()
		more.since, more.pause = c.loop.clock(), 1
		more.heard = more.since
		c.checkReset()
	case c.flags&inputEnded != 0 || c.loop.limits.LingerTimeout < 0:
		c.finish(e.err)
	case k.ShutdownWrite(fd) != 0:
		c.finish(e.err) // the peer is gone already
	default:
		c.become(stateLingering)
		c.stopSplicing()
		c.dropInput()
		c.extra().since = c.loop.clock()
		c.schedule()
		c.watch(engine.Read)
	}
}

const (
	// resetAfter is how long a failed connection waits for its reset where the system does not tell what the peer has
	// acknowledged, in ticks.
	resetAfter = 100

	// resetQuiet is for how long the peer must have sent and acknowledged nothing before the reset, if it was sent anything, in
	// ticks. Its system has all by then, but a program that was not scheduled yet may ask for errors before it reads (nc), and
	// one that cannot write may not read any more: both would lose what they were told.
	resetQuiet = 200
)

// checkReset resets c, which has failed, when the peer's system has acknowledged all that was sent and the peer sends no more,
// or when either is late. There is no event for that: it is looked for at growing intervals. What the peer still sends is dropped.
func (c *Conn) checkReset() {
	more, l, fd := c.extra(), c.loop, int(c.line.FD)
	now, left := l.clock(), l.kernel.Untaken(fd)
	if left > 0 || c.flags&inputEnded == 0 && l.kernel.Ready(fd, engine.Read) != 0 {
		more.heard = now
	}
	late := l.limits.LingerTimeout < 0 || now-more.since >= ticks(l.limits.LingerTimeout)
	taken := left == 0 || left < 0 && now-more.since >= resetAfter
	quiet := c.Sent() == 0 || now-more.heard >= resetQuiet
	if late || taken && quiet {
		l.kernel.Reset(fd)
		c.finish(c.endedFor())
		return
	}
	l.deadlines.Start(&c.deadline, l.clock()+more.pause)
	more.pause = min(2*more.pause, 50)
	c.watch(c.want(0))
}

// failed ends c for what the system said.
func (c *Conn) failed(call string, errno syscall.Errno) {
	switch c.state {
	case stateLingering, stateResetting: // everything was sent and ended: how the peer goes does not matter
		c.finish(c.endedFor())
	case stateAdmitting:
		c.deny(c.callError(call, errno))
	case stateHandshaking:
		c.failHandshake(os.NewSyscallError(call, rawio.Error(errno)))
	default:
		c.mu.Lock()
		e, queued := c.ending, c.pending()
		c.mu.Unlock()
		if e != nil && (e.err != nil || queued == 0) { // it was on its way out, with nothing left to lose or for a reason of its own
			c.breakDown(e.err)
			return
		}
		if err := c.callError(call, errno); errno == syscall.ECONNRESET {
			c.finish(err)
		} else {
			c.breakDown(err)
		}
	}
}

// breakDown is finish for a failure of the system's: the peer, if it is there still, is not to take it for the end in order.
func (c *Conn) breakDown(err error) {
	if c.line.FD >= 0 && !errors.Is(err, syscall.ECONNRESET) { // which came from the peer
		c.loop.kernel.Reset(int(c.line.FD))
	}
	c.finish(err)
}

// finish ends c: the descriptor is given back, the memory let go, and the handler told.
func (c *Conn) finish(err error) {
	if c.state == stateGone {
		return
	}
	l := c.loop
	c.mu.Lock()
	if c.out&inBatch != 0 {
		c.mu.Unlock()
		l.engine.Submit() // its last bytes are for this descriptor, and whether they are taken is to be told
		c.mu.Lock()
	}
	c.become(stateGone)
	lost := c.pendingCipher()
	t := c.encryption()
	if t != nil {
		lost = t.unsent(lost)
	}
	l.count.Queued -= int64(c.counted)
	l.budget.held -= int64(c.weight) * l.budget.unit
	c.weight = 0
	c.dropInflow()
	c.queue.Drop(c.queue.Len())
	c.out |= closed
	l.engine.Release(&c.line)
	c.mu.Unlock()
	c.marks.Or(stopMark)
	c.setPause(notPaused)
	c.dropInput()
	if t != nil {
		c.leaveHandshake()
	}
	l.deadlines.Stop(&c.deadline)
	c.stopTimers()
	c.abortTarget()
	l.removeConn(c)
	if more := c.more.Load(); more != nil && more.dial != nil {
		more.dial.done()
	}
	if lost > 0 {
		err = unsent(lost, err)
	}
	c.tellClosed(err)
}

// tellClosed tells the Admitters, the handler, and who else wants to know, that c is gone.
func (c *Conn) tellClosed(err error) {
	if c.marks.Load()&(admissionsMarks|readmitted) != 0 {
		defer c.tellHandler(err) // also if an Admitter calls runtime.Goexit
		c.tellEnded()
		return
	}
	c.tellHandler(err)
}

func (c *Conn) tellHandler(err error) {
	l := c.loop
	if log := l.server.logger(); err != nil && log.Enabled(context.Background(), slog.LevelDebug) {
		log.Debug("a connection failed", "remote", c.RemoteAddr(), "error", err)
	}
	if c.flags&rejected != 0 {
		if p, ok := c.handler.(*pipe); ok {
			p.before = nil
			p.Closed(c, err)
		}
		return
	}
	if c.handler == nil {
		return
	}
	l.count.Ends.add(err)
	l.call(c, func() { c.handler.Closed(c, err) })
	if t := l.server.trace; t != nil && t.Closed != nil {
		l.call(c, func() { t.Closed(c, err) })
	}
}

// Ends counts the connections that have ended, by reason.
type Ends struct {
	Orderly   int64 // both sides ended, or Close
	Idle      int64 // ErrIdle, ErrHalfClosed, ErrMessageTimeout
	Stalled   int64 // ErrStalled
	Panics    int64 // a *PanicError
	Invalid   int64 // ErrTooLong, ErrBadCount, io.ErrUnexpectedEOF
	Reset     int64 // the peer reset the connection, or the system gave it up (ECONNRESET, EPIPE, ETIMEDOUT)
	Aborted   int64 // Abort, or Server.Close
	Memory    int64 // ErrMemory
	Piped     int64 // the other connection of a Pipe failed
	Moved     int64 // ErrMoved
	Failed    int64 // all other errors: of handlers, of TLS, of dialling
	Truncated int64 // those of all above that lost bytes which Write had taken (ErrUnsent)
}

func (e *Ends) add(err error) {
	switch {
	case err == nil:
		e.Orderly++
		return
	case isReset(err):
		e.Reset++
		return
	}
	is := func(target error) bool { return errors.Is(err, target) }
	panicked := func() bool { _, ok := errors.AsType[*PanicError](err); return ok }
	switch {
	case (is(syscall.ECONNRESET) || is(syscall.EPIPE) || is(syscall.ETIMEDOUT)) && !is(ErrPiped): // first, as most failures are that
		e.Reset++
	case is(ErrPiped):
		e.Piped++
	case is(ErrIdle), is(ErrHalfClosed), is(ErrMessageTimeout):
		e.Idle++
	case is(ErrStalled):
		e.Stalled++
	case panicked():
		e.Panics++
	case is(ErrTooLong), is(ErrBadCount), is(io.ErrUnexpectedEOF):
		e.Invalid++
	case is(ErrMemory):
		e.Memory++
	case is(ErrMoved):
		e.Moved++
	case is(ErrAborted), is(ErrServerClosed):
		e.Aborted++
	default:
		e.Failed++
	}
	if is(ErrUnsent) {
		e.Truncated++
	}
}

// sum adds what another loop counted.
func (e *Ends) sum(o *Ends) {
	e.Orderly += o.Orderly
	e.Idle += o.Idle
	e.Stalled += o.Stalled
	e.Panics += o.Panics
	e.Invalid += o.Invalid
	e.Reset += o.Reset
	e.Aborted += o.Aborted
	e.Memory += o.Memory
	e.Piped += o.Piped
	e.Moved += o.Moved
	e.Failed += o.Failed
	e.Truncated += o.Truncated
}
