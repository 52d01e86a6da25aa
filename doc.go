// Package switchboard serves very many connections with very little memory, on a few event loops.
//
// An echo server:
//
//	package main
//
//	import (
//		"log"
//
//		"github.com/switchboard-go/switchboard"
//	)
//
//	func main() {
//		log.Fatal(switchboard.ListenAndServe("127.0.0.1:7007", switchboard.DataFunc((*switchboard.Conn).Write)))
//	}
//
// An idle connection is one Conn of 208 bytes: it has no goroutine, no buffer and no timer of the runtime's. What comes
// for a connection is offered to its Handler, on the connection's loop; what the Handler writes is sent when its turn is
// over. A Handler has two methods, and can have more when its protocol needs them: InputEnder, Drainer, Opener, Leaver.
//
// Most programs need no Handler of their own:
//
//   - DataFunc is a function of bytes.
//   - Frames is a function of messages, told apart by any bufio.SplitFunc; package frame has those of the usual protocols.
//   - Blocking is ordinary code over a net.Conn, on a goroutine that exists only while it has something to do.
//   - Pipe joins two connections, as a proxy does.
//
// # What is bounded
//
// Nothing grows without a limit that a field of Server names. What a handler does not consume is kept up to InputLimit:
// then the connection is not read, and the system's own flow control slows the peer down. What a peer does not take is
// queued: at HighWater its own input is no longer read, as that is mostly where the output comes from; at QueueLimit a
// Write takes nothing and says ErrQueueFull; and a peer that takes nothing at all for WriteTimeout is gone. At MaxConns,
// and when the process runs out of descriptors, accepting pauses and goes on by itself.
//
// # Goroutines
//
// Write, Writev, CloseWrite, Close, Abort, Do, Dial, the addresses and the counters of a Conn may be called from any
// goroutine. Everything else belongs to its loop: to the methods of Handler, and to functions given to Do and After. Those
// must not wait; the loop has other connections. A loop that has nothing to do sleeps in the kernel and costs nothing.
//
// # Order
//
// Every connection that Server.Accept took, and every one that Dial returned, gets exactly one Closed. Bytes that Write
// took are sent in order, or the error of Closed is ErrUnsent. A peer that ends its output (a half-close) still gets every
// reply: the connection is closed when the handler has consumed everything, everything it wrote is sent, and no answer is
// still to come (Conn.Hold).
//
// A failure never looks like success to the peer. After an error of the handler, a panic, a message that is too long or cut
// off, a timeout of writing, or a failure at the other end of a Pipe the peer is sent what was written before, and then a
// reset, over TLS without a close_notify. Only an orderly end is an orderly end. Stats.Ends counts both, by reason.
package switchboard
