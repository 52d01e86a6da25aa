package switchboard

import (
	"syscall"
	"time"

	"github.com/switchboard-go/switchboard/selector"
)

// An engine moves bytes between the kernel and one loop's connections. There are two kinds: readiness (the kernel says
// that a descriptor can be read, and the engine reads it into the loop's one buffer) and completion (the kernel has
// already read into a buffer of the engine's). A Conn cannot tell which it has.
//
// All methods but wake belong to the loop. An engine calls Conn.receive for bytes, Conn.inputEnd for the peer's end,
// Conn.flush when output can move again, Conn.connected when a dialled connection is there or not, and Conn.finish when
// the kernel reports an error; none of these for a connection that was released.
type engine interface {
	// name is what Server.Engine calls it.
	name() string

	// listen begins to accept: ln.accepted is called for each connection, in a place that Server.claim gave. unlisten
	// stops it for a while or for good; the descriptor stays the listener's.
	listen(ln *listener) error
	unlisten(ln *listener)

	// watch says what c waits for from now on: input, room for output (or the end of connecting), both or nothing.
	watch(c *Conn, want selector.Events) error

	// look reads what c has received already, and tells whether there was anything.
	look(c *Conn) bool

	// send sends what c has queued and then p, or will when the turn is over; then c is inBatch until it is done. What the kernel does
	// not take is queued again, and c blocked. c.mu is held.
	send(c *Conn, p []byte) syscall.Errno

	// submit sends now what is in a batch.
	submit()

	// release forgets c, which is not inBatch, and closes its descriptor.
	release(c *Conn)

	// wait takes what has come, after waiting for it at most timeout: less than zero waits until there is something or
	// wake is called, zero only looks.
	wait(timeout time.Duration) error

	// wake ends a wait. Any goroutine may call it.
	wake()

	close()
}
