package websocket

import (
	"cmp"
	"fmt"
	"strings"
	"sync"
	"time"
	"weak"

	"github.com/switchboard-go/switchboard"
)

// Options are what an Upgrader and a Dialer have in common. Every field may be left out. They must not change once the
// first connection has been made.
type Options struct {
	// Subprotocols are the ones that this side speaks (RFC 6455, section 1.9). A client offers them in this order; a
	// server takes the first of the client's that is among them.
	Subprotocols []string

	// MaxMessage limits a received message, in bytes, after inflating. A longer one closes the connection with
	// CodeTooBig, before memory is taken for it. Zero means 1 MiB. It does not hold for a Receiver, which is given parts.
	//
	// What is sent is limited by switchboard.Server.QueueLimit: to echo messages of MaxMessage, make that at least
	// MaxMessage and HighWater and 14 bytes.
	MaxMessage int

	// MaxFrames limits the number of frames of a received message. More close the connection with CodePolicy. Zero means
	// any number: however many there are, they are not kept.
	MaxFrames int

	// MaxControl limits the pings, pongs and Close frames that a peer sends in a second. More close the connection with
	// CodePolicy. Zero means any number: pongs that the peer does not read stop its input like all output does.
	MaxControl int

	// PingInterval is how long a peer may be silent before it is sent a ping. When nothing has come after a second
	// interval, the connection is reset, with ErrPingTimeout. Looking is done once an interval, so both may come up to
	// one interval late. Zero means no pings; TCP itself asks silent peers, see switchboard.Server.KeepAlive.
	PingInterval time.Duration

	// HandshakeTimeout limits the opening handshake, from the connection to the last byte of the request or the answer.
	// For Dial it does not include the time to connect. Zero means 10 seconds; a negative value means no limit.
	HandshakeTimeout time.Duration

	// CloseTimeout limits the closing handshake. A peer that does not answer a Close frame is reset, with ErrCloseTimeout.
	// Zero means 5 seconds; a negative value means no limit.
	CloseTimeout time.Duration

	// MaxHandshake limits the request or the answer of the opening handshake, in bytes. Zero means 16 KiB.
	MaxHandshake int

	// Deflate has messages compressed where the peer wants it too. Nil means that they are not.
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
	for _, name := range o.Subprotocols {
		if !isToken(name) {
			return nil, fmt.Errorf("websocket: Options.Subprotocols has %q, which is no token", name)
		}
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
		l.lists[inOpen] = waitlist{timeout: s.PingInterval, expired: (*Conn).askPeer}
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

// isToken tells whether s can be a name in a header field (RFC 9110, section 5.6.2).
func isToken[T string | []byte](s T) bool {
	for i := range len(s) {
		c := s[i]
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) >= 0 {
			return false
		}
	}
	return len(s) > 0
}
