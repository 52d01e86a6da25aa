package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/internal/quote"
	"github.com/switchboard-go/switchboard/socket"
	"github.com/switchboard-go/switchboard/websocket"
)

// longestMessage is how many bytes a message may have that dial sends or prints.
const longestMessage = 64 << 20

// runWebSocket is run for an address that speaks WebSocket.
func (d *dialling) runWebSocket(target string) error {
	if d.udp {
		return fmt.Errorf("address %q: --udp takes HOST:PORT", target)
	}
	source, err := parseSource(d.source)
	if err != nil {
		return err
	}
	config, err := d.webSocketTLS(target)
	if err != nil {
		return err
	}
	header, options, err := d.ws.options("")
	if err != nil {
		return err
	}
	options.MaxMessage = longestMessage
	server := &switchboard.Server{Loops: 1, SlowCall: -1, QueueLimit: 2 * longestMessage, DialTimeout: d.timeout,
		HandshakeTimeout: d.timeout, DialControl: bindSource(source), Logger: slog.New(slog.DiscardHandler)}
	if d.timeout > 0 {
		options.HandshakeTimeout = d.timeout
	}
	defer server.Close()
	dialer := &websocket.Dialer{Options: options, Server: server, Header: header, TLSConfig: config}
	talk := &webSocketExchange{dialling: d, in: os.Stdin, out: os.Stdout, over: make(chan error, 1), opened: make(chan *websocket.Conn, 1),
		heard: make(chan struct{}, 1)}
	talk.queueFree = sync.NewCond(&talk.mu)
	if d.hex {
		talk.dump = &hexDump{out: os.Stdout}
	}
	if _, err := dialer.Dial(context.Background(), target, talk); err != nil {
		return err
	}
	return d.failure(talk.run())
}

// webSocketTLS returns how TLS is spoken, if it is.
func (d *dialling) webSocketTLS(target string) (*tls.Config, error) {
	if !strings.HasPrefix(target, "wss://") {
		_, err := d.tls.parse("127.0.0.1:1") // none of its flags makes sense
		return nil, err
	}
	return d.tls.load()
}

// bindSource returns what has a socket connect from an address, nil if there is none.
func bindSource(source socket.Addr) func(fd int) error {
	if !source.IsValid() {
		return nil
	}
	return func(fd int) error { return bindTo(fd, source) }
}

// A webSocketExchange copies between a WebSocket and the standard streams. It is the WebSocket's handler.
type webSocketExchange struct {
	*dialling
	in, out *os.File
	dump    *hexDump
	opened  chan *websocket.Conn
	over    chan error
	heard   chan struct{} // a token: something was received

	mu        sync.Mutex
	queueFree *sync.Cond
	err       error // it is over
	unsent    bool  // some of the input was read and is not sent
}

var errUnsent = errors.New("the server closed the WebSocket before all of the input was sent")

// Opened implements websocket.Opener.
func (t *webSocketExchange) Opened(c *websocket.Conn) error {
	if t.verbose {
		t.tellOpened(c)
	}
	c.KeepReading(true) // what comes is printed whatever is still to be sent: or an echo, which reads no more until it is heard, waits for ever
	t.opened <- c
	return nil
}

// tellOpened tells what was agreed on.
func (t *webSocketExchange) tellOpened(c *websocket.Conn) {
	fmt.Fprintln(os.Stderr, "connected to", quote.Line(c.Conn().RemoteAddr().String()))
	if state := c.Conn().TLS(); state != nil {
		tell(os.Stderr, *state, &tls.Config{InsecureSkipVerify: t.tls.insecure, ServerName: state.ServerName}, nil)
	}
	agreed := "WebSocket"
	if name := c.Subprotocol(); name != "" {
		agreed += ", subprotocol " + name
	}
	if c.Compressed() {
		agreed += ", compressed"
	}
	fmt.Fprintln(os.Stderr, quote.Line(agreed))
}

// Message implements websocket.Handler.
func (t *webSocketExchange) Message(c *websocket.Conn, kind websocket.Kind, p []byte) error {
	t.moved()
	var err error
	switch {
	case t.dump != nil:
		err = t.dump.received(p)
	case t.ws.binary:
		_, err = t.out.Write(p)
	default:
		_, err = t.out.Write(append(p[:len(p):len(p)], '\n'))
	}
	if err != nil {
		return fmt.Errorf("write standard output: %w", err)
	}
	return nil
}

// Pinged implements websocket.Pinger.
func (t *webSocketExchange) Pinged(_ *websocket.Conn, p []byte) {
	t.moved()
	if t.verbose {
		fmt.Fprintf(os.Stderr, "ping %q\n", p)
	}
}

// Ponged implements websocket.Pinger.
func (t *webSocketExchange) Ponged(_ *websocket.Conn, p []byte) {
	t.moved()
	if t.verbose {
		fmt.Fprintf(os.Stderr, "pong %q\n", p)
	}
}

