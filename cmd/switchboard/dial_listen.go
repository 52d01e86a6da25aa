package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/switchboard-go/switchboard/socket"
)

func listenCommand() *cobra.Command {
	d := dialling{listen: true}
	cmd := &cobra.Command{
		Use:   "listen ADDRESS | listen [HOST] PORT",
		Short: "Accept a connection, and copy between it and the standard streams",
		Long: `Listen on HOST:PORT, PORT (on all interfaces), unix:PATH, unix:@NAME or fd://NUMBER, and accept one connection. Send standard input
to the client, and write what the client sends to standard output. With --keep, listen accepts further connections, one at a time,
until a signal or, with --timeout, until no client comes. Input goes to the client that is connected when it is read.

When the input ends, listen closes the sending side of the connection and reads until the client closes its side. When the client
closes first, listen sends the rest of the input, unless the input is a terminal or, with --keep, a pipe.

With --udp the sender of the first datagram is the peer; datagrams of others are dropped. With --keep all datagrams are taken, and
replies go to the sender of the last one. listen ends at a signal or with --timeout.

Exit codes: 0 when both sides have closed, 1 when listening or the connection failed, 2 for wrong arguments, 124 after a timeout.`,
		Example: `  switchboard listen 7007 >received
  switchboard listen --keep -v 127.0.0.1 7007
  switchboard listen --udp --hex :5353
  switchboard listen unix:/tmp/here.sock <file`,
		ValidArgsFunction: completeAddresses,
		RunE:              func(cmd *cobra.Command, args []string) error { return d.runListen(cmd.Flags(), args) },
	}
	flags := cmd.Flags()
	flags.DurationVarP(&d.timeout, "timeout", "w", 0, "give up after no client has come, or silence in both directions has lasted, this long (0: never)")
	flags.BoolVarP(&d.keep, "keep", "k", false, "accept further connections, one at a time")
	d.addTo(flags)
	return cmd
}

// place reads what listen was called with: an address, a port, or HOST PORT.
func (d *dialling) place(args []string) (address, error) {
	if len(args) == 1 {
		if _, err := strconv.ParseUint(args[0], 10, 16); err == nil {
			args = []string{"", args[0]}
		}
	}
	if len(args) == 2 && args[0] == "" {
		args = []string{":" + args[1]}
	}
	text, err := d.target(args)
	if err != nil {
		return address{}, err
	}
	a, err := parseAddress(text)
	if err != nil {
		return a, inTermsOf("listen", "HOST:PORT, udp://, unix: and fd://", err)
	}
	switch {
	case a.network == "ws" || a.network == "wss":
		return a, fmt.Errorf("address %q: listen does not speak WebSocket; switchboard serve does", text)
	case (d.udp || d.only4 || d.only6) && a.network != "tcp":
		return a, fmt.Errorf("address %q: --udp, --ipv4 and --ipv6 are for HOST:PORT", text)
	}
	host, port, _ := net.SplitHostPort(a.name)
	ip, err := netip.ParseAddr(host)
	switch {
	case a.network != "tcp" || !d.only4 && !d.only6:
	case host == "" && d.only4:
		a.name = "0.0.0.0:" + port
	case host == "":
		a.name = "[::]:" + port
	case err != nil || ip.Is4() != d.only4:
		return a, fmt.Errorf("address %q: not an address that --ipv%d allows", text, map[bool]int{true: 4, false: 6}[d.only4])
	}
	return a, nil
}

