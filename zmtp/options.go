package zmtp

import (
	"cmp"
	"fmt"
	"log/slog"
	"time"
)

// Options configure a socket. The zero value is ready to use; nil stands for it. They must not change once the socket is
// made.
type Options struct {
	// Identity is what a ROUTER addresses this socket by, at most 255 bytes, the first not zero. It is told by REQ, DEALER
	// and ROUTER. "": a ROUTER makes one up.
	Identity string

	// SendHighWater and RecvHighWater are how many messages may wait for each peer, and from each peer, beside those that
	// are with the connection. Then sending waits, or drops and counts, as the type of the socket has it; and a peer
	// is not read until half of its messages were received. One read may go over RecvHighWater. 0: 1000. Less than 0: only
	// HighWaterBytes counts.
	SendHighWater, RecvHighWater int

	// HighWaterBytes is how many bytes may wait for each peer, and from each peer, whatever their number. 0: 64 MiB. At most 1 GiB.
	HighWaterBytes int

	// RecvLimit is how many bytes may wait for the program in all: from the peers that are there, and from those that are gone.
	// Then no peer is read until half of them were received; those that send are slowed down, and nothing is lost. Each peer
	// may be a read or a message over it. 0: four times HighWaterBytes, 256 MiB.
	RecvLimit int

	// MaxMessageSize is how many bytes a message may have, all parts together; a peer that begins a longer one is ended
	// before memory is taken for it. MaxParts is how many parts. 0: 64 MiB,
	// and 1024. At most 1 GiB.
	MaxMessageSize, MaxParts int

	// MaxPeers is how many accepted connections the socket has at most; others are refused. 0: no limit.
	MaxPeers int

	// SubscriptionLimit is how much one peer may subscribe to, in bytes: each subscription counts as its length and 128
	// more. A peer that goes over it is ended. 0: 16 MiB. At most 1 GiB.
	SubscriptionLimit int

	// Linger is how long Close waits for messages that were not sent. 0: 30 seconds. Less than 0: not at all.
	Linger time.Duration

	// ReconnectMin is after how long a connection that failed is tried again. The time doubles up to ReconnectMax, and a
	// random half of it is left out. 0: 100 milliseconds, and 5 seconds.
	ReconnectMin, ReconnectMax time.Duration

	// HandshakeTimeout is how long a peer may take from its connection to the end of its handshake. 0: 30 seconds. Less
	// than 0: as long as it likes.
	HandshakeTimeout time.Duration

	// HeartbeatInterval is how often a peer is sent a PING. HeartbeatTimeout is how long it may then be silent before the
	// connection is ended. HeartbeatTTL asks the peer to end the connection when it hears nothing for so long; it is
	// told in tenths of a second, at most 6553.5 seconds. A peer that is not read because the program does not receive is not
	// silent. 0: no PINGs; as long as the interval; not told.
	HeartbeatInterval, HeartbeatTimeout, HeartbeatTTL time.Duration

	// Immediate has Send wait until a peer is connected. Without it, a socket that has no peer but is connecting
	// to one queues up to SendHighWater messages.
	Immediate bool

	// Conflate keeps only the last message to and from each peer. Messages must have one part. For PUSH, PULL, PUB, SUB
	// and DEALER.
	Conflate bool

	// ProbeRouter has REQ, DEALER and ROUTER send an empty message to every new peer, so that a ROUTER learns of it.
	ProbeRouter bool

	// RouterMandatory has a ROUTER's Send return ErrUnreachable for an identity that no peer has, and wait for a
	// peer whose queue is full. Without it such messages are dropped and counted.
	RouterMandatory bool

	// RouterHandover has a new peer of a ROUTER take over an identity that another peer has, which is ended. Without it the
	// new peer is refused.
	RouterHandover bool

	// ReqRelaxed lets a REQ send again before the reply has come; that reply is then dropped. ReqCorrelate has it number its
	// requests, so that a late reply is told from the awaited one; ReqRelaxed implies it.
	ReqRelaxed, ReqCorrelate bool

	// XPubVerbose has an XPUB receive every subscription, not only the first of its topic, and XPubVerboser every
	// cancellation too, not only the last.
	XPubVerbose, XPubVerboser bool

	// NoDrop has Send of PUB and XPUB wait for peers whose queue is full instead of dropping the message for them.
	NoDrop bool

	// Security is the mechanism that both sides must have. nil: NULL, which is none. PlainClient, PlainServer, CurveClient
	// and CurveServer are others.
	Security Security

	// Authenticate is asked whether an accepted peer may connect, once its mechanism has proven what it claims. It runs on a
	// goroutine of its own and may wait; the handshake timeout goes on meanwhile. The string that it returns is the
	// UserID of messages from that peer; an error refuses the peer. nil: every peer may; PLAIN must have one.
	Authenticate func(*Login) (userID string, err error)

	// Metadata is told to every peer, beside what the protocol tells. Names begin with "X-".
	Metadata map[string]string

	// Version30 has the socket speak ZMTP 3.0: subscriptions are sent as messages, and there are no heartbeats.
	Version30 bool

	// Handler, if there is one, is given every message instead of Recv. It runs on the event loop of the message's peer: it
	// must not wait, so it sends with TrySend or Message.Reply, and the message is valid until it returns. Messages of one
	// peer come one after another; those of peers on different loops at the same time.
	Handler func(s *Socket, m *Message)

	// Monitor is told of connections as they come, fail and go. It may run on any goroutine, at the same time on
	// several, must not wait and must not call the socket's methods. nil: nobody is.
	Monitor func(Event)

	// Logger is told of peers that are ended for what they sent. nil: nobody is; Monitor hears of it too.
	Logger *slog.Logger
}

const unlimited = 1<<31 - 1

// resolve puts the zero values into words and checks the rest.
func (o Options) resolve(t Type) (Options, error) {
	for _, v := range []struct {
		name string
		n    int
	}{{"HighWaterBytes", o.HighWaterBytes}, {"RecvLimit", o.RecvLimit}, {"MaxMessageSize", o.MaxMessageSize}, {"MaxParts", o.MaxParts}, {"MaxPeers", o.MaxPeers},
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
	o.ReconnectMax = max(cmp.Or(o.ReconnectMax, 5*time.Second), o.ReconnectMin)
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
