package switchboard

import (
	"net"
	"slices"
	"sync/atomic"
)

// An origin is where connections come from: a listener's address, or Dial and Takeover. It counts them by state. Each loop counts its own
// in its place, so that loops do not wait for each other's memory.
type origin struct {
	addr     net.Addr  // nil: Dial
	listener *listener // the last one of this address, under Server.mu
	loops    []originCounts
}

// originCounts are written by one loop, but for the first state, which any goroutine gives. Any may read them.
type originCounts struct {
	accepted, refused atomic.Int64
	states            [stateGone]atomic.Int64
	_                 [64]byte // no two loops' share a cache line
}

func newOrigin(addr net.Addr, loops int) *origin {
	return &origin{addr: addr, loops: make([]originCounts, loops)}
}

// originOf returns the number of ln's origin: that of the last listener with the same address, or of one that is over and
// whose connections are, or a new one. mu is held.
func (s *Server) originOf(ln *listener) uint32 {
	all := *s.origins.Load()
	at := slices.IndexFunc(all[1:], func(o *origin) bool {
		return o.addr.Network() == ln.addr.Network() && o.addr.String() == ln.addr.String()
	}) + 1
	if at == 0 {
		at = slices.IndexFunc(all[1:], func(o *origin) bool {
			_, open := s.listeners[o.listener]
			return !open && o.total() == (ConnStates{})
		}) + 1
		all = slices.Clone(all)
		if at == 0 {
			at = len(all)
			all = append(all, nil)
		}
		all[at] = newOrigin(ln.addr, len(s.loops))
		s.origins.Store(&all)
	}
	all[at].listener = ln
	return uint32(at)
}

// counts returns where l counts the connections of the origin with this number.
func (l *loop) counts(origin uint32) *originCounts {
	return &(*l.server.origins.Load())[origin].loops[l.number]
}

// counts returns where c is counted.
func (c *Conn) counts() *originCounts { return c.loop.counts(c.marks.Load() >> originShift) }

// become moves c to another state.
func (c *Conn) become(s state) {
	counts := c.counts()
	counts.states[c.state].Add(-1)
	if c.state = s; s != stateGone {
		counts.states[s].Add(1)
	}
}

// never takes c, which its loop did not take, out of the counts.
func (c *Conn) never() { c.counts().states[stateNew].Add(-1) }

// total returns how many connections of o are in which state.
func (o *origin) total() (n ConnStates) {
	for i := range o.loops {
		states := &o.loops[i].states
		n.Connecting += states[stateNew].Load() + states[stateConnecting].Load()
		n.Handshaking += states[stateAdmitting].Load() + states[stateHandshaking].Load()
		n.Open += states[stateOpen].Load()
		n.Closing += states[stateLingering].Load() + states[stateResetting].Load()
	}
	return n
}

// ConnStates are connections by state.
type ConnStates struct {
	Connecting  int64 // dialled and not there yet, or accepted and not on their loop yet
	Handshaking int64 // awaited by Server.Admission, in their TLS handshake, or their handler is being asked for
	Open        int64 // served by their handlers
	Closing     int64 // everything was sent, and the peer's end or acknowledgement is awaited
}

// An OriginStats are the figures of the connections that came from one address of a listener, or that Dial or Takeover brought.
type OriginStats struct {
	Addr  net.Addr   // of the listener; nil for connections that were dialled or taken over
	Conns ConnStates // connections that there are now

	Accepted int64 // connections taken from the listener, refused ones included
	Refused  int64 // connections that Server.Accept refused, or whose TLS handshake failed

	Accepting bool // a listener is open
	Full      bool // it waits, because there are Server.MaxConns connections
	Short     bool // it waits, because the process has no descriptors left
}

// originStats returns the figures of all origins: first of Dial and Takeover, then of the listeners.
func (s *Server) originStats() (all []OriginStats) {
	s.mu.Lock()
	defer s.mu.Unlock()
	origins := s.origins.Load()
	if origins == nil {
		return nil
	}
	for _, o := range *origins {
		st := OriginStats{Addr: o.addr, Conns: o.total()}
		for i := range o.loops {
			st.Accepted += o.loops[i].accepted.Load()
			st.Refused += o.loops[i].refused.Load()
		}
		if ln := o.listener; ln != nil {
			_, st.Accepting = s.listeners[ln]
			st.Full = st.Accepting && ln.full.Load()
			st.Short = st.Accepting && ln.spent.Load()
		}
		all = append(all, st)
	}
	return all
}

// State returns what ConnStates counts c as: "connecting", "handshaking", "open" or "closing"; "gone" after the end. It
// belongs to the loop.
func (c *Conn) State() string {
	return [...]string{stateNew: "connecting", stateConnecting: "connecting", stateAdmitting: "handshaking", stateHandshaking: "handshaking", stateOpen: "open",
		stateLingering: "closing", stateResetting: "closing", stateGone: "gone"}[c.state]
}

// Origin returns the address of the listener that c was accepted from, and nil for one that was dialled or taken over. Any goroutine may
// call it.
func (c *Conn) Origin() net.Addr {
	return (*c.loop.server.origins.Load())[c.marks.Load()>>originShift].addr
}

// PausedBy returns why c is not read now: "handler", "output", "input" or "memory", as PausedConns counts it,
// and "" while it is read. Any goroutine may call it.
func (c *Conn) PausedBy() string {
	return [...]string{"", "handler", "output", "input", "memory"}[c.marks.Load()&pauseMarks>>pauseShift]
}
