package switchboard

import (
	"cmp"
	"math/bits"
	"net"
	"slices"
	"sync/atomic"
	"time"

	"github.com/switchboard-go/switchboard/internal/engine"
)

// Stats are the figures of a server since it began, or of one of its loops. A loop publishes its figures at the end of
// each turn.
type Stats struct {
	Active   int64 // connections that are open now, or on their way
	Accepted int64 // connections taken from listeners, refused ones included
	Refused  int64 // connections that Server.Accept refused, or whose TLS handshake failed
	Dialled  int64 // connections that Dial opened
	Taken    int64 // connections that another process handed over, accepted and dialled

	Handshakes        int64 // TLS handshakes that succeeded
	HandshakeFailures int64 // TLS handshakes that failed, of dialled connections as well

	BytesIn  int64 // bytes received
	BytesOut int64 // bytes handed to the system
	Spliced  int64 // those of BytesIn that a Pipe moved inside the kernel, by splice(2)
	Messages int64 // calls of Data, or messages of Messages and Frames
	Queued   int64 // bytes that are waiting to be sent now
	Waiting  int64 // functions given to Conn.Do that have not run yet
	Ends     Ends  // connections that have ended, by reason

	Memory int64 // bytes that connections hold now, as Server.MemoryLimit counts them; 0 without a limit

	Paused       PausedConns // connections that are not read now, by reason
	Pauses       int64       // times that reading a connection paused
	MemoryPauses int64       // times that the connections which hold the most were not read, for lack of memory
	AcceptPauses int64       // times that a listener stopped accepting for a while
	Slow         int64       // calls of handlers that took longer than Server.SlowCall

	Turns *Histogram // how long turns of the loops took; nil unless Server.SampleCalls is set
	Calls *Histogram // how long calls of handlers took, of one in Server.SampleCalls; nil as well

	// Busy is how long the loops have worked and not waited: the time of their turns, if Server.SampleCalls is set, and with
	// the engine "uring" the processor time of their threads.
	Busy time.Duration

	Ring RingStats // of the engine "uring"; zero with others

	Engine string  // the engine of the loops
	Why    string  // why "auto" chose this engine; empty if Server.Engine named it
	Loops  []Stats // the figures of each loop; nil in those of a loop

	Origins []OriginStats // connections by where they come from: first Dial, then each listener; nil in those of a loop
	Leaving bool          // Shutdown or Close has begun
}

// Stats returns the figures of the server. Any goroutine may call it.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	loops := s.loops
	s.mu.Unlock()
	var sum Stats
	for _, l := range loops {
		st := l.figures()
		sum.Active += st.Active
		sum.Accepted += st.Accepted
		sum.Refused += st.Refused
		sum.Dialled += st.Dialled
		sum.Taken += st.Taken
		sum.Handshakes += st.Handshakes
		sum.HandshakeFailures += st.HandshakeFailures
		sum.BytesIn += st.BytesIn
		sum.BytesOut += st.BytesOut
		sum.Spliced += st.Spliced
		sum.Messages += st.Messages
		sum.Queued += st.Queued
		sum.Waiting += st.Waiting
		sum.Ends.sum(&st.Ends)
		sum.Memory += st.Memory
		sum.MemoryPauses += st.MemoryPauses
		sum.Paused.sum(&st.Paused)
		sum.Pauses += st.Pauses
		sum.AcceptPauses += st.AcceptPauses
		sum.Slow += st.Slow
		sum.Turns = sum.Turns.plus(st.Turns)
		sum.Calls = sum.Calls.plus(st.Calls)
		sum.Busy += st.Busy
		sum.Ring.Add(st.Ring)
		sum.Engine, sum.Why = st.Engine, st.Why
		sum.Loops = append(sum.Loops, st)
	}
	sum.Origins, sum.Leaving = s.originStats(), s.stopping.Load()
	return sum
}

func (l *loop) figures() Stats {
	l.mu.Lock()
	st := l.shown
	l.mu.Unlock()
	st.Active, st.Engine, st.Why = l.active.Load(), l.engine.Name(), l.why
	st.BytesOut += l.sent.Load()
	st.Slow = l.slow.Load()
	if l.times != nil {
		st.Turns, st.Calls = l.times.turns.read(), l.times.calls.read()
		st.Busy = st.Turns.Sum
	}
	if !l.isDone() {
		st.Busy = max(st.Busy, l.engine.Processor())
	}
	return st
}

// PausedConns are connections that are not read now, by the reason for which that began.
type PausedConns struct {
	Handler int64 // Conn.Pause
	Output  int64 // the output queue is full: the peer reads slowly
	Input   int64 // the handler has not consumed Server.InputLimit bytes
	Memory  int64 // it holds more than others, and memory is short
}

