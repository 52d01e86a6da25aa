package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/switchboard-go/switchboard/certs"
	"github.com/switchboard-go/switchboard/zmtp"
)

// A zmqDevice is a service between two sockets of ZeroMQ.
type zmqDevice struct {
	name, about string
	front, back zmtp.Type
	long        string
}

var zmqDevices = []zmqDevice{
	{"zmq-forwarder", "Pass on what publishers publish to whoever subscribes (ZeroMQ)", zmtp.XSUB, zmtp.XPUB,
		"Publishers (PUB) connect to --listen and subscribers (SUB) to --back. Subscriptions are passed on to the publishers, so\n" +
			"that nothing travels that nobody asked for. A subscriber that reads too slowly loses messages, and the log tells how many."},
	{"zmq-queue", "Share the requests of clients between workers (ZeroMQ)", zmtp.ROUTER, zmtp.DEALER,
		"Clients (REQ, DEALER) connect to --listen and workers (REP, ROUTER) to --back. Each request goes to the worker whose turn\n" +
			"it is, and its reply back to the client."},
	{"zmq-streamer", "Share tasks between workers (ZeroMQ)", zmtp.PULL, zmtp.PUSH,
		"Those who have tasks (PUSH) connect to --listen and workers (PULL) to --back. Each task goes to the worker whose turn\n" +
			"it is; when all are busy, those who have tasks wait."},
}

// A zmqServing is what the flags of a device ask for besides those of serve.
type zmqServing struct {
	*serving
	device      zmqDevice
	back        []string
	connect     []string
	connectBack []string
	highWater   int
	message     size
	secret      string
}

func zmqCommands(s *serving) (all []*cobra.Command) {
	for _, device := range zmqDevices {
		z := &zmqServing{serving: s, device: device, message: 16 << 20}
		cmd := &cobra.Command{
			Use:   device.name,
			Short: device.about,
			Long: device.about + ".\n\n" + device.long + `

It speaks ZMTP 3.0 and 3.1, and so with every libzmq since 4.0. Addresses are those of serve, or tcp://HOST:PORT and
ipc://PATH as ZeroMQ has them; either side can also connect to others. A connection that ends is tried again.

With --curve-secret both sides speak CURVE, as its server: clients must know the public key, which the log tells.`,
			Example: "  switchboard serve " + device.name + " --listen :5555 --back :5556\n" +
				"  switchboard serve " + device.name + " --listen unix:/tmp/front.sock --connect-back 127.0.0.1:5556",
			Args: noArgs,
			RunE: func(cmd *cobra.Command, _ []string) error { return z.run(cmd) },
		}
		flags := cmd.Flags()
		flags.StringArrayVar(&z.back, "back", nil, "`ADDRESS` where the other side connects, any number of times (default 127.0.0.1:7008)")
		flags.StringArrayVar(&z.connect, "connect", nil, "`ADDRESS` to connect to, in place of --listen or beside it")
		flags.StringArrayVar(&z.connectBack, "connect-back", nil, "`ADDRESS` to connect to, in place of --back or beside it")
		flags.IntVar(&z.highWater, "high-water-messages", 1000, "messages that may wait for each peer, and from each")
		flags.Var(&z.message, "max-message", "bytes that a message may have; four times as many may wait for each peer, and from each")
		flags.StringVar(&z.secret, "curve-secret", "", "`FILE` with the secret key of CURVE, 40 characters in Z85")
		all = append(all, cmd)
	}
	return all
}

// zmqEndpoint turns an address of the command into an endpoint of ZeroMQ.
func zmqEndpoint(text string) (string, error) {
	if rest, ok := strings.CutPrefix(text, "ipc://"); ok {
		text = "unix:" + rest
	}
	if strings.HasPrefix(text, "tcp://*:") {
		text = "tcp://" + strings.TrimPrefix(text, "tcp://*")
	}
	a, err := parseAddress(text)
	switch {
	case err != nil:
		return "", err
	case a.network == "fd":
		return "", fmt.Errorf("address %q: ZeroMQ takes no open descriptor here", text)
	case a.network == "unix":
		return "ipc://" + a.name, nil
	case strings.HasPrefix(a.name, ":"):
		return "tcp://*" + a.name, nil
	}
	return "tcp://" + a.name, nil
}

