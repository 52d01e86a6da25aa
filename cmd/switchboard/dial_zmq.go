package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/internal/quote"
	"github.com/switchboard-go/switchboard/zmtp"
)

// zmqTypes are the sockets that dial has.
var zmqTypes = map[string]zmtp.Type{"sub": zmtp.SUB, "pub": zmtp.XPUB, "push": zmtp.PUSH, "pull": zmtp.PULL, "req": zmtp.REQ,
	"rep": zmtp.REP, "dealer": zmtp.DEALER, "pair": zmtp.PAIR}

// A dialZMQ is what the flags of dial ask for when the address is one of ZeroMQ.
type dialZMQ struct {
	*dialling
	multipart bool
	serverKey string

	typ      zmtp.Type
	endpoint string
	bind     bool
	topics   []string
	identity string
}

func (z *dialZMQ) addTo(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&z.multipart, "multipart", false, "at zmq+…://: each line is a part, and an empty line ends a message")
	cmd.Flags().StringVar(&z.serverKey, "curve-server-key", "", "at zmq+…://: speak CURVE with the server that has this public `KEY`")
}

const zmqHelp = `At zmq+TYPE://HOST:PORT and zmq+TYPE:///PATH dial is a ZeroMQ socket of TYPE sub, pub, push, pull, req, rep, dealer or pair. Each line
is a message. The parts of received messages are separated by tabs; with --multipart each part is a line, and an empty line ends a
message. The query of the address may have topic=… (for sub; may be repeated; default: all topics), identity=… (for req and dealer)
and bind (listen instead of connecting). dial reconnects when a connection fails. pub waits for a subscriber before it sends. sub and
pull run until a signal or --timeout. After a signal dial sends what it has read; a second signal ends it at once.`

// parse reads an address of ZeroMQ, and tells whether it is one.
func (z *dialZMQ) parse(target string) (yes bool, err error) {
	rest, yes := strings.CutPrefix(target, "zmq+")
	if !yes {
		if z.multipart || z.serverKey != "" {
			return false, errors.New("--multipart and --curve-server-key are for zmq+TYPE://HOST:PORT")
		}
		return false, nil
	}
	wrong := func(format string, args ...any) (bool, error) {
		return true, fmt.Errorf("address %q: %w", target, fmt.Errorf(format, args...))
	}
	name, rest, ok := strings.Cut(rest, "://")
	z.typ = zmqTypes[name]
	if _, known := zmqTypes[name]; !ok || !known {
		var names []string
		for name := range zmqTypes {
			names = append(names, name)
		}
		slices.Sort(names)
		return wrong("unknown type %q: zmq+TYPE:// has the types %s", name, strings.Join(names, ", "))
	}
	if z.udp || z.hex || z.probe {
		return wrong("--udp, --hex and --zero are not for ZeroMQ")
	}
	address, query, _ := strings.Cut(rest, "?")
	values, err := url.ParseQuery(query)
	if err != nil {
		return wrong("%w", err)
	}
	for key, all := range values {
		switch {
		case key == "topic" && z.typ == zmtp.SUB:
			z.topics = all
		case key == "identity" && (z.typ == zmtp.REQ || z.typ == zmtp.DEALER):
			z.identity = all[0]
		case key == "bind":
			z.bind = true
		default:
			return wrong("%s has no %q in its query", name, key)
		}
	}
	if z.endpoint, err = zmqEndpoint(address); err != nil {
		return true, inFull(err, target, address)
	}
	if !z.bind && strings.HasPrefix(z.endpoint, "tcp://*") {
		return wrong("the host is missing (try 127.0.0.1, or ?bind to be connected to)")
	}
	return true, nil
}

