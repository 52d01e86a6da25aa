package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/switchboard-go/switchboard/internal/quote"
	"github.com/switchboard-go/switchboard/socket"
)

// A dialling is what the flags of dial ask for.
type dialling struct {
	timeout time.Duration
	source  string
	udp     bool
	only4   bool // IPv4
	only6   bool // IPv6
	probe   bool // connect, and no more
	crlf    bool // send LF as CRLF
	hex     bool
	verbose bool
	listen  bool // be connected to
	keep    bool // by one after the other
	tls     clientTLS
	ws      clientWebSocket
}

func dialCommand() *cobra.Command {
	var d dialling
	zmq := dialZMQ{dialling: &d}
	dial := &cobra.Command{
		Use:   "dial ADDRESS | dial HOST PORT",
		Short: "Connect, and copy between the connection and the standard streams",
		Long: `Connect to HOST:PORT, tls://HOST:PORT, udp://HOST:PORT, unix:PATH or unix:@NAME. Send standard input to the peer, and write what
the peer sends to standard output. HOST PORT in two words means HOST:PORT. dial --listen is switchboard listen.

When the input ends, dial closes the sending side of the connection, and reads until the peer closes its side. When the peer closes
first, dial sends the rest of the input, unless the input is a terminal.

With --udp each read of the input is sent as a datagram, or split if it is too long for one. After the end of the input dial waits for
replies: one second after the last one, or --timeout.

At ws://HOST:PORT/PATH, wss:// and ws+unix:PATH:/PATH each line of the input is a text message, and each message is written as a line.
With --binary each read of the input is a binary message, and messages are written without line ends. After the end of the input dial
waits for messages, one second after the last one, or --timeout, and closes the WebSocket. It is an error if the server closes before
all of the input was sent.

At tls:// and wss:// dial verifies the certificate of the server: its host name (or --tls-server-name) and its issuer, which the
system (or --tls-ca) must trust. --verbose shows version, cipher, protocol and certificates. It is an error if the connection ends
without a close_notify of TLS: data may be missing.

` + zmqHelp + `

A standard output that is closed (>&-) cannot be told from the null device, and is no error. One that is full is.

Exit codes: 0 when both sides have closed, 1 when the connection failed, 2 for wrong arguments, 124 after a timeout.`,
		Example: `  printf 'GET / HTTP/1.0\n\n' | switchboard dial -C example.org 80
  switchboard dial -zv -w 5 127.0.0.1 7007
  switchboard dial --timeout 5s --source 127.0.0.2 127.0.0.1:7007
  switchboard dial --hex unix:/tmp/echo.sock
  switchboard dial --verbose --header 'Cookie: a=b' ws://127.0.0.1:8080/chat
  date | switchboard dial --udp '[::1]:514'
  switchboard dial --verbose --tls-alpn h2,http/1.1 tls://example.org:443 </dev/null
  switchboard dial 'zmq+sub://127.0.0.1:5556?topic=weather.'
  seq 10 | switchboard dial --timeout 5s zmq+push://127.0.0.1:5557
  switchboard dial --tls-ca authority.pem --tls-cert me.pem --tls-key me.key tls://127.0.0.1:7443`,
		ValidArgsFunction: completeAddresses,
		RunE: func(cmd *cobra.Command, args []string) error {
			if d.listen {
				return d.runListen(cmd.Flags(), args)
			}
			target, err := d.target(args)
			if err != nil {
				return err
			}
			if yes, err := zmq.parse(target); err != nil {
				return err
			} else if yes {
				return zmq.run()
			}
			return d.run(target)
		},
	}
	flags := dial.Flags()
	flags.DurationVarP(&d.timeout, "timeout", "w", 0,
		"give up after connecting, or silence in both directions, has lasted this long (0: never)")
	flags.StringVarP(&d.source, "source", "s", "", "`ADDRESS` to connect from: IP or IP:PORT")
	flags.BoolVarP(&d.probe, "zero", "z", false, "connect and close at once: test whether a server listens")
	flags.BoolVarP(&d.listen, "listen", "l", false, "listen at ADDRESS, like switchboard listen")
	flags.BoolVarP(&d.keep, "keep", "k", false, "with --listen: accept further connections, one at a time")
	d.addTo(flags)
	d.tls.addTo(dial, "tls")
	d.ws.addTo(dial)
	zmq.addTo(dial)
	return dial
}

// addTo adds the flags that dial and listen have.
func (d *dialling) addTo(flags *pflag.FlagSet) {
	flags.BoolVarP(&d.only4, "ipv4", "4", false, "IPv4 only")
	flags.BoolVarP(&d.only6, "ipv6", "6", false, "IPv6 only")
	flags.BoolVarP(&d.udp, "udp", "u", false, "send and receive datagrams")
	flags.BoolVarP(&d.crlf, "crlf", "C", false, "send line ends (LF) as CRLF")
	flags.BoolVarP(&d.verbose, "verbose", "v", false, "show the address of the peer and, over TLS, the parameters and certificates")
	flags.BoolVar(&d.hex, "hex", false, "print a hex dump of both directions: > sent, < received")
}