func (z *zmqServing) run(cmd *cobra.Command) error {
	if err := z.checkLoop(cmd); err != nil {
		return err
	}
	for _, name := range append([]string{"tls-cert", "tls-key", "tls-self-signed", "tls-client-ca", "tls-crl", "read-buffer", "input-limit", "high-water",
		"low-water", "queue-limit", "write-timeout", "linger", "idle-timeout", "slow-call", "keep-alive",
		"half-close-timeout", "message-timeout", "memory-limit"}, accessNames...) {
		if f := cmd.Flags().Lookup(name); f != nil && f.Changed {
			return fmt.Errorf("--%s is not for %s", name, z.device.name)
		}
	}
	if z.highWater <= 0 {
		return fmt.Errorf("--high-water-messages %d: must be more than 0", z.highWater)
	}
	listen := z.listen
	if len(z.connect) > 0 && !changed(cmd.Flags(), "listen") {
		listen = nil
	}
	if len(z.back) == 0 && len(z.connectBack) == 0 {
		z.back = []string{"127.0.0.1:7008"}
	}
	if only, err := z.onlyChecks(guest{name: z.device.name}); only {
		return err
	}
	log := z.logger()
	context := &zmtp.Context{Loops: z.loop.loops, Engine: z.loop.engine, Logger: log}
	defer context.Close()
	o, err := z.options(log)
	if err != nil {
		return err
	}
	front, err := z.socket(context, z.device.front, o, listen, z.connect)
	if err != nil {
		return err
	}
	back, err := z.socket(context, z.device.back, o, z.back, z.connectBack)
	if err != nil {
		return err
	}
	z.figures.ofSockets(front.s, back.s)
	ctx := z.untilTold(log)
	for _, side := range []struct {
		name string
		at   []string
	}{{"front", front.at}, {"back", back.at}} {
		for _, at := range side.at {
			log.Info("listening on "+strings.TrimPrefix(strings.Replace(at, "ipc://", "unix:", 1), "tcp://"), "service", z.device.name, "side", side.name)
		}
	}
	err = zmtp.Device{Front: front.s, Back: back.s}.Run(ctx)
	if ctx.Err() != nil {
		err = nil
	}
	for _, s := range []*zmtp.Socket{front.s, back.s} {
		err = errors.Join(err, s.Close())
		st := s.Stats()
		log.Info("ended", "socket", s.Type().String(), "received", st.Received, "sent", st.Sent, "dropped", st.Dropped, "lost", st.Lost)
	}
	if err != nil {
		return failure{exitFailed, err}
	}
	return nil
}

func changed(flags *pflag.FlagSet, name string) bool { return flags.Lookup(name).Changed }

func (z *zmqServing) options(log *slog.Logger) (*zmtp.Options, error) {
	o := &zmtp.Options{SendHighWater: z.highWater, RecvHighWater: z.highWater,
		MaxMessageSize: int(z.message), HighWaterBytes: int(min(4*z.message, 1<<30)), MaxPeers: z.maxConns, Linger: orNever(z.grace), Logger: log}
	if z.verbose {
		o.Monitor = func(e zmtp.Event) { tellEvent(log, e) }
	}
	if z.secret != "" {
		text, err := os.ReadFile(z.secret)
		if err != nil {
			return nil, failure{exitFailed, err}
		}
		key, err := zmtp.ParseKey(strings.TrimSpace(string(text)))
		if err != nil {
			return nil, fmt.Errorf("--curve-secret %s: %w", z.secret, err)
		}
		public, err := key.Public()
		if err != nil {
			return nil, fmt.Errorf("--curve-secret %s: %w", z.secret, err)
		}
		o.Security = zmtp.CurveServer{SecretKey: key}
		certs.WarnExposed(log, z.secret)
		log.Info("speaking CURVE", "public key", public.String())
	}
	return o, nil
}

// tellEvent logs what a monitor is told.
func tellEvent(log *slog.Logger, e zmtp.Event) {
	list := []any{"endpoint", e.Endpoint}
	if e.RemoteAddr != "" {
		list = append(list, "peer", e.RemoteAddr)
	}
	if e.Peer != "" {
		list = append(list, "type", e.Peer)
	}
	if e.RetryIn > 0 {
		list = append(list, "retry", e.RetryIn)
	}
	if e.Err != nil {
		list = append(list, "reason", e.Err)
	}
	log.Info(e.Kind.String(), list...)
}

// A zmqSide is a socket of a device and where it listens.
type zmqSide struct {
	s  *zmtp.Socket
	at []string
}

func (z *zmqServing) socket(c *zmtp.Context, t zmtp.Type, o *zmtp.Options, listen, connect []string) (side zmqSide, err error) {
	if side.s, err = c.NewSocket(t, o); err != nil {
		return side, err
	}
	for _, text := range listen {
		endpoint, err := zmqEndpoint(text)
		if err != nil {
			return side, err
		}
		at, err := side.s.Bind(endpoint)
		if err != nil {
			return side, failure{exitFailed, err}
		}
		side.at = append(side.at, at)
	}
	for _, text := range connect {
		endpoint, err := zmqEndpoint(text)
		if err == nil {
			err = side.s.Connect(endpoint)
		}
		if err != nil {
			return side, err
		}
	}
	return side, nil
}
