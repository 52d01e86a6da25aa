package socket

import "time"

// A TCPInfo holds the system's figures of a TCP connection: TCP_INFO of tcp(7). Fields that an older kernel does not
// report are 0.
type TCPInfo struct {
	State TCPState

	// Time
	RTT         time.Duration // there and back, smoothed
	RTTVar      time.Duration // its deviation
	MinRTT      time.Duration // the least in the last minutes
	ReceiveRTT  time.Duration // as the receiver estimates it
	RTO         time.Duration // until it sends again
	LastSent    time.Duration // since data was sent
	LastReceive time.Duration // since data was received
	LastAck     time.Duration // since an acknowledgement was received

	// Sizes
	SendMSS            int // bytes in a segment
	ReceiveMSS         int
	PathMTU            int
	CongestionWindow   int // in segments
	SlowStartThreshold int // in segments; very large at first
	SendWindow         int // what the peer has room for, in bytes
	ReceiveSpace       int // in bytes

	// In flight, in segments
	Unacknowledged int
	Lost           int
	Retransmitted  int // of these, now
	Reordering     int

	// So far
	Retransmissions    int    // of the present segment: 0 when the peer answers
	TotalRetransmitted int    // segments
	BytesSent          uint64 // those sent again included
	BytesAcknowledged  uint64
	BytesReceived      uint64
	BytesRetransmitted uint64
	BytesNotSent       uint64 // that wait in the send buffer
	SegmentsSent       int
	SegmentsReceived   int

	// Rates, in bytes a second
	DeliveryRate uint64
	PacingRate   uint64

	// What sending waited for
	Busy                time.Duration // while there was something to send
	ReceiveWindowFull   time.Duration // for the peer's window
	SendBufferExhausted time.Duration // for the program's data
}

// A TCPState is a state of a TCP connection (RFC 9293, section 3.3.2).
type TCPState int

const (
	TCP_ESTABLISHED TCPState = iota + 1
	TCP_SYN_SENT
	TCP_SYN_RECV
	TCP_FIN_WAIT1
	TCP_FIN_WAIT2
	TCP_TIME_WAIT
	TCP_CLOSE
	TCP_CLOSE_WAIT
	TCP_LAST_ACK
	TCP_LISTEN
	TCP_CLOSING
)

var tcpStates = [...]string{
	"", "ESTABLISHED", "SYN-SENT", "SYN-RECEIVED", "FIN-WAIT-1", "FIN-WAIT-2", "TIME-WAIT", "CLOSED", "CLOSE-WAIT",
	"LAST-ACK", "LISTEN", "CLOSING",
}

// String returns the name of the state, as the RFC spells it.
func (s TCPState) String() string {
	if s < TCP_ESTABLISHED || int(s) >= len(tcpStates) {
		return "unknown"
	}
	return tcpStates[s]
}

// TCPInfo returns the system's figures of a TCP connection: getsockopt(2) with TCP_INFO. Only Linux has it.
func (s *Socket) TCPInfo() (info TCPInfo, err error) {
	err = s.use(func(fd int) (err error) {
		info, err = sysTCPInfo(fd)
		return err
	})
	return info, s.fail("get tcp info", err)
}