// run exchanges messages with the peers: standard input's lines to them, theirs to standard output.
func (z *dialZMQ) run() error {
	o := &zmtp.Options{Identity: z.identity}
	if z.serverKey != "" {
		key, err := zmtp.ParseKey(z.serverKey)
		if err != nil {
			return fmt.Errorf("--curve-server-key: %w", err)
		}
		o.Security = zmtp.CurveClient{ServerKey: key}
	}
	var mu sync.Mutex
	var reason error // why there is no connection, or none any more; nil while there is one, or nothing is known
	o.Monitor = func(e zmtp.Event) {
		if z.verbose {
			fmt.Fprintln(os.Stderr, quote.Line(zmqDialNames.Replace(describe(e))))
		}
		mu.Lock()
		defer mu.Unlock()
		switch {
		case e.Kind == zmtp.Ready:
			reason = nil
		case e.Kind == zmtp.Connected && reason == nil:
			reason = errors.New("the peer has not completed the handshake of ZeroMQ")
		case e.Err == nil || errors.Is(e.Err, switchboard.ErrAborted): // Close aborts what is left, and was not the reason
		case e.Kind == zmtp.HandshakeFailed:
			reason = fmt.Errorf("the last handshake failed: %w", e.Err)
		case e.Kind == zmtp.ConnectFailed:
			reason = fmt.Errorf("the last attempt to connect failed: %w", e.Err)
		case e.Kind == zmtp.Disconnected:
			reason = fmt.Errorf("the last connection failed: %w", e.Err)
		}
	}
	ctx, again := twoSignals()
	c := &zmtp.Context{Loops: 1}
	s, err := c.NewSocket(z.typ, o)
	if err != nil {
		return err
	}
	if z.typ == zmtp.SUB && len(z.topics) == 0 {
		z.topics = []string{""}
	}
	for _, topic := range z.topics {
		if err := s.Subscribe(topic); err != nil {
			return err
		}
	}
	if z.bind {
		_, err = s.Bind(z.endpoint)
	} else {
		err = s.Connect(z.endpoint)
	}
	if err != nil {
		return failure{exitFailed, err}
	}
	err = z.exchange(ctx, s)
	closing := ctx
	if ctx.Err() != nil {
		err = nil // a signal ends it in order
		closing = again
	}
	if closed := z.close(closing, s, errors.Is(err, os.ErrDeadlineExceeded)); err == nil {
		err = closed
	}
	mu.Lock()
	defer mu.Unlock()
	if errors.Is(err, os.ErrDeadlineExceeded) && reason != nil {
		err = fmt.Errorf("%w (%w)", err, reason)
	}
	return z.failure(withFlags(zmqDialNames, err))
}

// close sends what waits, for --timeout at most, unless silent tells that it has passed already, or until ctx ends.
func (z *dialZMQ) close(ctx context.Context, s *zmtp.Socket, silent bool) error {
	wait := cmp.Or(z.timeout, 30*time.Second)
	if silent {
		wait = 0
	}
	limited, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	err := s.Shutdown(limited)
	if err != nil && z.timeout > 0 && ctx.Err() == nil {
		err = fmt.Errorf("%w within %v: %w", err, z.timeout, os.ErrDeadlineExceeded)
	}
	return err
}

// twoSignals returns contexts that are done at the first SIGINT or SIGTERM and at the second. The process heeds no further ones.
func twoSignals() (first, second context.Context) {
	first, cancelFirst := context.WithCancel(context.Background())
	second, cancelSecond := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		cancelFirst()
		<-signals
		cancelSecond()
	}()
	return first, second
}

