// Package websocket speaks WebSocket (RFC 6455) on the event loops of package switchboard, as a server and as a client, with
// permessage-deflate (RFC 7692).
//
// An echo server:
//
//	package main
//
//	import (
//		"log"
//
//		"github.com/switchboard-go/switchboard"
//		"github.com/switchboard-go/switchboard/websocket"
//	)
//
//	func main() {
//		upgrader := &websocket.Upgrader{Handler: websocket.MessageFunc((*websocket.Conn).Write)}
//		server := &switchboard.Server{Accept: upgrader.Accept}
//		log.Fatal(server.ListenAndServe("127.0.0.1:8080"))
//	}
//
// An idle WebSocket is one Conn of 80 bytes and the switchboard.Conn under it. It has no goroutine, no buffer and no timer.
// A message costs no allocation: one that came whole is unmasked where it lies and passed on from there, and what
// compresses and inflates is borrowed for it.
//
// # Opening
//
// An Upgrader opens WebSockets for clients: from the first bytes of a connection (Upgrader.Accept), or for a request of an
// HTTP server (Upgrader.Upgrade, Upgrader.ServeHTTP), whose connection then stays on a loop, or goes to one. A Dialer opens
// them to servers: ws, wss and ws+unix, through a proxy if there is one.
//
// # Messages
//
// A Handler takes whole messages, on the loop: it must not wait. It can have more methods when its protocol needs them:
// Opener, Receiver (for the parts of long messages), Drainer, Leaver, Pinger. Blocking is ordinary code that waits.
//
// Conn.Write may be called from any goroutine. It never waits, and takes a message whole or not at all.
//
// # What is bounded
//
// Options limit what a peer may send and how long it may take. What it does not read is queued up to the limits of its
// switchboard.Server, and while the queue is full the peer is not read either.
//
// # Ending
//
// Every WebSocket that a Handler was told of, and every one that Dial returned, gets exactly one Closed. The closing
// handshake is made for it, with a timeout. A peer that breaks the protocol is told with which code (a ProtocolError), and
// after a panic or a timeout it gets a reset: a failure never looks like an orderly end.
package websocket
