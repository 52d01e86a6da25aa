package switchboard

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"

	"github.com/switchboard-go/switchboard/internal/rawio"
)

// Reasons for which connections and servers end. Compare them with errors.Is. An error of the system wraps its errno:
// errors.Is(err, syscall.ECONNRESET).
var (
	// ErrServerClosed is returned by Serve and Dial after Shutdown or Close. It also ends the connections that Close
	// aborts.
	ErrServerClosed = errors.New("switchboard: the server is closed")

	// ErrQueueFull is returned by Write when p does not fit below Server.QueueLimit. Nothing of p was taken. Drained is
	// called when there is room again.
	ErrQueueFull = errors.New("switchboard: the peer reads too slowly, its output queue is full")

	// ErrUnsent is wrapped by the error of Closed when bytes that Write had taken were not sent.
	ErrUnsent = errors.New("written bytes were not sent")

	// ErrIdle ends a connection after Server.IdleTimeout without a byte in either direction.
	ErrIdle = errors.New("switchboard: nothing was received or sent within the idle timeout")

	// ErrMessageTimeout ends a connection whose peer did not complete a message within Server.MessageTimeout.
	ErrMessageTimeout = errors.New("switchboard: the message was not complete within the message timeout")

	// ErrHalfClosed ends a connection whose peer has ended its output, after Server.HalfCloseTimeout without a byte in
	// either direction.
	ErrHalfClosed = errors.New("switchboard: no byte was received or sent within the half-close timeout after the peer had ended its output")

	// ErrHandshakeTimeout ends a TLS handshake that waited for its peer longer than Server.HandshakeTimeout.
	ErrHandshakeTimeout = errors.New("switchboard: the TLS handshake took longer than the handshake timeout")

	// ErrStalled ends a connection whose peer took no output within Server.WriteTimeout.
	ErrStalled = errors.New("switchboard: the peer took nothing within the write timeout")

	// ErrTooLong ends a connection of Frames whose message is not complete within Server.InputLimit bytes. The error that
	// wraps it has both numbers.
	ErrTooLong = errors.New("switchboard: the message is longer than the input limit")

	// ErrBadCount ends a connection whose handler returned a count that is negative, or larger than what it was offered.
	ErrBadCount = errors.New("switchboard: the handler returned a count out of range")

	// ErrAborted ends a connection that Abort ended.
	ErrAborted = errors.New("switchboard: the connection was aborted here")
)

// A PanicError ends a connection whose handler has panicked.
type PanicError struct {
	Value any    // the argument of panic
	Stack []byte // the stack of the goroutine, as of debug.Stack
}

func (e *PanicError) Error() string {
	return fmt.Sprintf("switchboard: the handler panicked: %v", e.Value)
}

// Unwrap returns Value if it is an error, otherwise nil.
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
