package zmtp

import (
	"cmp"
	"fmt"
	"log/slog"
	"time"
)

// Options configure a socket. The zero value is ready to use, and nil means the zero value. Do not change them once
// the socket is made.
type Options struct {
	// Identity is the address of this socket for a ROUTER: at most 255 bytes, of which the first is not zero. REQ,
	// DEALER and ROUTER send it to their peers. "" means that the ROUTER makes one up.
	Identity string

	// SendHighWater and RecvHighWater limit the number of messages that wait for each peer and from each peer,
	// besides those in the connection. At SendHighWater the socket waits or drops messages, depending on its type. At
	// RecvHighWater the peer is not read until half of its messages are received; one read may exceed the limit. 0
	// means 1000. A negative value means that only HighWaterBytes counts.
	SendHighWater, RecvHighWater int

	// HighWaterBytes limits the bytes that wait for each peer and from each peer. 0 means 64 MiB, but 1 MiB for each
	// connected peer of a socket whose Send waits, and from each peer of PULL and PAIR, whose peers' Send waits: a
	// longer queue would only slow them down. A message may exceed the limit. The maximum is 1 GiB.
	HighWaterBytes int

	// RecvLimit limits the bytes that wait to be received from all peers together, including those that have
	// disconnected. At the limit no peer is read until half of the bytes are received: senders slow down and nothing
	// is lost. Each peer may exceed it by one read or one message. 0 means four times HighWaterBytes.
	RecvLimit int

	// SendLimit limits the memory of the messages that wait to be sent to all peers together, in bytes. At the limit a
	// socket whose Send waits does so; others drop messages, and count them, for peers that already have some, and at
	// twice the limit for all peers, but for small messages. Peers that take nothing for two seconds meanwhile are disconnected with ErrMemory,
	// those for which most waits first. 0 means no limit.
	SendLimit int

	// MaxMessageSize limits the bytes of a message, and MaxParts the number of its parts. A peer that starts a longer
	// message is disconnected before memory is allocated for it. 0 means 64 MiB, and 1024 parts. The maximum is 1
	// GiB.
	MaxMessageSize, MaxParts int

	// MaxPeers limits the accepted connections. A further one takes the place of one whose handshake has not ended,
	// which ends with ErrDisplaced; if there is none, it is refused. 0 means no limit.
	MaxPeers int

	// SubscriptionLimit limits the subscriptions of a peer, in bytes: the length of each topic, and 128 bytes for
	// each. A peer that exceeds it is disconnected. 0 means 16 MiB. The maximum is 1 GiB.
	SubscriptionLimit int

	// Linger is how long Close waits for unsent messages. 0 means 30 seconds. A negative value means that it does not
	// wait.
	Linger time.Duration

	// ReconnectMin is the time before a failed connection is tried again. It doubles up to ReconnectMax; up to half
	// of it, at random, is left out. 0 means 100 milliseconds, and 1 second: a peer that is back is found within that
	// time, so a REQ should wait for a reply for longer.
	ReconnectMin, ReconnectMax time.Duration

	// HandshakeTimeout limits the time from the start of a connection to the end of its handshake. 0 means 30
	// seconds. A negative value means no limit.
	HandshakeTimeout time.Duration

	// HeartbeatInterval is the time between PINGs to a peer; 0 means no PINGs. HeartbeatTimeout is how long the peer
	// may then be silent before it is disconnected; 0 means HeartbeatInterval. A peer that is not read, because the
	// program does not receive, is not silent. HeartbeatTTL asks the peer to disconnect after so long without a PING;
	// it is rounded to tenths of a second, at most 6553.5 seconds, and 0 means that it is not sent.
	HeartbeatInterval, HeartbeatTimeout, HeartbeatTTL time.Duration

	// Immediate makes Send wait until a peer is connected. Otherwise a socket that is connecting to a peer queues up
	// to SendHighWater messages for it.
	Immediate bool

	// Conflate keeps only the last message to and from each peer. Messages must have one part. It is for PUSH, PULL,
	// PUB, SUB and DEALER.
	Conflate bool

	// ProbeRouter makes REQ, DEALER and ROUTER send an empty message to each new peer, so that a ROUTER learns of
	// them.
	ProbeRouter bool

	// RouterMandatory makes Send of a ROUTER return ErrUnreachable for an unknown identity, and wait for a peer whose
	// queue is full. Otherwise such messages are dropped and counted.
	RouterMandatory bool

	// RouterHandover lets a new peer of a ROUTER take over the identity of another peer, which is disconnected.
	// Otherwise the new peer is refused.
	RouterHandover bool

	// ReqRelaxed lets a REQ send again before the reply has come. The late reply is then dropped. ReqCorrelate
	// numbers the requests, so that late replies are recognized. ReqRelaxed implies ReqCorrelate.
	ReqRelaxed, ReqCorrelate bool

	// XPubVerbose makes an XPUB receive every subscription, not only the first one of a topic. XPubVerboser makes it
	// also receive every cancellation, not only the last one.
	XPubVerbose, XPubVerboser bool

	// NoDrop makes Send of PUB and XPUB wait for peers whose queue is full, instead of dropping the message for them.
	NoDrop bool

	// Security is the security mechanism, which must be that of the peers: PlainClient, PlainServer, CurveClient or
	// CurveServer. nil means NULL, which is none.
	Security Security

	// Authenticate decides whether an accepted peer may connect, after the security mechanism has verified its
	// claims. It runs on its own goroutine and may wait; at most 64 calls run at the same time, and the peers of
	// others wait. HandshakeTimeout includes that time. The result is the UserID of the peer's messages. An error
	// refuses the peer. nil accepts every peer, except that PLAIN needs it.
	Authenticate func(*Login) (userID string, err error)

	// Metadata is sent to every peer in addition to that of the protocol. Names begin with "X-".
	Metadata map[string]string

	// Version30 makes the socket speak ZMTP 3.0: it sends subscriptions as messages, and has no heartbeats.
	Version30 bool

	// Handler receives every message instead of Recv. It runs on the event loop of the peer. It must not wait: use
	// TrySend or Message.Reply. m is valid until it returns. Handler is called for one message of a peer at a time,
	// but at the same time for peers on different loops.
	Handler func(s *Socket, m *Message)

	// Monitor is called for each Event of a connection or listener. It may run on any goroutine, on several at the
	// same time. It must not wait, and must not call methods of the socket. nil means none.
	Monitor func(Event)

	// Logger receives a message for each peer that is disconnected because of what it sent, but at most 20 in ten
	// seconds: the next message then counts the others. nil means none; Monitor gets all of these events.
	Logger *slog.Logger
}

