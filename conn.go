package switchboard

import (
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/switchboard-go/switchboard/internal/buffer"
	"github.com/switchboard-go/switchboard/internal/rawio"
	"github.com/switchboard-go/switchboard/internal/wheel"
)

// A Conn is one connection of a Server. Its methods may be called from any goroutine where they say so; the others
// belong to the connection's loop: to the Handler's methods, and to functions given to Do and After.
type Conn struct {
	deadline wheel.Timer // fires when the first of its timeouts may be over; the first field, see loop.advance

	loop    *loop
	handler Handler
	value   any
	born    int64 // when it began, in ticks of its loop

	// Read state, the loop's.
	in *buffer.Buffer // received and not consumed; nil when there is nothing

	// Counted by one side, read by any.
	received atomic.Int64
	active   atomic.Int64 // the tick of the last byte either way, if there is an idle timeout

	// Write state, under mu.
	mu     sync.Mutex
	queue          // taken by Write and not yet by the kernel
	sent   int64   // bytes the kernel took
	ending *ending // why it ends, once that is decided

	// The loop's own, but for fd and out, which are changed under mu.
	index   int32  // in its table
	counted int32  // bytes of the queue that its figures hold
	serial  uint32 // the engine's
	fd      int32
	out     outFlags
	flags   flags
	ring    ringFlags // the engine's
	wanted  uint8     // the selector.Events that the engine was last told to watch for
	state   state
	todo    todo

	// Set by one side, read by any.
	stop atomic.Bool // Close or Abort was called: the handler gets no more
	full atomic.Bool // the queue reached the high-water mark and is not down at the low one

	peer rawio.Peer
	more atomic.Pointer[extra]
}

// extra is what few connections have, made when the first of it is needed.
type extra struct {
	remote  net.Addr // of a dialled connection; never changed in place, for RemoteAddr reads it
	untaken int      // bytes that the kernel held for the peer at since
	dial    *dialing // nil once connected
	current target   // that dial is connecting to
	stream  *stream  // of Blocking
	inflow  atomic.Pointer[inflow]
	tls     atomic.Pointer[transport] // nil without TLS, and before a client has begun it

	since int64 // the tick since which it waits: to connect, for the peer to take output, for the peer's end
}

// ending is how a connection will end, once its queue is empty.
type ending struct {
	err   error
	abort bool // at once, the queue dropped
}

// A state is a part of a connection's life, as the loop sees it.
type state uint8

const (
	stateNew         state = iota // accepted, not yet on its loop
	stateConnecting               // dialled, not yet there
	stateHandshaking              // of TLS: its handler is not there yet, or not told
	stateOpen
	stateLingering // everything is sent and ended: only the peer's end is awaited
	stateGone
)

type flags uint16

const (
	paused      flags = 1 << iota // by Pause
	inputFull                     // unconsumed input reached the limit
	inputEnded                    // the peer's end was received
	endTold                       // and the handler knows
	leaving                       // Shutdown wants it closed as soon as it is idle
	leaveTold                     // and the Leaver knows
	dialled                       // by Dial, not accepted
	spliced                       // what it receives goes into the inflow of the other connection of its Pipe
	secured                       // by TLS
	cutOff                        // its input ended without the close_notify of TLS
	freeRunning                   // reading goes on though the queue is full: what it brings goes elsewhere
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
)

// ringFlags are what the completion engine does for a connection.
type ringFlags uint8

const (
	receiving  ringFlags = 1 << iota // an operation of the ring receives
	cancelling                       // and is being cancelled
	polling                          // one waits for room for output
	serialised                       // it has a serial number
	flooding                         // it brings more than is good for the others: it is read once a turn
	looking                          // receiving is only a poll
)

// A todo is what the loop owes a connection later in a turn.
type todo uint8

const (
	todoOffer todo = 1 << iota // offer the handler again what it left
	todoDrain                  // tell it that its queue has drained
	todoLeave                  // look whether it can go
	listed                     // it is on the loop's list
)

// Server returns the server that c belongs to. Any goroutine may call it.
func (c *Conn) Server() *Server { return c.loop.server }

// Loop returns the number of c's loop, from 0. Any goroutine may call it.
func (c *Conn) Loop() int { return c.loop.number }

// RemoteAddr returns the peer's address. Any goroutine may call it, after the connection's end as well.
func (c *Conn) RemoteAddr() net.Addr {
	if more := c.more.Load(); more != nil && more.remote != nil {
		return more.remote
	}
	return netAddr(c.peer, "")
}

// LocalAddr returns the connection's own address, nil before it has one and once it is gone. Any goroutine may call it.
func (c *Conn) LocalAddr() net.Addr {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.out&closed != 0 || c.fd < 0 {
		return nil
	}
	return netAddr(rawio.LocalName(int(c.fd)))
}

func netAddr(p rawio.Peer, path string) net.Addr {
	ap, scope := p.AddrPort()
	if !ap.IsValid() {
		return &net.UnixAddr{Name: path, Net: "unix"}
	}
	addr := net.TCPAddrFromAddrPort(ap)
	if scope != 0 {
		addr.Zone = strconv.Itoa(int(scope))
	}
	return addr
}

// Value returns what SetValue put, nil before that. Both belong to the loop.
func (c *Conn) Value() any { return c.value }

// SetValue puts something of the user's own into c.
func (c *Conn) SetValue(v any) { c.value = v }

// Handler returns the handler that serves c. It belongs to the loop.
func (c *Conn) Handler() Handler { return c.handler }

// SetHandler puts another handler in charge of what follows: a protocol that changes to another one in the middle, or
// Pipe. What the one before left unconsumed is offered to the new one. It belongs to the loop.
func (c *Conn) SetHandler(h Handler) {
	if p, ok := c.handler.(*pipe); ok {
		p.endSplice(c)
	}
	c.mu.Lock() // for the watch; whoever else looks is on the loop
	c.handler = h
	c.mu.Unlock()
	c.later(todoOffer)
}

// Received returns how many bytes came from the peer. Any goroutine may call it.
func (c *Conn) Received() int64 { return c.received.Load() }

// Sent returns how many bytes the system took for the peer. Any goroutine may call it.
func (c *Conn) Sent() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sent
}

// Queued returns how many written bytes the system has not taken yet. Any goroutine may call it.
func (c *Conn) Queued() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pending()
}

// Full tells whether the queue reached Server.HighWater and is not down at Server.LowWater yet: the time to stop writing.
// Any goroutine may call it.
func (c *Conn) Full() bool { return c.full.Load() }

// Age returns how long ago c began. Any goroutine may call it.
func (c *Conn) Age() time.Duration { return time.Duration(c.loop.clock()-c.born) * time.Millisecond }

// Do runs f on c's loop, soon and never before Do returns on the loop itself; what f writes to c leaves in one system
// call. It returns an error that is net.ErrClosed if c is gone already; if c is gone when f's turn comes, f does not
// run. Any goroutine may call it.
func (c *Conn) Do(f func()) error {
	c.mu.Lock()
	gone := c.out&closed != 0
	c.mu.Unlock()
	if gone || !c.loop.give(task{c, f}) {
		return c.closedError("do")
	}
	return nil
}

// extra belongs to the loop.
func (c *Conn) extra() *extra {
	more := c.more.Load()
	if more == nil {
		more = new(extra)
		c.more.Store(more)
	}
	return more
}
