package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/switchboard-go/switchboard/internal/quote"
	"github.com/switchboard-go/switchboard/socket"
)

// A dialling is what the flags of dial ask for.
type dialling struct {
	timeout time.Duration
	source  string
	udp     bool
	hex     bool
	verbose bool
	tls     clientTLS
	ws      clientWebSocket
}

func dialCommand() *cobra.Command {
	var d dialling
	zmq := dialZMQ{dialling: &d}
	dial := &cobra.Command{
		Use:   "dial ADDRESS",
		Short: "Connect: standard input to the socket, the socket to standard output",
		Long: `Connect to HOST:PORT, tls://HOST:PORT, unix:PATH or unix:@NAME, and copy standard input to the socket and the socket to
standard output.

When the input ends, the sending side of the connection is closed, and what still comes is printed until the peer ends
its side too. When the peer ends first, the rest of the input is still sent, unless it would come from a terminal.

With --udp every read of the input is one datagram. Datagrams have no end: after that of the input, dial waits for
replies for one second, or --timeout, after each.

To ws://HOST:PORT/PATH, wss:// or ws+unix:PATH:/PATH every line of the input is a text message, and every message a line of
the output; with --binary every read of the input is a binary message, and the output is what is in the messages. After
the end of the input, dial waits for messages for one second, or --timeout, after each, and closes the WebSocket.

Over tls:// and wss:// the server's certificate is verified: for its host, or --tls-server-name, and by whom the system trusts, or
--tls-ca. With --verbose the standard error tells version, cipher, protocol and the chain of certificates. A connection
that ends without TLS having ended it has been cut off, and is an error.

` + zmqHelp + `

Exit codes: 0 when both sides have ended, 1 when the connection failed or broke, 2 for a wrong call, 124 when the time
was up.`,
		Example: `  printf 'GET / HTTP/1.0\r\n\r\n' | switchboard dial example.org:80
  switchboard dial --timeout 5s --source 127.0.0.2 127.0.0.1:7007
  switchboard dial --hex unix:/tmp/echo.sock
  switchboard dial --verbose --header 'Cookie: a=b' ws://127.0.0.1:8080/chat
  date | switchboard dial --udp '[::1]:514'
  switchboard dial --verbose --tls-alpn h2,http/1.1 tls://example.org:443 </dev/null
  switchboard dial 'zmq+sub://127.0.0.1:5556?topic=weather.'
  seq 10 | switchboard dial --timeout 5s zmq+push://127.0.0.1:5557
  switchboard dial --tls-ca authority.pem --tls-cert me.pem --tls-key me.key tls://127.0.0.1:7443`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("takes one address, but got %d", len(args))
			}
			return nil
		},
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(_ *cobra.Command, args []string) error {
			if yes, err := zmq.parse(args[0]); err != nil {
				return err
			} else if yes {
				return zmq.run()
			}
			return d.run(args[0])
		},
	}
	flags := dial.Flags()
	flags.DurationVarP(&d.timeout, "timeout", "w", 0,
		"give up when connecting, or silence in both directions, lasts so long (0: never)")
	flags.StringVarP(&d.source, "source", "s", "", "`ADDRESS` to connect from: IP or IP:PORT")
	flags.BoolVarP(&d.udp, "udp", "u", false, "send and receive datagrams")
	flags.BoolVarP(&d.verbose, "verbose", "v", false, "tell who was reached and, over TLS, what was agreed on and the certificates")
	flags.BoolVar(&d.hex, "hex", false, "print the bytes of both directions in hexadecimal: > sent, < received")
	d.tls.addTo(dial, "tls")
	d.ws.addTo(dial)
	zmq.addTo(dial)
	return dial
}

func (d *dialling) run(target string) error {
	if isWebSocket(target) {
		return d.runWebSocket(target)
	}
	if err := d.ws.refuse(); err != nil {
		return err
	}
	callees, err := d.tls.parse(target)
	if err != nil {
		return err
	}
	to := callees[0]
	switch {
	case d.udp && (to.network != "tcp" || to.tls != nil):
		return fmt.Errorf("address %q: --udp takes HOST:PORT", target)
	case d.timeout < 0:
		return errors.New("--timeout cannot be negative (0 is never)")
	}
	source, err := parseSource(d.source)
	if err != nil {
		return err
	}
	conn, err := d.connect(to.address, source)
	if err != nil {
		return d.failure(err)
	}
	defer conn.Close()
	if d.verbose {
		fmt.Fprintln(os.Stderr, "connected to", quote.Line(to.String()))
	}
	e := &exchange{dialling: d, conn: conn, in: os.Stdin, out: os.Stdout}
	if to.tls != nil {
		over, err := d.secure(conn, to)
		if err != nil {
			return d.failure(err)
		}
		defer over.Close()
		e.conn = over
	}
	return d.failure(e.run())
}

// failure chooses the exit code.
func (d *dialling) failure(err error) error {
	switch {
	case err == nil:
		return nil
	case d.timeout > 0 && errors.Is(err, os.ErrDeadlineExceeded):
		return failure{exitTimeout, err}
	case errors.Is(err, syscall.ECONNREFUSED):
		return failure{exitFailed, fmt.Errorf("%w (nothing listens there)", err)}
	}
	return failure{exitFailed, d.tls.hinted(err)}
}

func parseSource(s string) (socket.Addr, error) {
	if s == "" {
		return socket.Addr{}, nil
	}
	if ip, err := netip.ParseAddr(s); err == nil {
		return socket.InetAddr(netip.AddrPortFrom(ip, 0)), nil
	}
	a, err := netip.ParseAddrPort(s)
	if err != nil {
		return socket.Addr{}, fmt.Errorf("--source %q: neither IP nor IP:PORT", s)
	}
	return socket.InetAddr(a), nil
}

func (d *dialling) connect(to address, source socket.Addr) (*socket.Socket, error) {
	if !d.udp {
		return socket.CreateConnection(context.Background(), to.name,
			&socket.ConnectOptions{Timeout: d.timeout, Source: source})
	}
	host, port, _ := net.SplitHostPort(to.name)
	hints := &socket.AddrInfo{Type: socket.SOCK_DGRAM}
	if source.IsValid() {
		hints.Family = source.Family()
	}
	found, err := socket.GetAddrInfo(context.Background(), host, port, hints)
	if err != nil {
		return nil, err
	}
	conn, err := socket.New(found[0].Family, socket.SOCK_DGRAM, 0)
	if err != nil {
		return nil, err
	}
	if source.IsValid() {
		err = conn.Bind(source)
	}
	if err == nil {
		err = conn.Connect(found[0].Addr)
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}
