package switchboard

import "time"

// Stats are a server's figures since it began, or those of one of its loops. What a loop counts is seen when its turn is
// over.
type Stats struct {
	Active   int64 // connections now
	Accepted int64 // connections taken from listeners, refused ones included
	Refused  int64 // by Server.Accept, or because their TLS handshake failed
	Dialled  int64 // connections that Dial made

	Handshakes int64 // TLS handshakes that went well

	BytesIn  int64 // received
	BytesOut int64 // taken by the system
	Spliced  int64 // those of BytesIn that went from one connection of a Pipe to the other inside the kernel
	Messages int64 // what handlers were offered: calls of Data, or frames where Frames serves
	Queued   int64 // bytes that wait to be sent, now
	Waiting  int64 // functions given to Conn.Do that wait for their loop, now
	Ends     Ends  // connections that are gone, by why

	Memory int64 // bytes that connections hold, now, as Server.MemoryLimit counts them; 0 if it is 0

	Pauses       int64 // times that a connection was not read for a while
	MemoryPauses int64 // times that the connections which hold the most were not read, for want of memory
	AcceptPauses int64 // times that accepting paused
	Slow         int64 // calls of handlers that held their loop longer than Server.SlowCall

	Engine string  // what carries the loops
	Why    string  // why it is this engine, if Server.Engine named none
	Loops  []Stats // of each loop; nil in a loop's own
}

// Stats returns the server's figures. Any goroutine may call it.
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
		sum.Handshakes += st.Handshakes
		sum.BytesIn += st.BytesIn
		sum.BytesOut += st.BytesOut
		sum.Spliced += st.Spliced
		sum.Messages += st.Messages
		sum.Queued += st.Queued
		sum.Waiting += st.Waiting
		sum.Ends.sum(&st.Ends)
		sum.Memory += st.Memory
		sum.MemoryPauses += st.MemoryPauses
		sum.Pauses += st.Pauses
		sum.AcceptPauses += st.AcceptPauses
		sum.Slow += st.Slow
		sum.Engine, sum.Why = st.Engine, st.Why
		sum.Loops = append(sum.Loops, st)
	}
	return sum
}

func (l *loop) figures() Stats {
	l.mu.Lock()
	st := l.shown
	l.mu.Unlock()
	st.Active, st.Engine, st.Why = l.active.Load(), l.engine.Name(), l.why
	st.BytesOut += l.sent.Load()
	st.Slow = l.slow.Load()
	return st
}

// A Trace is told of what happens on a server's connections, for metrics and logs. Every field is optional. They run on
// the connection's loop, must not wait, and must not be changed once the server runs.
type Trace struct {
	Opened  func(c *Conn)                     // Accept took c, or Dial's connection is there
	Refused func(c *Conn, err error)          // Accept refused c, or its TLS handshake failed
	Closed  func(c *Conn, err error)          // c is gone; after its handler was told
	Slow    func(c *Conn, held time.Duration) // its handler holds the loop longer than Server.SlowCall; not on the loop
}
