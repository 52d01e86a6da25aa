package switchboard

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"github.com/switchboard-go/switchboard/internal/buffer"
	"github.com/switchboard-go/switchboard/internal/engine"
	"github.com/switchboard-go/switchboard/internal/rawio"
	"github.com/switchboard-go/switchboard/internal/wheel"
)

// A Conn is a connection of a Server. A method may be called from any goroutine if its comment says so. All other methods
// belong to the loop of the connection: they may be called only in the methods of its Handler and in functions given to Do
// and After. Some of these panic when they are certainly called elsewhere.
type Conn struct {
	line     engine.Line // the first field, see connOf
	deadline wheel.Timer // fires when the first of its timeouts may be over; the second, see connOfTimer

	loop    *loop
	handler Handler
	value   any
	born    int64 // when it began, in ticks of its loop

	// Read state, the loop's.
	in *buffer.Buffer // received and not consumed; nil when there is nothing

	// Counted by one side, read by any.
	received atomic.Int64
	active   atomic.Int64 // the tick of the last byte either way, or movedNow, if there is a timeout that asks for it

	// Write state, under mu.
	mu     sync.Mutex
	queue  buffer.Queue // taken by Write and not yet by the kernel
	sent   int64        // bytes the kernel took
	ending *ending      // why it ends, once that is decided

	// The loop's own, but for out, and the line's descriptor, which are changed under mu.
	counted int32 // bytes of the queue that its figures hold
	flags   flags
	out     outFlags
	state   state
	todo    todo
	weight  uint16 // what it holds, in units of its loop's budget

	marks atomic.Uint32 // set by one side, read by any

	peer rawio.Peer
	more atomic.Pointer[extra]
}

// What Conn.marks holds: these, why c is not read, how many Admitters have admitted it, and the number of its origin.
const (
	stopMark   = 1 << iota // Close or Abort was called: the handler gets no more
	fullMark               // the queue reached the high-water mark and is not down at the low one
	heavyMark              // it is not read, because it holds much while memory is short
	movingMark             // it is being handed over to another process

	pauseShift      = 4
	pauseMarks      = 7 << pauseShift
	admissionShift  = 7
	mostAdmitters   = 15
	admissionsMarks = mostAdmitters << admissionShift
	readmitted      = 1 << 11 // another process has admitted it, and the Readmitters know
	originShift     = 12
)

// Why a connection is not read, in Conn.marks; one of them.
const (
	notPaused uint32 = iota << pauseShift
	pausedByHandler
	pausedByOutput
	pausedByInput
	pausedByMemory
)

func (c *Conn) marked(mark uint32) bool { return c.marks.Load()&mark != 0 }

// connOf returns the connection that l is the line of.
func connOf(l *engine.Line) *Conn { return (*Conn)(unsafe.Pointer(l)) }

// connOfTimer returns the connection that t is the deadline of.
func connOfTimer(t *wheel.Timer) *Conn {
	return (*Conn)(unsafe.Add(unsafe.Pointer(t), -int(unsafe.Offsetof(Conn{}.deadline))))
}

// extra is what few connections have, made when the first of it is needed.
type extra struct {
	remote  atomic.Pointer[net.Addr] // of a dialled connection
	untaken int                      // bytes that the kernel held for the peer when that was last looked at; guarded by Conn.mu
	dial    *dialing                 // nil once connected
	current target                   // that dial is connecting to
	target  *Conn                    // of DialPipe, until it is joined with c
	stream  *stream                  // of Blocking
	timers  *Timer                   // of After, that run
	onSent  []func()
	inflow  atomic.Pointer[inflow]
	config  *tls.Config                // of an accepted connection, if it is not Server.TLSConfig
	tls     atomic.Pointer[encryption] // nil without TLS, and before a client has begun it
	holds   atomic.Int32               // of Hold, that are not released
	looks   int32                      // how often it was looked for input before a timeout
	kept    int64                      // of CountMemory

	begun int64        // the tick after that at which a message began which is not complete, 0 if there is none or it may take any time
	since int64        // the tick since which it waits: to connect, for the peer to take output, for the peer's end
	taken atomic.Int64 // the tick at which a timeout, which may be that of a Pipe's other side, saw that the peer had taken output
	heard int64        // the tick of the last input after it failed, or of the failure
	pause int64        // ticks until it is looked again whether the peer has acknowledged all
}

func (more *extra) setRemote(a net.Addr) { more.remote.Store(&a) }

