package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
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
	conn wire
	in   io.Reader
	out  io.Writer
	dump *hexDump // with --hex

	endsWithPeer bool // what the input still has is not for this peer
	listens      bool // for datagrams, of which there is no last one
	six          bool // it speaks IPv6

	idle    *time.Timer // with --timeout; closes conn
	gaveUp  atomic.Bool // idle has fired
	inEnded atomic.Bool
	heard   atomic.Bool // something
	sending sync.WaitGroup
}

func (e *exchange) run() error {
	if e.hex {
		e.dump = &hexDump{out: e.out}
	}
	if e.timeout > 0 {
		e.idle = time.AfterFunc(e.timeout, func() {
			e.gaveUp.Store(true)
			e.conn.Close()
		})
		defer e.idle.Stop()
	}
	err := e.both()
	switch {
	case err == nil || !e.gaveUp.Load():
	case e.udp && e.listens && e.heard.Load():
		return nil // the usual end
	default:
		return fmt.Errorf("nothing sent or received for %v: %w", e.timeout, os.ErrDeadlineExceeded)
	}
	return err
}

// both runs the two directions until they have ended.
func (e *exchange) both() error {
	sent, received := make(chan error, 1), make(chan error, 1)
	e.sending.Go(func() { sent <- e.send() })
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
			if err != nil || e.endsWithPeer {
				return err
			}
		}
	}
	return broken
}

// An outputError is about standard output, not about the connection.
type outputError struct{ error }

func (e outputError) Unwrap() error { return e.error }

// An inputError is about standard input, not about the connection.
type inputError struct{ error }

func (e inputError) Unwrap() error { return e.error }

// send copies the input to the socket, and then ends the sending side.
func (e *exchange) send() error {
	buf := make([]byte, e.inputSize())
	var lines lineEnds
	for {
		n, err := e.in.Read(buf)
		if n > 0 {
			p := buf[:n]
			if e.crlf {
				p = lines.convert(p)
			}
			if err := e.sendAll(p); err != nil {
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
			if !e.listens {
				e.awaitReply()
			}
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
	for {
		n, err := e.conn.Recv(buf)
		switch {
		case err == io.EOF:
			return nil
		case e.udp && e.inEnded.Load() && errors.Is(err, os.ErrDeadlineExceeded):
			if e.timeout > 0 && !e.heard.Load() {
				return fmt.Errorf("no reply for %v: %w", e.timeout, os.ErrDeadlineExceeded)
			}
			return nil
		case err != nil:
			return err
		}
		e.heard.Store(true)
		e.moved()
		if e.dump != nil {
			err = e.dump.received(buf[:n])
		} else {
			_, err = e.out.Write(buf[:n])
		}
		if err != nil {
			return outputError{fmt.Errorf("write standard output: %w", err)}
		}
		if e.udp && e.inEnded.Load() && !e.listens {
			e.awaitReply()
		}
	}
}

// awaitReply gives the peer time for one more datagram, in place of the timeout on silence.
func (e *exchange) awaitReply() {
	limit := lastReply
	if e.idle != nil {
		e.idle.Stop()
		limit = e.timeout
	}
	e.conn.SetReadDeadline(time.Now().Add(limit))
}

// moved puts the timeout off.
func (e *exchange) moved() {
	if e.idle != nil && (e.listens || !e.udp || !e.inEnded.Load()) {
		e.idle.Reset(e.timeout)
	}
}

// inputSize is how much of the input goes at once: with --udp as much as a datagram can carry, IPv4's header being counted in
// its length, and IPv6's not (RFC 768; RFC 8200, section 4.5).
func (e *exchange) inputSize() int {
	n := e.bufferSize()
	if e.udp {
		const headers4, header = 28, 8
		n -= 1 + headers4
		if e.six {
			n += headers4 - header
		}
	}
	if e.crlf {
		n /= 2
	}
	return n
}

// lineEnds sends LF as CRLF.
type lineEnds struct {
	last byte
	out  []byte
}

// convert returns p with each LF a CRLF. What it returns is good until the next call.
func (l *lineEnds) convert(p []byte) []byte {
	l.out = l.out[:0]
	for _, c := range p {
		if c == '\n' && l.last != '\r' {
			l.out = append(l.out, '\r')
		}
		l.out = append(l.out, c)
		l.last = c
	}
	return l.out
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
