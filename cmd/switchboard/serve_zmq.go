package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/switchboard-go/switchboard/certs"
	"github.com/switchboard-go/switchboard/socket"
	"github.com/switchboard-go/switchboard/zmtp"
)

// A zmqDevice is a service between two sockets of ZeroMQ.
type zmqDevice struct {
	name, about string
	front, back zmtp.Type
	long        string
}

var zmqDevices = []zmqDevice{
	{"zmq-forwarder", "Forward messages of publishers to subscribers (ZeroMQ)", zmtp.XSUB, zmtp.XPUB,
		"Publishers (PUB) connect to --listen and subscribers (SUB) to --back. Subscriptions are forwarded to the publishers, which\n" +
			"only send what somebody subscribes to. A subscriber that reads too slowly loses messages; the log says how many."},
	{"zmq-queue", "Distribute requests of clients to workers (ZeroMQ)", zmtp.ROUTER, zmtp.DEALER,
		"Clients (REQ, DEALER) connect to --listen and workers (REP, ROUTER) to --back. Workers get requests in turn. The reply goes\n" +
			"back to the client."},
	{"zmq-streamer", "Distribute tasks to workers (ZeroMQ)", zmtp.PULL, zmtp.PUSH,
		"Producers of tasks (PUSH) connect to --listen and workers (PULL) to --back. Workers get tasks in turn. When all are busy,\n" +
			"producers wait."},
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

It speaks ZMTP 3.0 and 3.1, like libzmq 4.0 and later. Addresses are those of serve, or tcp://HOST:PORT and ipc://PATH as in
ZeroMQ. Each side can also connect to peers; it reconnects when a connection ends.

With --curve-secret both sides are servers of CURVE. Peers need the public key, which is in the log.`,
			Example: "  switchboard serve " + device.name + " --listen :5555 --back :5556\n" +
				"  switchboard serve " + device.name + " --listen unix:/tmp/front.sock --connect-back 127.0.0.1:5556",
			Args: noArgs,
			RunE: func(cmd *cobra.Command, _ []string) error { return z.run(cmd) },
		}
		flags := cmd.Flags()
		flags.StringArrayVar(&z.back, "back", nil, "`ADDRESS` to listen on for the other side; may be repeated (default: 127.0.0.1:7008)")
		flags.StringArrayVar(&z.connect, "connect", nil, "`ADDRESS` to connect to, instead of --listen or in addition; may be repeated")
		flags.StringArrayVar(&z.connectBack, "connect-back", nil, "`ADDRESS` to connect to, instead of --back or in addition; may be repeated")
		flags.IntVar(&z.highWater, "high-water-messages", 1000, "limit of the messages that wait for each peer, and from each")
		flags.Var(&z.message, "max-message", "limit of a message, lowered if it does not fit --memory-limit; four times as many bytes may wait for each peer, and from each")
		flags.StringVar(&z.secret, "curve-secret", "", "`FILE` with the secret key of CURVE: 40 characters in Z85")
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
	case a.network == "fd" || a.network == "systemd":
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
		"half-close-timeout", "message-timeout", "admin", "admin-token", "admin-write"}, accessNames...) {
		if f := cmd.Flags().Lookup(name); f != nil && f.Changed {
			return fmt.Errorf("--%s is not for %s", name, z.device.name)
		}
	}
	if z.ws.scheme != "" {
		return fmt.Errorf("%s does not speak WebSocket at --listen %s", z.device.name, z.listen[0])
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
	if err := checkDistinct(append(placesOf("--listen", listen), placesOf("--back", z.back)...)); err != nil {
		return err
	}
	addresses := func() error {
		for _, text := range slices.Concat(listen, z.connect, z.back, z.connectBack) {
			if _, err := zmqEndpoint(text); err != nil {
				return err
			}
		}
		return nil
	}
	if only, err := z.onlyChecks(loopService{name: z.device.name, addresses: addresses}); only {
		return err
	}
	log := slog.New(namedLog{z.logger().Handler(), zmqServeNames})
	memory, err := z.divide(cmd.Flags())
	if err != nil {
		return err
	}
	engine := z.loop.engine
	if engine == "auto" {
		engine = "" // what is best for goroutines in Recv, which carry the messages
	}
	context := &zmtp.Context{Loops: z.loop.loops, Engine: engine, Logger: log, MemoryLimit: memory.connections}
	defer context.Close()
	o, err := z.options(log)
	if err != nil {
		return err
	}
	o.RecvLimit, o.SendLimit = memory.queues, memory.queues
	o.MaxPeers = z.places(cmd.Flags(), log)
	front, err := z.socket(context, z.device.front, o, listen, z.connect)
	if err != nil {
		return err
	}
	back, err := z.socket(context, z.device.back, o, z.back, z.connectBack)
	if err != nil {
		return err
	}
	z.collect(log)
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
		log.Info("ended", "socket", s.Type().String(), "received", st.Received, "sent", st.Sent, "dropped", st.Dropped, "lost", st.Lost, "evicted", st.Evicted)
	}
	if err != nil {
		return failure{exitFailed, withFlags(zmqServeNames, err)}
	}
	return nil
}

// places is how many peers each side accepts. What one side accepts must not take the other's descriptors.
func (z *zmqServing) places(flags *pflag.FlagSet, log *slog.Logger) int {
	room := (connsPossible(z.loop.loops, len(z.listen)+len(z.back)) + 1) / 2
	if !changed(flags, "max-conns") || z.maxConns == 0 {
		return room
	}
	if room > 0 && z.maxConns > room {
		log.Warn("fewer peers than --max-conns: both sides take descriptors (raise the limit with ulimit -n)", "peers of each side", room)
		return room
	}
	return z.maxConns
}

func changed(flags *pflag.FlagSet, name string) bool { return flags.Lookup(name).Changed }

func (z *zmqServing) options(log *slog.Logger) (*zmtp.Options, error) {
	o := &zmtp.Options{SendHighWater: z.highWater, RecvHighWater: z.highWater,
		MaxMessageSize: int(z.message), HighWaterBytes: int(min(4*z.message, 1<<30)), Linger: orNever(z.grace), Logger: log}
	if z.verbose {
		o.Monitor = func(e zmtp.Event) { tellEvent(log, e) }
	}
	if z.secret != "" {
		text, err := os.ReadFile(z.secret)
		if err != nil {
			return nil, failure{exitFailed, fmt.Errorf("--curve-secret: %w", err)}
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

// zmqListenError is listenError for an address as zmqEndpoint reads it.
func zmqListenError(text string, err error) error {
	var cause syscall.Errno
	a, bad := parseAddress(strings.Replace(text, "ipc://", "unix:", 1))
	if bad != nil || !errors.As(err, &cause) {
		return err
	}
	if a.network == "unix" && cause == syscall.EINVAL { // package net's way to say so
		cause = syscall.ENAMETOOLONG
	}
	return listenError(a, &socket.Error{Op: "bind", Addr: a.name, Err: cause})
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
			return side, failure{exitFailed, zmqListenError(text, err)}
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