// runListen is listen, and dial --listen.
func (d *dialling) runListen(flags *pflag.FlagSet, args []string) (err error) {
	flags.Visit(func(f *pflag.Flag) {
		switch f.Name {
		case "listen", "keep", "timeout", "ipv4", "ipv6", "udp", "crlf", "verbose", "hex":
		default:
			if err == nil {
				err = fmt.Errorf("--%s is not for --listen", f.Name)
			}
		}
	})
	if err == nil {
		err = d.check()
	}
	if err != nil {
		return err
	}
	at, err := d.place(args)
	if err != nil {
		return err
	}
	if d.udp {
		return d.failure(d.receiveDatagrams(at))
	}
	l, err := listen(at)
	if err != nil {
		return failure{exitFailed, err}
	}
	defer l.Close()
	d.announce(l, at)
	in := newTurns(os.Stdin, d.keep)
	for {
		if d.timeout > 0 {
			l.SetReadDeadline(time.Now().Add(d.timeout))
		}
		conn, from, err := l.Accept()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return d.failure(fmt.Errorf("nobody connected within %v: %w", d.timeout, os.ErrDeadlineExceeded))
		}
		if err != nil {
			return failure{exitFailed, err}
		}
		if d.verbose {
			fmt.Fprintln(os.Stderr, "connection from", peerName(from))
		}
		if !d.keep {
			l.Close()
			return d.failure(d.talk(conn, in))
		}
		err = d.talk(conn, in)
		if errors.As(err, new(inputError)) || errors.As(err, new(outputError)) {
			return d.failure(err)
		}
		if err != nil {
			fmt.Fprintf(os.Stderr, "switchboard: %v\n", err) // the next one may do better
		}
	}
}

// announce tells where one can connect, if it is asked to or the system has chosen the port.
func (d *dialling) announce(l *socket.Socket, asked address) {
	if d.verbose || asked.network == "tcp" && strings.HasSuffix(asked.name, ":0") {
		fmt.Fprintln(os.Stderr, "listening on", whereabouts(l))
	}
}

// peerName is the address of a client. Those of Unix sockets have none as a rule.
func peerName(from socket.Addr) string {
	if text := from.String(); text != "" {
		return text
	}
	return "somebody on this host"
}

// talk exchanges with one client.
func (d *dialling) talk(conn *socket.Socket, in *turns) error {
	e := &exchange{dialling: d, conn: conn, out: os.Stdout, endsWithPeer: isTerminal(os.Stdin) || d.keep && !isRegular(os.Stdin)}
	turn := in.begin()
	e.in = turn
	err := e.run()
	conn.Close()
	if d.keep {
		turn.end()
		e.sending.Wait()
	}
	return err
}

func isRegular(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode().IsRegular()
}

// turns are an input that several connections read, one after the other.
type turns struct {
	in     *os.File
	chunks chan []byte   // what was read; closed at its end
	taken  chan struct{} // and used
	err    error         // why it ended
}

// newTurns begins to read the input, if more than one connection will.
func newTurns(in *os.File, several bool) *turns {
	t := &turns{in: in}
	if several {
		t.chunks, t.taken = make(chan []byte), make(chan struct{})
		go t.read()
	}
	return t
}

func (t *turns) read() {
	buf := make([]byte, 16<<10)
	for {
		n, err := t.in.Read(buf)
		if n > 0 {
			t.chunks <- buf[:n]
			<-t.taken
		}
		if err != nil {
			t.err = err
			close(t.chunks)
			return
		}
	}
}

// A turn is the input while one connection has it. Its buffers must be as large as those of turns.
type turn struct {
	*turns
	over chan struct{}
}

func (t *turns) begin() *turn { return &turn{t, make(chan struct{})} }

// end gives the input to the next one: a Read that waits returns.
func (t *turn) end() { close(t.over) }

var errTurnOver = errors.New("the connection has ended")

// Read implements io.Reader.
func (t *turn) Read(p []byte) (int, error) {
	if t.chunks == nil {
		return t.in.Read(p)
	}
	select {
	case <-t.over:
		return 0, errTurnOver
	case chunk, ok := <-t.chunks:
		if !ok {
			return 0, t.err
		}
		n := copy(p, chunk)
		t.taken <- struct{}{}
		return n, nil
	}
}

var _ io.Reader = (*turn)(nil)
