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
}

func proxyCommand(s *serving) *cobra.Command {
	p := &proxying{serving: s}
	cmd := &cobra.Command{
		Use:   "proxy --to ADDRESS",
		Short: "Pass each client on to one of several targets",
		Long: `Pass each client on to one of several targets, and everything that one of the two says to the other, half-closes
included.

A target that does not answer within --connect-timeout is skipped, and tried again every second until it does; the
client gets the next one. A client for which no target answers is reset, and the log says why. At a shutdown clients
are passed on until they or their targets hang up, or --grace is over.

With --tls-cert or --tls-self-signed the clients speak TLS, and the targets need not. To a target of tls://HOST:PORT the
proxy speaks TLS whatever the clients do; its certificate is verified, and the flags --to-tls-… say how.

With --listen ws://HOST:PORT the clients speak WebSocket and the targets do not: what is in a client's messages goes to the
target as it is, and what the target says comes in binary messages. The end of one closes the other. With
--to ws://HOST:PORT/PATH it is the other way round.

A client costs two descriptors, so there are never more clients than half the limit (ulimit -n).`,
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
		"`ADDRESS` of a target, any number of times: HOST:PORT, tls://HOST:PORT, ws://HOST:PORT/PATH, wss://HOST:PORT/PATH, unix:PATH, unix:@NAME")
	flags.StringVarP(&p.balance, "balance", "b", string(proxy.RoundRobin),
		"which target is next: round-robin (each in turn) or least-conn (the one with the fewest connections)")
	flags.DurationVar(&p.connectTimeout, "connect-timeout", 5*time.Second, "try the next target when one does not answer for so long")
	p.toTLS.addTo(cmd, "to-tls")
	p.toWS.addTo(cmd)
	cmd.RegisterFlagCompletionFunc("balance", cobra.FixedCompletions(proxy.Balances(), cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (p *proxying) run(cmd *cobra.Command) error {
	if err := p.checkLoop(cmd); err != nil {
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
		log.Warn("--to-tls-insecure: anybody between the proxy and a target can read and change everything (--to-tls-ca says whom to trust)")
	}
	if p.toTLS.key != "" {
		certs.WarnExposed(log, p.toTLS.key)
	}
	if !cmd.Flags().Changed("max-conns") {
		p.maxConns = 0
	}
	if room := proxy.Room(); p.maxConns <= 0 || p.maxConns > room {
		if p.maxConns > room {
			log.Warn("fewer clients than --max-conns: each takes two descriptors (raise the limit with ulimit -n)", "clients", room)
		}
		p.maxConns = room
	}
	between, err := proxy.New(targets, balance, log)
	if err != nil {
		return failure{exitFailed, err}
	}
	defer between.Close()
	between.Places = p.maxConns
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
		about: func(c *switchboard.Conn) ([]any, bool) {
			target, isClient := between.Target(c)
			return []any{"target", target}, isClient
		},
	})
}