// describe tells an event in one line.
func describe(e zmtp.Event) string {
	text := e.Kind.String() + " " + e.Endpoint
	if e.Peer != "" {
		text += ", a " + e.Peer
	}
	if e.RetryIn > 0 {
		text += fmt.Sprintf(", tried again in %v", e.RetryIn.Round(time.Millisecond))
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

func (z *dialZMQ) exchange(ctx context.Context, s *zmtp.Socket) error {
	if z.typ == zmtp.SUB || z.typ == zmtp.PULL {
		return z.receive(ctx, s, -1)
	}
	in := make(zmqInput, 16)
	go in.fill(z)
	switch z.typ {
	case zmtp.PUSH:
		return z.send(ctx, in, s)
	case zmtp.XPUB:
		z.patience(s)
		if err := s.RecvMessage(ctx, new(zmtp.Message)); err != nil { // before the first subscription, messages would be for nobody
			return z.silence(err)
		}
		return z.send(ctx, in, s)
	case zmtp.REQ, zmtp.REP:
		return z.turns(ctx, in, s)
	}
	received := make(chan error, 1)
	quiet, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { received <- z.receive(quiet, s, -1) }()
	if err := z.send(ctx, in, s); err != nil {
		return err
	}
	// What still comes is printed, until nothing has for a while.
	moved := func() int64 { return s.Stats().Sent + s.Stats().Received }
	for seen := moved(); ; seen = moved() {
		select {
		case err := <-received:
			return err
		case <-time.After(cmp.Or(z.timeout, lastReply)):
		}
		if moved() == seen {
			cancel()
			if err := <-received; !errors.Is(err, context.Canceled) {
				return err
			}
			if z.timeout > 0 {
				return z.silence(os.ErrDeadlineExceeded)
			}
			return nil
		}
	}
}

// patience has the next calls wait for --timeout at most.
func (z *dialZMQ) patience(s *zmtp.Socket) {
	if z.timeout > 0 {
		s.SetDeadline(time.Now().Add(z.timeout))
	}
}

// silence explains a deadline.
func (z *dialZMQ) silence(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("nothing sent or received for %v: %w", z.timeout, os.ErrDeadlineExceeded)
	}
	return err
}

// turns asks with each line and prints the reply, or prints a request and replies with the next line.
func (z *dialZMQ) turns(ctx context.Context, in zmqInput, s *zmtp.Socket) error {
	for {
		if z.typ == zmtp.REP {
			if err := z.receive(ctx, s, 1); err != nil {
				return err
			}
		}
		parts, err := in.next(ctx)
		if err != nil || parts == nil {
			return err
		}
		z.patience(s)
		if err := s.SendMessage(ctx, &zmtp.Message{Parts: parts}); err != nil {
			return z.silence(err)
		}
		if z.typ == zmtp.REQ {
			if err := z.receive(ctx, s, 1); err != nil {
				return err
			}
		}
	}
}

// send sends every message of the input.
func (z *dialZMQ) send(ctx context.Context, in zmqInput, s *zmtp.Socket) error {
	for {
		parts, err := in.next(ctx)
		if err != nil || parts == nil {
			return err
		}
		z.patience(s)
		if err := s.SendMessage(ctx, &zmtp.Message{Parts: parts}); err != nil {
			return z.silence(err)
		}
	}
}

// A zmqInput has the messages of standard input, which are read ahead: a signal does not wait for a line.
type zmqInput chan zmqRead

// A zmqRead is what reading one message has come to. No parts: the end.
type zmqRead struct {
	parts [][]byte
	err   error
}

func (i zmqInput) fill(z *dialZMQ) {
	for in := bufio.NewReader(os.Stdin); ; {
		parts, err := z.read(in)
		i <- zmqRead{parts, err}
		if err != nil || parts == nil {
			return
		}
	}
}

// next returns the next message, nil at the end.
func (i zmqInput) next(ctx context.Context) ([][]byte, error) {
	select {
	case r := <-i:
		return r.parts, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// read reads one message, nil at the end.
func (z *dialZMQ) read(in *bufio.Reader) (parts [][]byte, err error) {
	for {
		line, err := in.ReadBytes('\n')
		if err == io.EOF && len(line) == 0 {
			return parts, nil
		}
		if err != nil && err != io.EOF {
			return nil, inputError{fmt.Errorf("read standard input: %w", err)}
		}
		line = bytes.TrimSuffix(line, []byte("\n"))
		if !z.multipart {
			return [][]byte{line}, nil
		}
		if len(line) > 0 {
			parts = append(parts, line)
		} else if len(parts) > 0 {
			return parts, nil
		}
	}
}

// receive prints so many messages, or without end if n is less than 0.
func (z *dialZMQ) receive(ctx context.Context, s *zmtp.Socket, n int) error {
	out := bufio.NewWriter(os.Stdout)
	var m zmtp.Message
	for ; n != 0; n-- {
		err := s.TryRecv(&m)
		if err == zmtp.ErrWouldBlock {
			if err := out.Flush(); err != nil {
				return fmt.Errorf("write standard output: %w", err)
			}
			if z.timeout > 0 {
				s.SetRecvDeadline(time.Now().Add(z.timeout))
			}
			err = s.RecvMessage(ctx, &m)
		}
		if err != nil {
			return z.silence(err)
		}
		if z.multipart {
			out.Write(bytes.Join(m.Parts, []byte("\n")))
			out.WriteString("\n\n")
		} else {
			out.Write(bytes.Join(m.Parts, []byte("\t")))
			out.WriteByte('\n')
		}
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write standard output: %w", err)
	}
	return nil
}
