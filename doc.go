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
// An idle connection is one Conn of 208 bytes. It has no goroutine, no buffer and no timer of the Go runtime. Received bytes
// are offered to the Handler of the connection, on the loop of the connection. What the handler writes is sent when it has
// returned. A Handler has two methods. It can have more if its protocol needs them: see Opener, InputEnder, Drainer and
// Leaver.
//
// Most programs need no Handler of their own:
//
//   - DataFunc is a function of bytes.
//   - Messages is a function of messages, in one of the formats of package frame. Frames is the same for any
//     bufio.SplitFunc.
//   - Blocking is ordinary code over a net.Conn. Its goroutine exists only while there is something to do.
//   - Pipe joins two connections, as a proxy does, and Conn.DialPipe connects to the second one first.
//
// # Limits
//
// A field of Server limits everything that grows:
//
//   - Input that the handler has not consumed is kept up to InputLimit. Then the connection is not read, and the flow
//     control of the system slows the peer down.
//   - Output that the peer has not taken is queued. At HighWater the connection is not read, since input mostly causes
//     output. At QueueLimit a Write takes nothing and returns ErrQueueFull. A peer that takes nothing for WriteTimeout loses
//     its connection.
//   - At MaxConns, or when the process has no descriptors left, accepting pauses until connections end.
//
// # Goroutines
//
// These methods of a Conn may be called from any goroutine: Write, Writev, WriteFrame, WriteMessage, CloseWrite, Close, Abort,
// Do, Hold, Dial, SyscallConn, the addresses and the counters. All others belong to the loop of the connection: call them in methods
// of the Handler and in functions given to Do and After. Code that runs on a loop must not wait, as the other connections of
// the loop wait for it. A loop without work sleeps in the kernel.
//
// # Order and errors
//
// Every connection that Server.Accept took, and every connection that Dial returned, gets exactly one call of Closed. Bytes
// that Write took are sent in order; if some were not sent, the error of Closed is ErrUnsent. When a peer ends its output (a
// half-close), it still gets every reply: the connection is closed when the handler has consumed all input, all output is
// sent, and the connection is not held (Conn.Hold).
//
// A failure never looks like success to the peer. After an error or a panic of the handler, a message that is too long or
// incomplete, a timeout, or a failure at the other end of a Pipe, the peer gets what was written before and then a reset;
// over TLS it gets no close_notify. Only an orderly end looks like one. Stats.Ends counts all ends by reason.
package switchboard