func (p *PausedConns) add(why uint32, n int64) {
	switch why {
	case pausedByHandler:
		p.Handler += n
	case pausedByOutput:
		p.Output += n
	case pausedByInput:
		p.Input += n
	case pausedByMemory:
		p.Memory += n
	}
}

func (p *PausedConns) sum(o *PausedConns) {
	p.Handler += o.Handler
	p.Output += o.Output
	p.Input += o.Input
	p.Memory += o.Memory
}

// RingStats are the figures of the rings of io_uring: Enters, Completions, Starved and Overflows.
type RingStats = engine.Figures

// A Trace has functions that are called when something happens to a connection, for metrics and logs. All are optional.
// They run on the loop of the connection, except Slow, and must not wait. They must not change while the server runs.
type Trace struct {
	Opened  func(c *Conn)                     // c is open: Accept returned a handler, or Dial has connected
	Refused func(c *Conn, err error)          // Accept refused c, or its TLS handshake failed
	Closed  func(c *Conn, err error)          // c has ended; called after Handler.Closed
	Slow    func(c *Conn, held time.Duration) // a call has taken longer than Server.SlowCall; on another goroutine than the loop
}

// A Histogram counts durations by their size. Bucket i has those of at most HistogramBound(i) that are in no bucket before;
// the last has all that are longer.
type Histogram struct {
	Buckets [histogramBounds + 1]int64
	Sum     time.Duration // of all durations
}

// histogramBounds is how many buckets have a bound: from a microsecond to 8.4 seconds.
const histogramBounds = 24

// HistogramBound returns the longest duration of a bucket: 1 µs, 2 µs, 4 µs and so on. The last bucket has none: ok is false.
func HistogramBound(bucket int) (d time.Duration, ok bool) {
	if bucket < 0 || bucket >= histogramBounds {
		return 0, false
	}
	return time.Microsecond << bucket, true
}

// Count returns the number of durations.
func (h *Histogram) Count() (n int64) {
	for _, b := range h.Buckets {
		n += b
	}
	return n
}

// plus returns the sum of two histograms, either of which may be nil.
func (h *Histogram) plus(o *Histogram) *Histogram {
	if h == nil || o == nil {
		if h == nil {
			h = o
		}
		return h
	}
	sum := &Histogram{Sum: h.Sum + o.Sum}
	for i := range sum.Buckets {
		sum.Buckets[i] = h.Buckets[i] + o.Buckets[i]
	}
	return sum
}

// A counting is a histogram that one goroutine adds to, and any may read.
type counting struct {
	buckets [histogramBounds + 1]atomic.Int64
	sum     atomic.Int64
}

func (c *counting) add(d time.Duration) {
	i := bits.Len64(uint64(max(d-1, 0) / time.Microsecond))
	c.buckets[min(i, histogramBounds)].Add(1)
	c.sum.Add(int64(d))
}

func (c *counting) read() *Histogram {
	h := &Histogram{Sum: time.Duration(c.sum.Load())}
	for i := range h.Buckets {
		h.Buckets[i] = c.buckets[i].Load()
	}
	return h
}

// times are what a loop measures for Server.SampleCalls.
type times struct {
	every, left  int // calls
	woken        time.Duration
	turns, calls counting
}

func newTimes(every int) *times { return &times{every: every, left: every, woken: -1} }

// due tells whether the call that begins is to be measured.
func (t *times) due() bool {
	if t.left--; t.left > 0 {
		return false
	}
	t.left = t.every
	return true
}

// called notes that the call which began then is over.
func (t *times) called(k engine.Kernel, began time.Duration) { t.calls.add(k.Now() - began) }

// turn notes that the turn is over, unless none has begun.
func (t *times) turn(now time.Duration) {
	if t.woken >= 0 {
		t.turns.add(now - t.woken)
		t.woken = -1
	}
}

// An origin is where connections come from: a listener's address, or Dial. It counts them by state. Each loop counts its own
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
			return !open && !o.listener.coming && o.total() == (ConnStates{})
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

// originAt returns the number of the origin of that of some listeners which accepts at a local address, for a connection that another
// process has accepted there; 0 if there is none.
func originAt(local net.Addr, listeners []*listener) uint32 {
	port := func(a net.Addr) (n int, any bool) {
		if tcp, ok := a.(*net.TCPAddr); ok {
			return tcp.Port, tcp.IP.IsUnspecified()
		}
		return 0, false
	}
	at, wild := uint32(0), uint32(0)
	for _, ln := range listeners {
		n, any := port(ln.addr)
		switch here, _ := port(local); {
		case ln.addr.Network() == local.Network() && ln.addr.String() == local.String():
			at = ln.origin
		case any && n == here:
			wild = ln.origin
		}
	}
	return cmp.Or(at, wild)
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
	Addr  net.Addr   // of the listener; nil for connections that were dialled, or came over without their listener
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