// A state is a part of a connection's life, as the loop sees it.
//
//	state         meaning                                       goes to
//	new           accepted or dialled, not yet on its loop      connecting, admitting, handshaking, open, gone
//	connecting    dialled, not yet there                        handshaking, open: connected. gone: giveUp
//	admitting     accepted: what the Admitter wants is awaited  handshaking, open: admitted. gone: deny
//	handshaking   TLS is, or Accept is asked: its handler, if   open: opened, handshakeDone. gone: failHandshake, reject
//	              it has one, hears nothing
//	open          its handler serves it                         handshaking: StartTLS. lingering, resetting, gone: depart
//	lingering     all is sent and ended: the peer's end is      gone: depart
//	              awaited, and what it still says is dropped
//	resetting     it failed: until the peer has acknowledged    gone: checkReset
//	              what was sent, then comes the reset
//	gone          the descriptor is given back
type state uint8

const (
	stateNew state = iota
	stateConnecting
	stateAdmitting
	stateHandshaking
	stateOpen
	stateLingering
	stateResetting
	stateGone
)

type flags uint16

const (
	paused       flags = 1 << iota // by Pause
	inputFull                      // unconsumed input reached the limit
	inputEnded                     // the peer's end was received
	endTold                        // and the handler knows
	leaving                        // Shutdown wants it closed as soon as it is idle
	leaveTold                      // and the Leaver knows
	dialled                        // by Dial, not accepted
	spliced                        // what it receives goes into the inflow of the other connection of its Pipe
	secured                        // by TLS
	cutOff                         // its input ended without the close_notify of TLS
	keepsReading                   // reading goes on though the queue is full: what it brings goes elsewhere
	rejected                       // Accept refused it: it has no handler to tell
	suspected                      // a timeout is over unless input has come
	endsFree                       // it ends in order when it is held no longer
	readsOnce                      // its queue has drained since it was read: it is read once though the queue be full again
	upgraded                       // by StartTLS: its handler is there before the handshake is done
)

type outFlags uint16

const (
	blocked    outFlags = 1 << iota // the kernel took less than it was offered: wait until it can be written
	posted                          // the loop was told, or will see to it this turn
	noOutput                        // CloseWrite was called
	endSent                         // and the peer told
	closed                          // the descriptor is given back
	progressed                      // the kernel took some of a queue that is not empty
	sealed                          // by TLS: Write only queues, and the loop encrypts
	refused                         // a Write did not fit above the low-water mark: only an empty queue is drained
	inBatch                         // what was queued leaves with the engine's next system call
	sharedOut                       // and the batch refers to bytes that never change
	awaited                         // WhenSent was called
	unanswered                      // so much of TLS's own waits for the peer that it is not read
)

// A todo is what the loop owes a connection later in a turn.
type todo uint8

const (
	todoOffer     todo = 1 << iota // offer the handler again what it left
	todoDrain                      // tell it that its queue has drained
	todoLeave                      // look whether it can go
	todoHandshake                  // begin the handshake that StartTLS asked for
	todoSent                       // tell WhenSent that nothing waits, if that is so
	listed                         // it is on the loop's list
)

// Server returns the server of c. Any goroutine may call it.
func (c *Conn) Server() *Server { return c.loop.server }

// Loop returns the number of the loop of c, counted from 0. Any goroutine may call it.
func (c *Conn) Loop() int { return c.loop.number }

// RemoteAddr returns the address of the peer. Any goroutine may call it, also after the connection has ended.
func (c *Conn) RemoteAddr() net.Addr {
	if more := c.more.Load(); more != nil {
		if remote := more.remote.Load(); remote != nil {
			return *remote
		}
	}
	return netAddr(c.peer, "")
}

// LocalAddr returns the local address of c. It is nil before a dialled connection has one, and after the connection has
// ended. Any goroutine may call it.
func (c *Conn) LocalAddr() net.Addr {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.out&closed != 0 || c.line.FD < 0 {
		return nil
	}
	return netAddr(c.loop.kernel.LocalName(int(c.line.FD)))
}

func netAddr(p rawio.Peer, path string) net.Addr {
	ap, scope := p.AddrPort()
	if !ap.IsValid() {
		return &net.UnixAddr{Name: path, Net: "unix"}
	}
	addr := net.TCPAddrFromAddrPort(ap)
	if scope != 0 {
		addr.Zone = strconv.Itoa(int(scope))
		if ifi, err := net.InterfaceByIndex(int(scope)); err == nil {
			addr.Zone = ifi.Name // as package net has it
		}
	}
	return addr
}

// Value returns the value that SetValue stored, or nil. The function Value returns it with its type. It belongs to the
// loop.
func (c *Conn) Value() any { return c.value }

// SetValue stores a value for the user of the library. It belongs to the loop.
func (c *Conn) SetValue(v any) {
	c.checkLoop("Conn.SetValue")
	c.value = v
}

// Value returns the value that SetValue stored in c, if it has type T; otherwise the zero T. For example:
// switchboard.Value[*session](c). It belongs to the loop.
func Value[T any](c *Conn) T {
	v, _ := c.value.(T)
	return v
}

// Handler returns the handler that serves c. It belongs to the loop.
func (c *Conn) Handler() Handler { return c.handler }