// Drained implements websocket.Drainer.
func (t *webSocketExchange) Drained(*websocket.Conn) {
	t.moved()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.queueFree.Broadcast()
}

// Closed implements websocket.Handler.
func (t *webSocketExchange) Closed(c *websocket.Conn, err error) {
	if t.verbose {
		if code := c.CloseCode(); code != 0 {
			fmt.Fprintln(os.Stderr, "closed with code", code)
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.err = net.ErrClosed
	t.queueFree.Broadcast()
	t.over <- err
}

// moved restarts the timeout.
func (t *webSocketExchange) moved() {
	select {
	case t.heard <- struct{}{}:
	default:
	}
}

// run goes on until the WebSocket is closed.
func (t *webSocketExchange) run() error {
	var c *websocket.Conn
	select {
	case c = <-t.opened:
	case err := <-t.over:
		if errors.Is(err, websocket.ErrHandshakeTimeout) || errors.Is(err, syscall.ETIMEDOUT) {
			err = fmt.Errorf("%w: %w", err, os.ErrDeadlineExceeded)
		}
		return err
	}
	sent := make(chan error, 1)
	go func() { sent <- t.send(c) }()
	timer := newTimer(t.timeout)
	defer timer.Stop()
	ended := false
	for {
		select {
		case err := <-t.over:
			if err == nil && t.hasUnsent() {
				err = errUnsent
			}
			return err
		case <-t.heard:
			if ended {
				timer.Reset(t.lastWait())
			} else if t.timeout > 0 {
				timer.Reset(t.timeout)
			}
		case err := <-sent:
			if sent = nil; err != nil {
				c.Abort()
				<-t.over
				return err
			}
			ended = true
			timer.Reset(t.lastWait())
		case <-timer.C:
			if ended {
				c.Close(websocket.CodeNormal, "")
				return <-t.over
			}
			c.Abort()
			<-t.over
			return fmt.Errorf("nothing sent or received for %v: %w", t.timeout, os.ErrDeadlineExceeded)
		}
	}
}

func (t *webSocketExchange) setUnsent(is bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.unsent = is
}

func (t *webSocketExchange) hasUnsent() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.unsent
}

// lastWait is how long to wait for a message after the end of the input.
func (t *webSocketExchange) lastWait() time.Duration {
	if t.timeout > 0 {
		return t.timeout
	}
	return lastReply
}

// newTimer returns a timer that fires after d, or never if that is 0.
func newTimer(d time.Duration) *time.Timer {
	if d > 0 {
		return time.NewTimer(d)
	}
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	return timer
}

// send sends the input.
func (t *webSocketExchange) send(c *websocket.Conn) error {
	in := bufio.NewReaderSize(t.in, 32<<10)
	for {
		t.setUnsent(in.Buffered() > 0)
		p, err := t.read(in)
		if err != nil && err != io.EOF {
			return inputError{fmt.Errorf("read standard input: %w", err)}
		}
		if len(p) > 0 || err == nil {
			t.setUnsent(true)
			if sent, err := t.write(c, p); err != nil || !sent {
				return err
			}
		}
		if err == io.EOF {
			t.setUnsent(false)
			return nil
		}
	}
}

// read returns the next message of the input: at its end, with io.EOF, what has no end of a line.
func (t *webSocketExchange) read(in *bufio.Reader) ([]byte, error) {
	if t.ws.binary {
		if _, err := in.Peek(1); err != nil {
			return nil, err
		}
		p := make([]byte, in.Buffered())
		_, err := io.ReadFull(in, p)
		return p, err
	}
	var line []byte
	for {
		part, err := in.ReadSlice('\n')
		line = append(line, part...)
		if len(line) > longestMessage {
			return nil, fmt.Errorf("a line of more than %d bytes", longestMessage)
		}
		if err == nil {
			return line[:len(line)-1], nil
		}
		if err != bufio.ErrBufferFull {
			return line, err
		}
	}
}

// write sends a message when there is room for it. Without an error it is not sent if the WebSocket is over.
func (t *webSocketExchange) write(c *websocket.Conn, p []byte) (sent bool, err error) {
	kind := websocket.Text
	if t.ws.binary {
		kind = websocket.Binary
	}
	for {
		t.mu.Lock()
		for c.Full() && t.err == nil {
			t.queueFree.Wait()
		}
		over := t.err != nil
		t.mu.Unlock()
		if over {
			return false, nil // and why is told
		}
		err = c.Write(kind, p)
		switch {
		case err == switchboard.ErrQueueFull:
			continue
		case errors.Is(err, net.ErrClosed):
			return false, nil
		case err != nil:
			return false, err
		}
		t.moved()
		if t.dump != nil {
			return true, t.dump.sent(p)
		}
		return true, nil
	}
}