const unlimited = 1<<31 - 1

// resolve puts the zero values into words and checks the rest.
func (o Options) resolve(t Type) (Options, error) {
	for _, v := range []struct {
		name string
		n    int
	}{{"HighWaterBytes", o.HighWaterBytes}, {"RecvLimit", o.RecvLimit}, {"SendLimit", o.SendLimit}, {"MaxMessageSize", o.MaxMessageSize}, {"MaxParts", o.MaxParts}, {"MaxPeers", o.MaxPeers},
		{"SubscriptionLimit", o.SubscriptionLimit}, {"ReconnectMin", int(o.ReconnectMin)}, {"ReconnectMax", int(o.ReconnectMax)},
		{"HeartbeatInterval", int(o.HeartbeatInterval)}, {"HeartbeatTimeout", int(o.HeartbeatTimeout)},
		{"HeartbeatTTL", int(o.HeartbeatTTL)}} {
		if v.n < 0 {
			return o, fmt.Errorf("%s of Options must not be less than 0", v.name)
		}
	}
	o.SendHighWater = highWater(o.SendHighWater)
	o.RecvHighWater = highWater(o.RecvHighWater)
	o.HighWaterBytes = cmp.Or(o.HighWaterBytes, 64<<20)
	o.MaxMessageSize = cmp.Or(o.MaxMessageSize, 64<<20)
	o.MaxParts = cmp.Or(o.MaxParts, 1024)
	o.SubscriptionLimit = cmp.Or(o.SubscriptionLimit, 16<<20)
	o.Linger = cmp.Or(o.Linger, 30*time.Second)
	o.ReconnectMin = cmp.Or(o.ReconnectMin, 100*time.Millisecond)
	o.ReconnectMax = max(cmp.Or(o.ReconnectMax, time.Second), o.ReconnectMin)
	o.HandshakeTimeout = cmp.Or(o.HandshakeTimeout, 30*time.Second)
	o.HeartbeatTimeout = cmp.Or(o.HeartbeatTimeout, o.HeartbeatInterval)
	o.ReqCorrelate = o.ReqCorrelate || o.ReqRelaxed
	o.MaxMessageSize = min(o.MaxMessageSize, 1<<30)
	o.HighWaterBytes = min(o.HighWaterBytes, 1<<30)
	o.SubscriptionLimit = min(o.SubscriptionLimit, 1<<30)
	o.RecvLimit = cmp.Or(o.RecvLimit, 4*min(o.HighWaterBytes, unlimited/4))
	switch {
	case len(o.Identity) > 255:
		return o, fmt.Errorf("Options.Identity has %d bytes: at most 255", len(o.Identity))
	case len(o.Identity) > 0 && o.Identity[0] == 0:
		return o, fmt.Errorf("Options.Identity begins with a zero byte, which is kept for identities that a ROUTER makes up")
	case o.HeartbeatTTL > 65535*100*time.Millisecond:
		return o, fmt.Errorf("Options.HeartbeatTTL is %v: at most 6553.5s", o.HeartbeatTTL)
	case o.Conflate && t != PUSH && t != PULL && t != PUB && t != SUB && t != DEALER:
		return o, fmt.Errorf("Options.Conflate: %w", ErrNotSupported)
	case o.Handler != nil && !traits[t].recvs:
		return o, fmt.Errorf("Options.Handler: %w", ErrNotSupported)
	}
	for name, value := range o.Metadata {
		if len(name) < 3 || len(name) > 255 || name[:2] != "X-" && name[:2] != "x-" || len(value) > 4096 {
			return o, fmt.Errorf("Options.Metadata %q: names begin with X-, values have at most 4096 bytes", name)
		}
		for _, ch := range []byte(name) {
			if !nameChar(ch) {
				return o, fmt.Errorf("Options.Metadata %q: names have letters, digits and - _ . +", name)
			}
		}
	}
	if o.Security == nil {
		o.Security = null{}
	}
	return o, o.Security.check(&o)
}

func highWater(n int) int {
	if n < 0 {
		return unlimited
	}
	return min(cmp.Or(n, 1000), unlimited)
}
