package zmtp

import (
	"fmt"
	"time"
)

// An EventKind says what happened to a connection or listener.
type EventKind uint8

// The kinds of events.
const (
	Listening       EventKind = iota + 1 // Bind listens
	BindFailed                           // a listener failed with Err
	Accepted                             // a peer connected
	AcceptFailed                         // a peer was refused, because of Err
	Connected                            // a connection is established, and its handshake begins
	ConnectFailed                        // a connection failed with Err, and is tried again after RetryIn
	Ready                                // the handshake is complete
	HandshakeFailed                      // a handshake failed with Err
	Disconnected                         // a ready connection ended; Err is nil if the peer closed it
	Retrying                             // a connection is tried again after RetryIn
	Closed                               // Close or Unbind ended a listener
)

var eventNames = [...]string{Listening: "listening", BindFailed: "bind failed", Accepted: "accepted", AcceptFailed: "accept failed",
	Connected: "connected", ConnectFailed: "connect failed", Ready: "ready", HandshakeFailed: "handshake failed",
	Disconnected: "disconnected", Retrying: "retrying", Closed: "closed"}

// String returns the kind as text.
func (k EventKind) String() string {
	if int(k) < len(eventNames) && k > 0 {
		return eventNames[k]
	}
	return fmt.Sprintf("EventKind(%d)", uint8(k))
}

// An Event is a change of a connection or listener, for Options.Monitor.
type Event struct {
	Kind       EventKind
	Endpoint   string // of this socket
	RemoteAddr string // of the peer, if there is one
	Peer       string // its socket type, once it is ready
	Identity   string // of the peer, if it sent one
	Metadata   map[string]string
	RetryIn    time.Duration
	Err        error
}

func (s *Socket) tell(e Event) {
	if s.opt.Monitor != nil {
		s.opt.Monitor(e)
	}
}

// Strangers must not fill a log: of the peers that break the protocol so many are told of in such a time. The first line after that
// counts the others.
const (
	mostWarnings   = 20
	warningsPeriod = 10 * time.Second
)

// warnings are what the logger was told lately. They belong to the socket's mu.
type warnings struct {
	since  int64 // when the period began, in nanoseconds since the socket was made
	n      int   // lines in it
	untold int   // peers
}

// warn tells the logger of a peer that was ended for what it sent.
func (s *Socket) warn(e Event) {
	log := s.opt.Logger
	if log == nil {
		return
	}
	s.mu.Lock()
	w := &s.warnings
	if now := s.now(); now-w.since > int64(warningsPeriod) {
		w.since, w.n = now, 0
	}
	if w.n == mostWarnings {
		w.untold++
		s.mu.Unlock()
		return
	}
	w.n++
	untold := w.untold
	w.untold = 0
	s.mu.Unlock()
	list := []any{"socket", s.typ.String(), "endpoint", e.Endpoint, "peer", e.RemoteAddr, "error", e.Err}
	if untold > 0 {
		list = append(list, "others", untold)
	}
	log.Warn("a peer was ended for what it sent", list...)
}

// Stats are the counters of a socket since it was made.
type Stats struct {
	Peers        int   // ready peers now
	Waiting      int   // messages that wait to be received now
	WaitingBytes int   // their size in bytes, encoded
	Sent         int64 // messages passed to connections
	Received     int64 // messages received by the program
	Dropped      int64 // messages not queued, because a peer's queue was full or there was no peer
	Lost         int64 // queued messages of a peer that disconnected, which no other peer could get
	Filtered     int64 // received messages that were not for this socket: without a subscription, or a late reply
	Unwanted     int64 // messages of a publisher without a subscriber
	Retries      int64 // connection attempts after the first
	UnsentBytes  int64 // memory of the messages that wait to be sent now, if Options.SendLimit is set
	Evicted      int64 // peers that were disconnected because of Options.SendLimit
}

// Stats returns the counters of the socket.
func (s *Socket) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.stats
	st.Peers = len(s.peers)
	st.Waiting, st.WaitingBytes = s.waiting, s.size
	st.UnsentBytes = s.budget.held.Load()
	return st
}
