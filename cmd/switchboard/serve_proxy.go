package main

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
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
	announce       string
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

A target with weight=3 gets three clients for each that one with weight=1 gets. One with weight=0 gets no new clients; when the
last of those that it has is gone, the log says that it is drained. With sni=NAME a target gets the clients that ask for that
name in their TLS handshake, whether the proxy speaks TLS with them or only passes it on; *.NAME is for all names below it. Those
who ask for other names, or speak no TLS, go to the targets without names. With --config the targets can be changed at SIGHUP.

With --tls-cert or --tls-self-signed the clients speak TLS; the targets need not. With a target at tls://HOST:PORT the proxy speaks
TLS. It verifies the certificate of the target, as the flags --to-tls-… say.

With --listen ws://HOST:PORT the clients speak WebSocket; the targets do not. The bytes in a client's messages go to the target. The
bytes of the target go to the client in binary messages. When one side ends, the other is closed. With --to ws://HOST:PORT/PATH it
is the other way round: the target speaks WebSocket; the clients do not.

A client needs two descriptors, so the number of clients is at most half the limit (ulimit -n).`,
		Example: "  switchboard serve proxy --listen :443 --to '10.0.0.1:443 sni=one.example' --to '10.0.0.2:443 sni=*.two.example'\n" +
			"  switchboard serve proxy --listen :8080 --to 127.0.0.1:8081 --to 127.0.0.1:8082 --balance least-conn\n" +
			"  switchboard serve proxy --listen unix:/tmp/db.sock --to db.example.org:5432 --idle-timeout 1h\n" +
			"  switchboard serve proxy --listen :443 --tls-cert site.pem --tls-key site.key --to 127.0.0.1:8080\n" +
			"  switchboard serve proxy --to tls://db.internal:5433 --to-tls-ca internal-ca.pem\n" +
			"  switchboard serve proxy --listen :1883 --to wss://broker.example.org/mqtt --to-ws-subprotocol mqtt",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return p.run(cmd) },
	}
	flags := cmd.Flags()
	flags.StringArrayVarP(&p.to, "to", "t", nil,
		"`ADDRESS` of a target: HOST:PORT, tls://HOST:PORT, ws://HOST:PORT/PATH, wss://HOST:PORT/PATH, unix:PATH, unix:@NAME; may be repeated.\n"+
			"Options follow after a space: weight=N (default 1; 0: no new clients), sni=NAME")
	flags.StringVarP(&p.balance, "balance", "b", string(proxy.RoundRobin),
		"how to choose a target: round-robin (each in turn) or least-conn (the one with the fewest connections)")
	flags.DurationVar(&p.connectTimeout, "connect-timeout", 5*time.Second, "time after which the next target is tried")
	flags.StringVar(&p.announce, "to-proxy-protocol", "", "send targets the header of the PROXY protocol: v1 or v2")
	p.toTLS.addTo(cmd, "to-tls")
	p.toWS.addTo(cmd)
	p.access.addTo(cmd, "connections", "text")
	cmd.RegisterFlagCompletionFunc("to-proxy-protocol", cobra.FixedCompletions([]string{"v1", "v2"}, cobra.ShellCompDirectiveNoFileComp))
	cmd.RegisterFlagCompletionFunc("balance", cobra.FixedCompletions(proxy.Balances(), cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// targets reads --to: addresses, and what stands behind them.
func (p *proxying) targets() (destinations []destination, targets []proxy.Target, err error) {
	var addresses []string
	for _, text := range p.to {
		var to proxy.Target
		at, options := text, []string(nil)
		if words := strings.Fields(text); len(words) > 1 {
			at, options = words[0], words[1:]
		}
		if err := to.ParseOptions(options); err != nil {
			return nil, nil, fmt.Errorf("%q: %w", text, err)
		}
		addresses, targets = append(addresses, at), append(targets, to)
	}
	if destinations, err = p.toWS.parse(addresses, &p.toTLS, p.connectTimeout, targets); err != nil {
		return nil, nil, err
	}
	return destinations, targets, nil
}

func (p *proxying) run(cmd *cobra.Command) error {
	if err := p.checkLoop(cmd); err != nil {
		return err
	}
	if err := p.access.check(); err != nil {
		return err
	}
	balance, err := proxy.ParseBalance(p.balance)
	announce, ok := map[string]int{"": 0, "v1": 1, "v2": 2}[p.announce]
	switch {
	case err != nil:
		return fmt.Errorf("--balance: %w", err)
	case !ok:
		return fmt.Errorf("--to-proxy-protocol %q: v1 or v2", p.announce)
	case p.connectTimeout <= 0:
		return errors.New("--connect-timeout must be more than 0")
	case len(p.to) == 0:
		return errors.New("to which target? Give --to ADDRESS, once or more")
	}
	if _, _, err := p.toWS.options("to-ws-"); err != nil {
		return err
	}
	destinations, targets, err := p.targets()
	switch {
	case err != nil:
		return fmt.Errorf("--to: %w", err)
	case len(p.toWS.dialers) > 0 && p.ws.scheme != "":
		return errors.New("--to ws://… is for clients that do not speak WebSocket: for those that do, give --to HOST:PORT or tls://HOST:PORT, " +
			"and --listen without ws://, so that all is passed on as it is")
	case len(p.toWS.dialers) > 0 && announce > 0:
		return errors.New("--to-proxy-protocol is not for targets at ws://… and wss://…: --to-ws-header can say something to them")
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
	between.Places, between.CloseAfter = p.maxConns, cmp.Or(p.toWS.closeAfter, p.loop.halfClose)
	between.Announce(announce)
	if r := p.loop.access.receiver; r != nil {
		r.Received = between.Received
	}
	ends := func(*switchboard.Conn, error) {}
	if p.access.on() {
		lines := p.access.open(log)
		defer lines.Close(accessFlushTime)
		ends = p.access.connections(lines, between.Target)
	}
	return p.serveOnLoops(log, loopService{
		name:    "proxy",
		targets: targets,
		reload: func(fresh loopService) error {
			b, err := proxy.ParseBalance(fresh.balance)
			if err == nil {
				err = between.Set(fresh.targets, b)
			}
			return err
		},
		balance: p.balance,
		check:   func(listens []socket.Addr) error { return itself(destinations, listens) },
		prepare: func(server *switchboard.Server) {
			server.Accept = between.Accept
			server.DialTimeout = p.connectTimeout
			for _, dialer := range p.toWS.dialers {
				dialer.Server = server
			}
		},
		messages: between.Gateway(),
		moved:    between.Moved,
		ended:    ends,
		about: func(c *switchboard.Conn) ([]any, bool) {
			target, isClient := between.Target(c)
			return []any{"target", target}, isClient
		},
	})
}
