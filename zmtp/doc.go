// Package zmtp speaks ZMTP, the protocol of ZeroMQ: message patterns between sockets that bind and connect in any order, find
// each other again, and queue what is on the way. It is compatible on the wire with libzmq 4.0 and later.
//
// A server that replies to requests, and its client:
//
//	rep, _ := zmtp.NewSocket(zmtp.REP, nil)
//	rep.Bind("tcp://127.0.0.1:5555")
//	for {
//		request, err := rep.Recv()
//		if err != nil {
//			return err
//		}
//		rep.Send(append(request, []byte("!"))...)
//	}
//
//	req, _ := zmtp.NewSocket(zmtp.REQ, nil)
//	req.Connect("tcp://127.0.0.1:5555")
//	req.Send([]byte("hello"))
//	reply, err := req.Recv()
//
// # Patterns
//
// Each type of socket has its own rule for what happens when a peer's queue has reached Options.SendHighWater, or nobody is
// there to send to. Nothing is dropped without being counted in Stats.
//
//	type                 sends to                 when that is full, or gone     receives from
//	PUSH                 each in turn             waits                          -
//	PULL                 -                                                       all in turn
//	PUB, XPUB            all that subscribe       drops, or waits with NoDrop    subscriptions (XPUB)
//	SUB, XSUB            all (XSUB)               drops                          all in turn
//	REQ                  each in turn             waits                          the one it asked
//	REP                  the one that asked       drops                          all in turn
//	DEALER               each in turn             waits                          all in turn
//	ROUTER               the one addressed        drops; RouterMandatory: waits  all in turn
//	PAIR                 its one peer             waits                          its one peer
//	CLIENT               each in turn             waits                          all in turn
//	SERVER               the one addressed        drops                          all in turn
//	RADIO                all that joined          drops                          -
//	DISH                 -                                                       all in turn
//
// A message of a socket that waits is never lost because a peer dies, unless its connection had taken it: what was queued
// for that peer, and what the system had not taken from its connection, goes to the next one. A REQ whose peer dies with
// the request gets ErrPeerLost from Recv, and can send again.
//
// # Two ways to use a socket
//
// With Send and Recv, which wait: until a deadline, as those of a net.Conn, or the end of a context. Poll waits for several
// sockets. All methods may be called from any goroutine, and goroutines may share a socket.
//
// With Options.Handler, which is given each message on the event loop of its peer, without a goroutine.
//
// # What a peer costs
//
// A peer is a connection of package switchboard and a struct of 220 bytes; queues and buffers exist only while they hold
// something. What a peer can make a socket hold is bounded by Options: RecvHighWater and HighWaterBytes, MaxMessageSize,
// MaxParts, SubscriptionLimit, HandshakeTimeout, MaxPeers.
//
// A peer that breaks the protocol is ended, alone, with a ProtocolError that says what it did; Options.Monitor hears of it.
//
// # Messages on the way
//
// Small messages gather while a loop is busy and leave together, so that throughput does not cost a system call for each.
// The first message after a pause, and the one after a Recv that emptied the queue, leaves at once.
package zmtp
