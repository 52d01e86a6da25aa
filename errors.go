package switchboard

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"

	"github.com/switchboard-go/switchboard/internal/rawio"
)

// What a connection's or a server's end is called. Errors of the system wrap its errno:
// errors.Is(err, syscall.ECONNRESET).
var (
	// ErrServerClosed is what Serve and Dial return after Shutdown or Close, and why Close ended a connection.
	ErrServerClosed = errors.New("switchboard: the server is closed")

	// ErrQueueFull is Write's answer when p would take the queue past Server.QueueLimit: nothing of p was taken. A
	// Drainer learns when there is room again.
	ErrQueueFull = errors.New("switchboard: the peer reads too slowly, its output queue is full")

	// ErrUnsent is wrapped by a connection's end that lost bytes which Write had taken.
	ErrUnsent = errors.New("written bytes were not sent")

	// ErrIdle ends a connection on which nothing moved for Server.IdleTimeout.
	ErrIdle = errors.New("switchboard: nothing was received or sent within the idle timeout")

	// ErrMessageTimeout ends a connection whose peer did not complete a message within Server.MessageTimeout.
	ErrMessageTimeout = errors.New("switchboard: the message was not complete within the message timeout")

	// ErrHalfClosed ends a connection whose peer ended its output, and on which nothing moved since for
	// Server.HalfCloseTimeout.
	ErrHalfClosed = errors.New("switchboard: nothing moved within the half-close timeout after the peer had ended its output")

	// ErrHandshakeTimeout is why a TLS handshake failed whose peer was waited for longer than Server.HandshakeTimeout.
	ErrHandshakeTimeout = errors.New("switchboard: the TLS handshake took longer than the handshake timeout")

	// ErrStalled ends a connection whose peer took nothing for Server.WriteTimeout though output waited.
	ErrStalled = errors.New("switchboard: the peer took nothing within the write timeout")

	// ErrTooLong ends a connection of Frames whose message is not complete within Server.InputLimit bytes. The error that
	// wraps it has both numbers.
	ErrTooLong = errors.New("switchboard: the message is longer than the input limit")

	// ErrBadCount ends a connection whose handler said that it consumed more than it was offered, or less than nothing.
	ErrBadCount = errors.New("switchboard: the handler returned a count out of range")

	// ErrAborted is how a connection ends that Abort ended.
	ErrAborted = errors.New("switchboard: the connection was aborted here")
)

// A PanicError ends a connection whose handler panicked.
type PanicError struct {
	Value any    // what it panicked with
	Stack []byte // where
}

func (e *PanicError) Error() string {
	return fmt.Sprintf("switchboard: the handler panicked: %v", e.Value)
}

// Unwrap returns Value if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// unsent adds to err, which may be nil, that n written bytes were lost.
func unsent(n int, err error) error {
	if err == nil {
		return fmt.Errorf("switchboard: %w: %d", ErrUnsent, n)
	}
	return fmt.Errorf("%w (%w: %d)", err, ErrUnsent, n)
}

// callError is an errno with the call, the network and the address it belongs to, as the net package has it.
func callError(call string, addr net.Addr, errno syscall.Errno) error {
	network := "tcp"
	if addr != nil {
		network = addr.Network()
	}
	return &net.OpError{Op: call, Net: network, Addr: addr, Err: os.NewSyscallError(call, rawio.Error(errno))}
}

// closedError is use after close.
func (c *Conn) closedError(call string) error {
	return &net.OpError{Op: call, Net: "tcp", Addr: c.RemoteAddr(), Err: net.ErrClosed}
}
