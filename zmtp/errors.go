package zmtp

import (
	"errors"
	"fmt"
)

var (
	// ErrClosed is the error of all methods after Close, also of those that wait.
	ErrClosed = errors.New("zmtp: the socket is closed")

	// ErrWouldBlock is the error of TrySend and TryRecv if Send or Recv would wait.
	ErrWouldBlock = errors.New("zmtp: the call would wait")

	// ErrState means that the socket cannot send or receive in its present state: a REQ that sends twice, a REP
	// without a request to reply to. Use errors.Is.
	ErrState = errors.New("not in turn")

	// ErrNotSupported means that this type of socket does not have the call, such as Recv of a PUSH. Use errors.Is.
	ErrNotSupported = errors.New("not supported by this type of socket")

	// ErrUnreachable means that no peer has the address of a message. ROUTER with Options.RouterMandatory and SERVER
	// return it.
	ErrUnreachable = errors.New("zmtp: no peer has this address")

	// ErrPeerLost is the error of Recv of a REQ whose peer disconnected with the request. The request may or may not
	// have been served. The socket can send again.
	ErrPeerLost = errors.New("zmtp: the peer that had the request has gone before it replied")

	// ErrUnsent means that Close discarded messages at the end of the linger time. Use errors.Is.
	ErrUnsent = errors.New("messages were not sent")

	// ErrHeartbeat ends a connection whose peer was silent for longer than Options.HeartbeatTimeout.
	ErrHeartbeat = errors.New("zmtp: the peer was silent for longer than the heartbeat timeout")

	// ErrHandshakeTimeout ends a connection whose handshake took longer than Options.HandshakeTimeout.
	ErrHandshakeTimeout = errors.New("zmtp: the handshake took longer than the handshake timeout")

	// ErrDisplaced ends a connection whose handshake had not ended when another peer needed its place: see
	// Options.MaxPeers.
	ErrDisplaced = errors.New("zmtp: the handshake had not ended when another peer needed the place")

	// ErrTooLarge means that a message or a peer exceeds Options.MaxMessageSize, MaxParts or SubscriptionLimit. Use
	// errors.Is.
	ErrTooLarge = errors.New("over the limit")
)

// A ProtocolError ends a connection because its peer broke the protocol or exceeded a limit.
type ProtocolError struct {
	Reason string // what the peer did, as text
	cause  error
}

func (e *ProtocolError) Error() string { return "zmtp: " + e.Reason }

// Unwrap returns the cause, or nil.
func (e *ProtocolError) Unwrap() error { return e.cause }

func protocolErrorf(format string, args ...any) error {
	return &ProtocolError{Reason: fmt.Sprintf(format, args...)}
}

// overLimit is the error for what a peer sent over a limit.
func overLimit(format string, args ...any) error {
	return &ProtocolError{Reason: fmt.Sprintf(format, args...), cause: ErrTooLarge}
}

// A RefusedError ends a connection whose peer ended the handshake with an ERROR command.
type RefusedError struct {
	Reason string // the peer's
}

func (e *RefusedError) Error() string { return fmt.Sprintf("zmtp: the peer refused: %q", e.Reason) }

// An Error is the error of a method of a socket: the call, the type of the socket, the endpoint if there is one, and
// the cause.
type Error struct {
	Op       string
	Type     Type
	Endpoint string
	Err      error
}

func (e *Error) Error() string {
	if e.Endpoint == "" {
		return fmt.Sprintf("zmtp: %s on a %v: %v", e.Op, e.Type, e.Err)
	}
	return fmt.Sprintf("zmtp: %s %s on a %v: %v", e.Op, e.Endpoint, e.Type, e.Err)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }
