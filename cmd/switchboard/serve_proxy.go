package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/certs"
	"github.com/switchboard-go/switchboard/internal/proxy"
	"github.com/switchboard-go/switchboard/socket"
)

// A proxying is what the flags of serve proxy ask for besides those of serve.
type proxying struct {
	*serving
	to             []string
	balance        string
	connectTimeout time.Duration
	toTLS          clientTLS
	toWS           targetWebSocket
	access         accessLogFlags
}

func proxyCommand(s *serving) *cobra.Command {
	p := &proxying{serving: s}
	cmd := &cobra.Command{
		Use:   "proxy --to ADDRESS",
		Short: "Connect each client to one of several targets",
		Long: `Connect each client to one of several targets, and copy bytes in both directions. Half-closes are passed on.

If a target does not answer within --connect-timeout, the client gets the next one. Such a target is tried every second and used
again when it answers. If no target answers, the client is reset, and the log says why. At a shutdown, connections continue until
a client or target closes them, or --grace is over.

With --tls-cert or --tls-self-signed the clients speak TLS; the targets need not. With a target at tls://HOST:PORT the proxy speaks
TLS. It verifies the certificate of the target, as the flags --to-tls-… say.

With --listen ws://HOST:PORT the clients speak WebSocket; the targets do not. The bytes in a client's messages go to the target. The
bytes of the target go to the client in binary messages. When one side ends, the other is closed. With --to ws://HOST:PORT/PATH it
is the other way round: the target speaks WebSocket; the clients do not.

A client needs two descriptors, so the number of clients is at most half the limit (ulimit -n).`,
		Example: "  switchboard serve proxy --listen :8080 --to 127.0.0.1:8081 --to 127.0.0.1:8082 --balance least-conn\n" +
			"  switchboard serve proxy --listen unix:/tmp/db.sock --to db.example.org:5432 --idle-timeout 1h\n" +
			"  switchboard serve proxy --listen :443 --tls-cert site.pem --tls-key site.key --to 127.0.0.1:8080\n" +
			"  switchboard serve proxy --to tls://db.internal:5433 --to-tls-ca internal-ca.pem\n" +
			"  switchboard serve proxy --listen :1883 --to wss://broker.example.org/mqtt --to-ws-subprotocol mqtt",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return p.run(cmd) },
	}
	flags := cmd.Flags()
	flags.StringArrayVarP(&p.to, "to", "t", nil,
		"`ADDRESS` of a target: HOST:PORT, tls://HOST:PORT, ws://HOST:PORT/PATH, wss://HOST:PORT/PATH, unix:PATH, unix:@NAME; may be repeated")
	flags.StringVarP(&p.balance, "balance", "b", string(proxy.RoundRobin),
		"how to choose a target: round-robin (each in turn) or least-conn (the one with the fewest connections)")
	flags.DurationVar(&p.connectTimeout, "connect-timeout", 5*time.Second, "time after which the next target is tried")
	p.toTLS.addTo(cmd, "to-tls")
	p.toWS.addTo(cmd)
	p.access.addTo(cmd, "connection", "text")
	cmd.RegisterFlagCompletionFunc("balance", cobra.FixedCompletions(proxy.Balances(), cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (p *proxying) run(cmd *cobra.Command) error {
	if err := p.checkLoop(cmd); err != nil {
		return err
	}
	if err := p.access.check(); err != nil {
		return err
	}
	balance, err := proxy.ParseBalance(p.balance)
	switch {
	case err != nil:
		return fmt.Errorf("--balance: %w", err)
	case p.connectTimeout <= 0:
		return errors.New("--connect-timeout must be more than 0")
	case len(p.to) == 0:
		return errors.New("to which target? Give --to ADDRESS, once or more")
	}
	targets, callees, err := p.toWS.targets(p.to, &p.toTLS, p.connectTimeout)
	switch {
	case err != nil:
		return fmt.Errorf("--to: %w", err)
	case len(p.toWS.dialers) > 0 && p.ws.scheme != "":
		return errors.New("--to ws://… is for clients that do not speak WebSocket: for those that do, give --to HOST:PORT or tls://HOST:PORT, " +
			"and --listen without ws://, so that all is passed on as it is")
	}
	log := p.logger()
	if p.toTLS.insecure {
		log.Warn("--to-tls-insecure: whoever is between the proxy and a target can read and change everything (--to-tls-ca sets the authorities to trust)")
	}
	if p.toTLS.key != "" {
		certs.WarnExposed(log, p.toTLS.key)
	}
	p.limitPairs(cmd.Flags(), log)
	between, err := proxy.New(targets, balance, log)
	if err != nil {
		return failure{exitFailed, err}
	}
	defer between.Close()
	between.Places = p.maxConns
	ends := func(*switchboard.Conn, error) {}
	if p.access.on() {
		lines := p.access.open(log)
		defer lines.Close(accessPatience)
		ends = p.access.connections(lines, between.Target)
	}
	return p.serveOnLoops(log, guest{
		name:  "proxy",
		check: func(listeners []*socket.Socket) error { return itself(callees, listeners) },
		prepare: func(server *switchboard.Server) {
			server.Accept = between.Accept
			server.DialTimeout = p.connectTimeout
			for _, dialer := range p.toWS.dialers {
				dialer.Server = server
			}
		},
		messages: between.Gateway(),
		ended:    ends,
		about: func(c *switchboard.Conn) ([]any, bool) {
			target, isClient := between.Target(c)
			return []any{"target", target}, isClient
		},
	})
}