// SetHandler replaces the handler of c, for a protocol that changes into another one. The new handler is offered the input
// that the old one has not consumed. The old handler is not called again. SetHandler belongs to the loop.
func (c *Conn) SetHandler(h Handler) {
	c.checkLoop("Conn.SetHandler")
	c.setHandler(h)
}

func (c *Conn) setHandler(h Handler) {
	c.stopSplicing()
	if more := c.more.Load(); more != nil && more.stream != nil {
		c.flags &^= keepsReading // which was for the stream
	}
	c.mu.Lock() // for the watch; whoever else looks is on the loop
	c.handler = h
	c.mu.Unlock()
	c.later(todoOffer)
}

// Received returns how many bytes were received. Over TLS it counts ciphertext. Any goroutine may call it.
func (c *Conn) Received() int64 { return c.received.Load() }

// Sent returns how many bytes were handed to the system. Over TLS it counts ciphertext. Any goroutine may call it.
func (c *Conn) Sent() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sent
}

// Queued returns how many written bytes have not been handed to the system yet. Any goroutine may call it.
func (c *Conn) Queued() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pending()
}

// Full reports whether the output queue has reached Server.HighWater and has not drained to Server.LowWater since. A
// handler that produces output should stop then, and go on in Drained. Any goroutine may call it.
func (c *Conn) Full() bool { return c.marked(fullMark) }

// Age returns the time since c was accepted or dialled. Any goroutine may call it.
func (c *Conn) Age() time.Duration { return time.Duration(c.loop.clock()-c.born) * time.Millisecond }

// Do schedules f to run on the loop of c. It does not wait for f. Called on the loop, it returns before f runs. Small
// writes of f leave together in one system call. If c has ended, Do returns an error that is net.ErrClosed; if c ends
// before f's turn, f does not run. There is no limit on scheduled functions; Stats.Waiting counts them. Any goroutine may
// call it.
func (c *Conn) Do(f func()) error {
	c.mu.Lock()
	gone := c.out&closed != 0
	c.mu.Unlock()
	if gone || !c.loop.give(task{c, f}) {
		return c.closedError("do")
	}
	return nil
}

// extra returns c's extra, and makes it first if there is none. Any goroutine may call it.
func (c *Conn) extra() *extra {
	if more := c.more.Load(); more != nil {
		return more
	}
	c.more.CompareAndSwap(nil, &extra{untaken: -1})
	return c.more.Load()
}

// Hold keeps c open for an answer that is still to come. Until release is called, c does not become idle, is not closed
// because its peer has ended its output, and is not closed by Shutdown before its context ends. Close, Abort and failures
// end c all the same. Every Hold must be released; further calls of release do nothing. Any goroutine may call Hold and
// release.
func (c *Conn) Hold() (release func()) {
	more := c.extra()
	more.holds.Add(1)
	var once sync.Once
	return func() {
		once.Do(func() {
			if more := c.extra(); more.holds.Add(-1) == 0 {
				c.loop.give(task{f: c.released})
			}
		})
	}
}

// held tells whether answers are still to come.
func (c *Conn) held() bool {
	more := c.more.Load()
	return more != nil && more.holds.Load() > 0
}

// released goes on with what waited for the last Hold. It runs on the loop.
func (c *Conn) released() {
	if c.state == stateGone || c.held() {
		return
	}
	if c.state == stateOpen {
		c.touch() // the silence begins here
		c.schedule()
	}
	if c.flags&endsFree != 0 {
		c.flags &^= endsFree
		c.end(nil)
	}
	if c.flags&leaving != 0 {
		c.later(todoLeave)
	}
	c.flush()
}

// SyscallConn gives access to the descriptor of c, for socket options and peer credentials. Only Control is supported: the
// descriptor must not be read, written or closed. Functions given to Control must not wait. Any goroutine may call it.
func (c *Conn) SyscallConn() (syscall.RawConn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.out&closed != 0 || c.line.FD < 0 {
		return nil, c.closedError("syscallconn")
	}
	return rawConn{c}, nil
}

type rawConn struct{ c *Conn }

// Control implements syscall.RawConn.
func (r rawConn) Control(f func(fd uintptr)) error {
	r.c.mu.Lock()
	defer r.c.mu.Unlock()
	if r.c.out&closed != 0 || r.c.line.FD < 0 {
		return r.c.closedError("control")
	}
	f(uintptr(r.c.line.FD))
	return nil
}

// Read implements syscall.RawConn.
func (r rawConn) Read(func(uintptr) bool) error {
	return fmt.Errorf("switchboard: reading the descriptor of a Conn: %w", errors.ErrUnsupported)
}

// Write implements syscall.RawConn.
func (r rawConn) Write(func(uintptr) bool) error {
	return fmt.Errorf("switchboard: writing the descriptor of a Conn: %w", errors.ErrUnsupported)
}
