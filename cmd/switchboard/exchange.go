package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/switchboard-go/switchboard/socket"
)

// lastReply is how long dial --udp waits for a reply after its input has ended, without a --timeout.
const lastReply = time.Second

// A wire is a connected socket as an exchange needs it, or TLS on one.
type wire interface {
	Send(p []byte) (int, error)
	Recv(p []byte) (int, error)
	Shutdown(how int) error
	SetReadDeadline(t time.Time) error
	Close() error
}

// An exchange copies between a wire and the standard streams, both ways at once.
type exchange struct {
	*dialling
	conn    wire
	in, out *os.File
	dump    *hexDump // with --hex

	patience *time.Timer // with --timeout; closes conn
	gaveUp   atomic.Bool // patience is at its end
	inEnded  atomic.Bool
}

func (e *exchange) run() error {
	if e.hex {
		e.dump = &hexDump{out: e.out}
	}
	if e.timeout > 0 {
		e.patience = time.AfterFunc(e.timeout, func() {
			e.gaveUp.Store(true)
			e.conn.Close()
		})
		defer e.patience.Stop()
	}
	err := e.both()
	if err != nil && e.gaveUp.Load() {
		return fmt.Errorf("nothing sent or received for %v: %w", e.timeout, os.ErrDeadlineExceeded)
	}
	return err
}

// both runs the two directions until they have ended.
func (e *exchange) both() error {
	sent, received := make(chan error, 1), make(chan error, 1)
	go func() { sent <- e.send() }()
	go func() { received <- e.receive() }()
	var broken error
	for sent != nil || received != nil {
		select {
		case err := <-sent:
			sent = nil
			var in inputError
			if errors.As(err, &in) || err != nil && e.udp {
				return err
			}
			broken = err // the peer takes no more, but may have said why
		case err := <-received:
			received = nil
			if err != nil || isTerminal(e.in) {
				return err
			}
		}
	}
	return broken
}

// An inputError is about standard input, not about the connection.
type inputError struct{ error }

func (e inputError) Unwrap() error { return e.error }

// send copies the input to the socket, and then ends the sending side.
func (e *exchange) send() error {
	buf := make([]byte, e.bufferSize())
	for {
		n, err := e.in.Read(buf)
		if n > 0 {
			if err := e.sendAll(buf[:n]); err != nil {
				return err
			}
		}
		if err != nil && err != io.EOF {
			return inputError{fmt.Errorf("read standard input: %w", err)}
		}
		if err == nil {
			continue
		}
		e.inEnded.Store(true)
		if e.udp {
			e.awaitReply()
			return nil
		}
		e.conn.Shutdown(socket.SHUT_WR) // fails when the peer is gone, which receive will tell
		return nil
	}
}

func (e *exchange) sendAll(p []byte) error {
	for len(p) > 0 {
		n, err := e.conn.Send(p)
		if err != nil {
			return err
		}
		if e.dump != nil {
			if err := e.dump.sent(p[:n]); err != nil {
				return err
			}
		}
		p = p[n:]
		e.moved()
	}
	return nil
}

// receive copies the socket to the output until the peer has ended.
func (e *exchange) receive() error {
	buf := make([]byte, e.bufferSize())
	heard := false
	for {
		n, err := e.conn.Recv(buf)
		switch {
		case err == io.EOF:
			return nil
		case e.udp && e.inEnded.Load() && errors.Is(err, os.ErrDeadlineExceeded):
			if e.timeout > 0 && !heard {
				return fmt.Errorf("no reply for %v: %w", e.timeout, os.ErrDeadlineExceeded)
			}
			return nil
		case err != nil:
			return err
		}
		heard = true
		e.moved()
		if e.dump != nil {
			err = e.dump.received(buf[:n])
		} else {
			_, err = e.out.Write(buf[:n])
		}
		if err != nil {
			return fmt.Errorf("write standard output: %w", err)
		}
		if e.udp && e.inEnded.Load() {
			e.awaitReply()
		}
	}
}

// awaitReply gives the peer time for one more datagram, in place of the timeout on silence.
func (e *exchange) awaitReply() {
	patience := lastReply
	if e.patience != nil {
		e.patience.Stop()
		patience = e.timeout
	}
	e.conn.SetReadDeadline(time.Now().Add(patience))
}

// moved puts the timeout off.
func (e *exchange) moved() {
	if e.patience != nil && !(e.udp && e.inEnded.Load()) {
		e.patience.Reset(e.timeout)
	}
}

// bufferSize has room for any datagram.
func (e *exchange) bufferSize() int {
	if e.udp {
		return 1 << 16
	}
	return 32 << 10
}

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
