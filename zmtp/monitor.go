package zmtp

import (
	"fmt"
	"time"
)

// An EventKind is what has happened to a connection.
type EventKind uint8

// The kinds of events.
const (
	Listening       EventKind = iota + 1 // Bind listens
	BindFailed                           // a listener ended with Err
	Accepted                             // a peer connected
	AcceptFailed                         // and was refused for Err
	Connected                            // a connection is there, and its handshake begins
	ConnectFailed                        // it was not, for Err, and is tried again after RetryIn
	Ready                                // the handshake is done: messages flow
	HandshakeFailed                      // it ended with Err
	Disconnected                         // a connection that was ready ended; Err is nil if the peer ended it in order
	Retrying                             // a connection is tried again after RetryIn
	Closed                               // Close or Unbind ended a listener
)

var eventNames = [...]string{Listening: "listening", BindFailed: "bind failed", Accepted: "accepted", AcceptFailed: "accept failed",
	Connected: "connected", ConnectFailed: "connect failed", Ready: "ready", HandshakeFailed: "handshake failed",
	Disconnected: "disconnected", Retrying: "retrying", Closed: "closed"}

// String returns the kind in words.
func (k EventKind) String() string {
	if int(k) < len(eventNames) && k > 0 {
		return eventNames[k]
	}
	return fmt.Sprintf("EventKind(%d)", uint8(k))
}

// An Event is what Options.Monitor is told.
type Event struct {
	Kind       EventKind
	Endpoint   string // of this socket
	RemoteAddr string // of the peer, if there is one
	Peer       string // its socket type, once it is ready
	Identity   string // that it told
	Metadata   map[string]string
	RetryIn    time.Duration
	Err        error
}

func (s *Socket) tell(e Event) {
	if s.opt.Monitor != nil {
		s.opt.Monitor(e)
	}
}

// Stats are a socket's figures since it was made.
type Stats struct {
	Peers        int   // that are ready, now
	Waiting      int   // messages that wait to be received, now
	WaitingBytes int   // and their bytes, encoded
	Sent         int64 // messages that were given to connections
	Received     int64 // messages that were received by the program
	Dropped      int64 // messages that were not queued because a peer's queue was full, or nobody was there to send them to
	Lost         int64 // messages that were queued for a peer that went before it had them, and could be sent to nobody else
	Filtered     int64 // received messages that were not for this socket: no subscription, a reply that is too late
	Unwanted     int64 // messages that a publisher sent and no peer subscribes to
	Retries      int64 // connections that were tried again
}

// Stats returns the socket's figures. Any goroutine may call it.
func (s *Socket) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.stats
	st.Peers = len(s.peers)
	st.Waiting, st.WaitingBytes = s.waiting, s.size
	return st
}
