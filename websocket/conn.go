package websocket

import (
	"errors"
	"sync"
	"sync/atomic"

	"github.com/switchboard-go/switchboard"
)

// Why a WebSocket ends, or takes no message. A full queue is switchboard.ErrQueueFull, a closed WebSocket net.ErrClosed.
var (
	// ErrNoClose means that the peer ended the connection without a Close frame: messages may be missing.
	ErrNoClose = errors.New("websocket: the connection ended without a Close frame")

	// ErrPingTimeout means that the peer did not answer a ping within Options.PingInterval.
	ErrPingTimeout = errors.New("websocket: the peer did not answer a ping")

	// ErrCloseTimeout means that the peer did not answer a Close frame within Options.CloseTimeout.
	ErrCloseTimeout = errors.New("websocket: the peer did not answer a Close frame")

	// ErrHandshakeTimeout means that the opening handshake was not complete within Options.HandshakeTimeout.
	ErrHandshakeTimeout = errors.New("websocket: the opening handshake took longer than the handshake timeout")

	// ErrNotOpen is the error of a write before the opening handshake is complete.
	ErrNotOpen = errors.New("websocket: the opening handshake is not done yet")

	// ErrMidMessage is the error of a write while a message of WritePart is incomplete.
	ErrMidMessage = errors.New("websocket: the message before it has not ended yet")
)

// A Conn is one WebSocket. Each method says whether any goroutine may call it, or only the loop: that is, the methods
// of the Handler and functions of switchboard.Conn.Do and After.
//
// An idle Conn has 80 bytes, besides its switchboard.Conn.
type Conn struct {
	conn       *switchboard.Conn
	handler    Handler
	loop       *loop
	more       *extra // the loop's; nil if there is no need of it
	prev, next *Conn  // in its list

	mu      sync.Mutex    // held by whoever sends
	sending atomic.Uint32 // sendFlags; changed under mu

	// The loop's.
	until       timestamp // it may stay in its list
	heard       uint32    // bytes received, modulo 1<<32, when it was last looked at
	subprotocol int8      // index in the settings, less than 0: none
	deflates    uint8     // see deflateOn
	flags       flags
	listed      listed
}

// extra is what few connections have at a time.
type extra struct {
	in       *incoming
	contexts *contexts // of permessage-deflate with context takeover
	closing  *CloseError
	failed   error  // why this side broke off
	due      []byte // a Close frame that did not fit into the queue
	counted  int    // bytes of in that the connection counts
	controls int    // control frames received in second
	second   int64
}

// contexts are what was compressed before, for messages that refer to it.
type contexts struct {
	received, sent []byte // nil: such messages stand alone
	keepReceived   int    // bytes at most
	keepSent       int    // changed and read under Conn.mu, as sent is
}

// deflates holds the base-2 logarithm of the window to compress with, and flags.
const (
	deflateOn       = 0x80 // messages may be compressed
	deflateContexts = 0x40 // extra.contexts is there, and stays
	deflateBits     = 0x0f
)

// sendFlags are the state of what this side sends.
const (
	sendOpen    = 1 << iota // the opening handshake is done
	sendClosed              // a Close frame is sent, or decided on: nothing follows it
	sendMidMsg              // WritePart has begun a message
	sendReadsOn             // what waits to be sent does not stop the reading: see KeepReading
)

type flags uint8

const (
	closeReceived flags = 1 << iota // nothing follows the peer's Close frame
	pinged                          // nothing has come since a ping was sent
	paused                          // by Pause
	streams                         // the handler is a Receiver
	closedFirst                     // this side began the closing handshake
	lateClose                       // the peer did not answer a Close frame in time
	lateStart                       // the opening handshake was not done in time
	missed                          // a message, or a part of one, has come after Close
)

// Conn returns the underlying connection, for its addresses, Value, Do, After, server and counters. Do not read,
// write or close it: that is done through the WebSocket. It is nil while a Dialer waits for a proxy. Any goroutine
// may call it.
func (c *Conn) Conn() *switchboard.Conn {
	if c.sending.Load()&sendOpen != 0 {
		return c.conn
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.conn
}

// Subprotocol returns the agreed subprotocol, "" if there is none. Any goroutine may call it once the handler has
// been told of c.
func (c *Conn) Subprotocol() string {
	if c.subprotocol < 0 {
		return ""
	}
	return c.loop.Subprotocols[c.subprotocol]
}

// Compressed reports whether the peers agreed on permessage-deflate. Any goroutine may call it once the handler has
// been told of c.
func (c *Conn) Compressed() bool { return c.deflates&deflateOn != 0 }

// Missed reports whether messages, or parts of one, have come after Close: the peer sent them before it answered, and the
// handler was not told of them. Only the loop may call it.
func (c *Conn) Missed() bool { return c.has(missed) }

// Handler returns the handler of c. Only the loop may call it.
func (c *Conn) Handler() Handler { return c.handler }

// Full reports whether the output queue has reached switchboard.Server.HighWater: stop writing until Drained. Any
// goroutine may call it once the handler has been told of c.
func (c *Conn) Full() bool { return c.conn.Full() }

// Pause stops reading until Resume. The handler receives nothing meanwhile, and the system slows the peer down. Only
// the loop may call it.
func (c *Conn) Pause() {
	c.flags |= paused
	c.conn.Pause()
}

// Resume undoes Pause. Only the loop may call it.
func (c *Conn) Resume() {
	c.flags &^= paused
	c.conn.Resume()
}

// KeepReading sets whether c is read while its output queue is full, as switchboard.Conn.KeepReading does. It is for handlers that pass
// on elsewhere what they receive, or only show it, so that two peers that both send a lot do not wait for each other. The handler
// must then bound what it writes in answer to messages; only switchboard.Server.QueueLimit bounds the answers to pings. A handler
// that gets a moved WebSocket calls it again. Only the loop may call it.
func (c *Conn) KeepReading(keep bool) {
	c.mu.Lock()
	state := c.sending.Load() &^ sendReadsOn
	if keep {
		state |= sendReadsOn
	}
	c.sending.Store(state)
	c.mu.Unlock()
	c.conn.KeepReading(keep)
}

// waits tells whether the handler is to receive nothing now.
func (c *Conn) waits() bool {
	return c.has(paused) || c.conn.Full() && c.sending.Load()&sendReadsOn == 0
}

// Abort ends the connection at once with a reset. Closed receives switchboard.ErrAborted. Any goroutine may call it.
func (c *Conn) Abort() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.abort()
}

// abort is Abort. mu is held.
func (c *Conn) abort() {
	c.sending.Store(c.sending.Load() | sendClosed)
	if c.conn != nil { // else whoever connects will see it
		c.conn.Abort()
	}
}

// extra belongs to the loop.
func (c *Conn) extra() *extra {
	if c.more == nil {
		c.more = extras.Get().(*extra)
	}
	return c.more
}

var extras = sync.Pool{New: func() any { return new(extra) }}

// releaseExtra lets the extra go that has nothing in it.
func (c *Conn) releaseExtra() {
	if m := c.more; m != nil && m.in == nil && m.contexts == nil && m.closing == nil && m.failed == nil && m.due == nil && m.controls == 0 {
		c.more = nil
		*m = extra{}
		extras.Put(m)
	}
}

func (c *Conn) has(f flags) bool { return c.flags&f != 0 }
