package switchboard

import (
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