// target reads what dial was called with: an address, or HOST PORT.
func (d *dialling) target(args []string) (string, error) {
	if len(args) == 0 || len(args) > 2 {
		return "", fmt.Errorf("needs one address, or HOST PORT, not %d arguments", len(args))
	}
	target := args[0]
	if len(args) == 2 {
		scheme, host, ok := strings.Cut(args[0], "://")
		if !ok {
			scheme, host = "", args[0]
		} else {
			scheme += "://"
		}
		if _, err := netip.ParseAddr(host); err != nil && strings.ContainsAny(host, ":/") {
			return "", fmt.Errorf("needs one address, or HOST PORT, not %q and %q", args[0], args[1])
		}
		target = scheme + net.JoinHostPort(host, args[1])
	}
	if rest, ok := strings.CutPrefix(target, "udp://"); ok {
		d.udp, target = true, rest
	}
	return target, nil
}

// check makes sure that the flags which dial and listen have make sense.
func (d *dialling) check() error {
	if d.only4 && d.only6 {
		return errors.New("--ipv4 and --ipv6 exclude each other")
	}
	return nil
}

func (d *dialling) run(target string) error {
	if err := d.check(); err != nil {
		return err
	}
	if d.keep {
		return errors.New("--keep is for --listen")
	}
	if isWebSocket(target) {
		if d.only4 || d.only6 || d.probe || d.crlf {
			return fmt.Errorf("address %q: --ipv4, --ipv6, --zero and --crlf are not for WebSocket", target)
		}
		return d.runWebSocket(target)
	}
	if err := d.ws.refuse(); err != nil {
		return err
	}
	destinations, err := d.tls.parse(target)
	if err != nil {
		return err
	}
	to := destinations[0]
	switch {
	case d.udp && (to.network != "tcp" || to.tls != nil):
		return fmt.Errorf("address %q: --udp takes HOST:PORT", target)
	case d.udp && d.probe:
		return errors.New("--zero: datagrams have no connection to test")
	case (d.only4 || d.only6) && to.network != "tcp":
		return fmt.Errorf("address %q: --ipv4 and --ipv6 are for HOST:PORT", target)
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
	e := &exchange{dialling: d, conn: conn, in: os.Stdin, out: os.Stdout, endsWithPeer: isTerminal(os.Stdin)}
	if at, err := conn.LocalAddr(); err == nil {
		e.six = at.Family() == socket.AF_INET6
	}
	if to.tls != nil {
		over, err := d.secure(conn, to)
		if err != nil {
			return d.failure(err)
		}
		defer over.Close()
		e.conn = over
	}
	if d.probe {
		return nil
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
		return failure{exitFailed, refused(err)}
	}
	return failure{exitFailed, d.tls.hinted(err)}
}

// refused says what a refused connection means. A name with several addresses of which each one refused has one reason.
func refused(err error) error {
	var call *socket.Error
	if errors.As(err, &call) && isOnly(call.Err, syscall.ECONNREFUSED) {
		err = fmt.Errorf("%s %s: %w", call.Op, call.Addr, syscall.ECONNREFUSED)
		if info, bad := os.Stat(call.Addr); isPath(call.Addr) && bad == nil && info.Mode()&fs.ModeSocket == 0 {
			return fmt.Errorf("%w (it is not a socket)", err)
		}
	}
	return fmt.Errorf("%w (nothing listens there)", err)
}

// isOnly tells whether err is made of nothing but errors that are cause.
func isOnly(err, cause error) bool {
	for err != nil {
		switch e := err.(type) {
		case interface{ Unwrap() []error }:
			for _, one := range e.Unwrap() {
				if !isOnly(one, cause) {
					return false
				}
			}
			return true
		case interface{ Unwrap() error }:
			err = e.Unwrap()
		default:
			return err == cause
		}
	}
	return false
}

// family is the only one that is asked for, 0 if any is good.
func (d *dialling) family() int {
	switch {
	case d.only4:
		return socket.AF_INET
	case d.only6:
		return socket.AF_INET6
	}
	return 0
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
		return socket.Addr{}, fmt.Errorf("--source %q: not IP or IP:PORT", s)
	}
	return socket.InetAddr(a), nil
}

func (d *dialling) connect(to address, source socket.Addr) (*socket.Socket, error) {
	ctx, options := context.Background(), &socket.ConnectOptions{Timeout: d.timeout, Source: source}
	if !d.udp && !d.only4 && !d.only6 {
		return socket.CreateConnection(ctx, to.name, options)
	}
	host, port, _ := net.SplitHostPort(to.name)
	hints := &socket.AddrInfo{Type: socket.SOCK_STREAM, Family: d.family()}
	if d.udp {
		hints.Type = socket.SOCK_DGRAM
	}
	if source.IsValid() {
		if hints.Family != 0 && hints.Family != source.Family() {
			return nil, fmt.Errorf("--source %s is of another family than --ipv4 or --ipv6", source)
		}
		hints.Family = source.Family()
	}
	found, err := socket.GetAddrInfo(ctx, host, port, hints)
	switch {
	case (d.only4 || d.only6) && (errors.Is(err, socket.EAI_ADDRFAMILY) || errors.As(err, new(*net.AddrError))):
		return nil, fmt.Errorf("connect %s: it has no address that --ipv%d allows", to, map[bool]int{true: 4, false: 6}[d.only4])
	case err != nil:
		return nil, err
	}
	if !d.udp {
		var conn *socket.Socket
		for _, one := range found {
			if conn, err = socket.CreateConnection(ctx, one.Addr.String(), options); err == nil {
				break
			}
		}
		return conn, err
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
