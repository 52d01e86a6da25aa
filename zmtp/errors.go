package zmtp

import (
	"errors"
	"fmt"
)

var (
	// ErrClosed is what the methods of a socket return after Close, and what ends those that wait.
	ErrClosed = errors.New("zmtp: the socket is closed")

	// ErrWouldBlock is what TrySend and TryRecv return where Send and Recv would wait.
	ErrWouldBlock = errors.New("zmtp: the call would wait")

	// ErrState is wrapped by the error of a call that is not this socket's turn: a REQ that sends twice, a REP that has
	// no request to reply to.
	ErrState = errors.New("not in turn")

	// ErrNotSupported is wrapped by the error of a call that this type of socket does not have: to receive from a PUSH.
	ErrNotSupported = errors.New("not supported by this type of socket")

	// ErrUnreachable is what sending to an address returns that no peer has: by a ROUTER with Options.RouterMandatory, and
	// by a SERVER.
	ErrUnreachable = errors.New("zmtp: no peer has this address")

	// ErrPeerLost is what Recv returns on a REQ when the peer that had the request has gone. The request may or may not
	// have been served; the socket can send again.
	ErrPeerLost = errors.New("zmtp: the peer that had the request has gone before it replied")

	// ErrUnsent is wrapped by the error of Close when messages were discarded at the end of the linger time.
	ErrUnsent = errors.New("messages were not sent")

	// ErrHeartbeat ends a connection whose peer was silent for longer than its heartbeats allow.
	ErrHeartbeat = errors.New("zmtp: the peer was silent for longer than the heartbeat timeout")

	// ErrHandshakeTimeout ends a connection whose handshake took longer than Options.HandshakeTimeout.
	ErrHandshakeTimeout = errors.New("zmtp: the handshake took longer than the handshake timeout")

	// ErrTooLarge is wrapped by what ends a peer that goes over Options.MaxMessageSize, MaxParts or SubscriptionLimit, and
	// by the error of sending such a message.
	ErrTooLarge = errors.New("over the limit")
)

// A ProtocolError ends a connection because of what its peer sent.
type ProtocolError struct {
	Reason string // what the peer did, in words
	cause  error
}

func (e *ProtocolError) Error() string { return "zmtp: " + e.Reason }

// Unwrap returns the cause, if there is one.
func (e *ProtocolError) Unwrap() error { return e.cause }

func protocolErrorf(format string, args ...any) error {
	return &ProtocolError{Reason: fmt.Sprintf(format, args...)}
}

// overLimit is the error for what a peer sent over a limit.
func overLimit(format string, args ...any) error {
	return &ProtocolError{Reason: fmt.Sprintf(format, args...), cause: ErrTooLarge}
}

// A RefusedError tells that the peer ended the handshake with an ERROR command.
type RefusedError struct {
	Reason string // the peer's
}

func (e *RefusedError) Error() string { return fmt.Sprintf("zmtp: the peer refused: %q", e.Reason) }

// An Error is what a method of a socket returns: the call, the socket's type, the address if there is one, and why.
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

// Unwrap returns why.
func (e *Error) Unwrap() error { return e.Err }
