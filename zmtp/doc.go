// Package zmtp speaks ZMTP, the protocol of ZeroMQ. Its sockets exchange messages by patterns such as request and
// reply or publish and subscribe. They bind and connect in any order, reconnect by themselves, and queue messages.
// The package works with libzmq 4.0 and later.
//
// A server that replies to requests, and its client:
//
//	rep, _ := zmtp.NewSocket(zmtp.REP, nil)
//	rep.Bind("tcp://127.0.0.1:5555")
//	for {
//	request, err := rep.Recv()
//	if err != nil {
//	return err
//	}
//	rep.Send(append(request, []byte("!"))...)
//	}
//
//	req, _ := zmtp.NewSocket(zmtp.REQ, nil)
//	req.Connect("tcp://127.0.0.1:5555")
//	req.Send([]byte("hello"))
//	reply, err := req.Recv()
//
// # Patterns
//
// The type of a socket determines what happens when the queue of a peer has reached Options.SendHighWater, or when
// there is no peer to send to. Every dropped message is counted in Stats.
//
//	type                 sends to                 if that is full, or gone       receives from
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
// If a peer of a socket that waits disconnects, its queued messages, and those that the system has not taken from its
// connection, go to another peer. Only messages that the system had taken can be lost. If the peer of a REQ
// disconnects with the request, Recv returns ErrPeerLost, and the REQ can send again.
//
// # Two ways to use a socket
//
// Send and Recv wait: until a deadline, as in net.Conn, or until a context ends. Poll waits for several sockets. Any
// goroutine may call all methods, and goroutines may share a socket.
//
// Options.Handler receives each message on the event loop of its peer, without a goroutine.
//
// # The cost of a peer
//
// A peer is a connection of package switchboard and a struct of 192 bytes. Queues and buffers exist only while they
// are not empty. Options limit what peers can make a socket hold: RecvHighWater, HighWaterBytes, RecvLimit,
// MaxMessageSize, MaxParts, SubscriptionLimit, HandshakeTimeout, MaxPeers.
//
// A peer that breaks the protocol is disconnected, with a ProtocolError for Options.Monitor. Other peers are not
// affected.
//
// # Batching
//
// While a loop is busy, small messages are collected and sent together, so that not every message costs a system
// call. The first message after a pause, and the first after a Recv that emptied the queue, is sent at once.
package zmtp
