package websocket

import (
	"cmp"
	"fmt"
	"sync"
	"time"
	"weak"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/internal/field"
)

// Options are common to Upgrader and Dialer. Do not change them after the first connection.
type Options struct {
	// Subprotocols are the supported subprotocols (RFC 6455, section 1.9): tokens, each one once. A client offers them
	// in this order. A server chooses the first one of the client's list that is among them.
	Subprotocols []string

	// MaxMessage limits a received message, in bytes after decompression. A longer message closes the connection with
	// CodeTooBig, before memory is allocated for it. Zero means 1 MiB. It does not apply to a Receiver, which gets
	// parts.
	//
	// switchboard.Server.QueueLimit limits sent messages. A server that echoes messages of MaxMessage bytes needs a
	// QueueLimit of at least HighWater + MaxMessage + 14.
	MaxMessage int

	// MaxFrames limits the number of frames of a received message. More frames close the connection with CodePolicy.
	// Zero means no limit: frames cost no memory.
	MaxFrames int

	// MaxControl limits the pings, pongs and Close frames that a peer sends per second. More close the connection
	// with CodePolicy. Zero means no limit: pongs that the peer does not read stop its input like all output does.
	MaxControl int

	// PingInterval is how long a peer may be silent before it gets a ping. If it is silent for another interval, the
	// connection is reset, with ErrPingTimeout. The check runs once per interval, so both may be one interval late.
	// Zero means no pings; see also switchboard.Server.KeepAlive.
	PingInterval time.Duration

	// HandshakeTimeout limits the opening handshake, from the start of the connection to the last byte of the request
	// or answer. For Dial it starts when the connection is established. Zero means 10 seconds; a negative value means
	// no limit.
	HandshakeTimeout time.Duration

	// CloseTimeout limits the closing handshake. A peer that does not answer a Close frame is reset, with
	// ErrCloseTimeout. Zero means 5 seconds; a negative value means no limit.
	CloseTimeout time.Duration

	// MaxHandshake limits the request or answer of the opening handshake, in bytes. Zero means 16 KiB.
	MaxHandshake int

	// Deflate compresses messages if the peer supports it. Nil means no compression.
	Deflate *Deflate
}

// settings are Options with their zero values put into words, and what depends on them.
type settings struct {
	Options
	client   bool
	upgrader *Upgrader // of a server's

	mu    sync.Mutex
	loops map[loopID]*loop
}

// A loopID names a loop, and does not keep its server.
type loopID struct {
	server weak.Pointer[switchboard.Server]
	number int
}

// resolve returns the settings that o stands for: an Upgrader's, or without one a Dialer's.
func (o Options) resolve(u *Upgrader) (*settings, error) {
	o.MaxMessage = cmp.Or(o.MaxMessage, 1<<20)
	o.HandshakeTimeout = cmp.Or(o.HandshakeTimeout, 10*time.Second)
	o.CloseTimeout = cmp.Or(o.CloseTimeout, 5*time.Second)
	o.MaxHandshake = cmp.Or(o.MaxHandshake, 16<<10)
	if o.Deflate != nil {
		d := *o.Deflate
		d.WindowBits = cmp.Or(d.WindowBits, maxWindowBits)
		d.Threshold = cmp.Or(d.Threshold, defaultThreshold)
		if d.Level < 0 || d.Level > 9 {
			return nil, fmt.Errorf("websocket: Deflate.Level is %d: must be 1 to 9, or 0", d.Level)
		}
		if d.WindowBits < minWindowBits || d.WindowBits > maxWindowBits {
			return nil, fmt.Errorf("websocket: Deflate.WindowBits is %d: must be 8 to 15", d.WindowBits)
		}
		o.Deflate = &d
	}
	for name, v := range map[string]int64{"MaxMessage": int64(o.MaxMessage), "MaxFrames": int64(o.MaxFrames),
		"MaxControl": int64(o.MaxControl), "PingInterval": int64(o.PingInterval), "MaxHandshake": int64(o.MaxHandshake)} {
		if v < 0 {
			return nil, fmt.Errorf("websocket: Options.%s is %d: must not be less than 0", name, v)
		}
	}
	if len(o.Subprotocols) > 127 {
		return nil, fmt.Errorf("websocket: Options.Subprotocols has %d names: at most 127", len(o.Subprotocols))
	}
	if err := field.CheckSubprotocols(o.Subprotocols); err != nil {
		return nil, fmt.Errorf("websocket: Options.Subprotocols: %w", err)
	}
	return &settings{Options: o, client: u == nil, upgrader: u, loops: map[loopID]*loop{}}, nil
}

// A loop is what the WebSockets of one event loop with the same settings share.
type loop struct {
	*settings
	start time.Time
	rules [4]rules // see Conn.rules
	lists [4]waitlist
}

// on returns the loop that c is on.
func (s *settings) on(c *switchboard.Conn) *loop {
	id := loopID{weak.Make(c.Server()), c.Loop()}
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.loops[id]
	if l == nil {
		for old := range s.loops {
			if old.server.Value() == nil {
				delete(s.loops, old)
			}
		}
		l = &loop{settings: s, start: time.Now()}
		l.lists[inHandshake] = waitlist{timeout: s.HandshakeTimeout, expired: (*Conn).handshakeTimedOut}
		l.lists[inOpen] = waitlist{timeout: s.PingInterval, expired: (*Conn).checkSilence}
		l.lists[inClosing] = waitlist{timeout: s.CloseTimeout, expired: (*Conn).closeTimedOut}
		for i := range l.rules {
			l.rules[i] = rules{masked: !s.client, compressed: i&1 != 0, streams: i&2 != 0,
				maxMessage: int64(s.MaxMessage), maxFrames: s.MaxFrames}
			if l.rules[i].streams {
				l.rules[i].maxMessage = 1<<63 - 1
			}
		}
		s.loops[id] = l
	}
	return l
}
