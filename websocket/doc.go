// Package websocket speaks WebSocket (RFC 6455) on the event loops of package switchboard, as server and as client,
// with permessage-deflate (RFC 7692).
//
// An echo server:
//
//	package main
//
//	import (
//	"log"
//
//	"github.com/switchboard-go/switchboard"
//	"github.com/switchboard-go/switchboard/websocket"
//	)
//
//	func main() {
//	upgrader := &websocket.Upgrader{Handler: websocket.MessageFunc((*websocket.Conn).Write)}
//	server := &switchboard.Server{Accept: upgrader.Accept}
//	log.Fatal(server.ListenAndServe("127.0.0.1:8080"))
//	}
//
// An idle WebSocket is a Conn of 80 bytes and a switchboard.Conn. It has no goroutine, no buffer and no timer. A
// message costs no allocation: a message that arrives in one piece is unmasked in the read buffer and passed on from
// there. Compressors and decompressors are borrowed for one message.
//
// # Opening
//
// An Upgrader accepts WebSockets: from the first bytes of a connection (Upgrader.Accept), or from a request of an
// HTTP server (Upgrader.Upgrade, Upgrader.ServeHTTP), whose connection then belongs to a loop. A Dialer connects to
// servers: ws, wss and ws+unix, also through a proxy.
//
// # Messages
//
// A Handler receives whole messages on the loop, and must not wait. It may implement more interfaces: Opener,
// Receiver (for parts of long messages), Drainer, Leaver, Pinger. Blocking runs code that waits.
//
// Any goroutine may call Conn.Write. It never waits, and takes a message whole or not at all.
//
// # Limits
//
// Options limit what a peer may send and how long it may take. Output that the peer does not read is queued, up to
// the limits of the switchboard.Server. While the queue is full the peer is not read.
//
// # Ending
//
// Closed is called exactly once for every WebSocket whose handler was told of it, and for every one that Dial
// returned. The package performs the closing handshake, with a timeout. A peer that breaks the protocol gets a Close
// frame with a code (a ProtocolError). After a panic or a timeout the peer gets a reset: a failure never looks like
// an orderly end.
package websocket
