package main

import (
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/switchboard-go/switchboard/internal/proxy"
	"github.com/switchboard-go/switchboard/websocket"
)

// A targetWebSocket is what serve proxy is told about targets that speak WebSocket.
type targetWebSocket struct {
	clientWebSocket
	dialers    []*websocket.Dialer
	closeAfter time.Duration
}

func (w *targetWebSocket) addTo(cmd *cobra.Command) {
	w.set = pflag.NewFlagSet("to-ws", pflag.ContinueOnError)
	w.set.StringArrayVar(&w.headers, "to-ws-header", nil, "`'NAME: VALUE'` of the request to ws://…; may be repeated")
	w.set.StringSliceVar(&w.subprotocols, "to-ws-subprotocol", nil, "`NAME` of a WebSocket subprotocol to offer at ws://…, the best first")
	w.set.BoolVar(&w.deflate, "to-ws-deflate", false, "offer to compress messages at ws://…")
	w.set.DurationVar(&w.closeAfter, "to-ws-close-after", 0, "when a client has ended its output, and its target at ws://… has answered and "+
		"has been silent for this long, close the target (default: --half-close-timeout)")
	cmd.Flags().AddFlagSet(w.set)
	cmd.RegisterFlagCompletionFunc("to-ws-header", cobra.NoFileCompletions)
	cmd.RegisterFlagCompletionFunc("to-ws-subprotocol", cobra.NoFileCompletions)
}

// parse reads the addresses of targets, and says in these what they stand for.
func (w *targetWebSocket) parse(texts []string, secure *clientTLS, timeout time.Duration, targets []proxy.Target) (destinations []destination, err error) {
	header, options, err := w.options("to-ws-")
	if err != nil {
		return nil, err
	}
	options.HandshakeTimeout, options.PingInterval = timeout, time.Minute
	plain := make([]string, len(texts)) // as secure takes them
	for i, text := range texts {
		plain[i] = text
		if isWebSocket(text) {
			if _, plain[i], err = parseWebSocket("proxy", text); err != nil {
				return nil, err
			}
		}
	}
	if destinations, err = secure.parse(plain...); err != nil {
		return nil, err
	}
	w.dialers = nil
	for i, to := range destinations {
		targets[i].Address, targets[i].TLS = to.name, to.tls
		if isWebSocket(texts[i]) {
			dialer := &websocket.Dialer{Options: options, Header: header, TLSConfig: to.tls}
			targets[i].URL, targets[i].Dialer = texts[i], dialer
			w.dialers = append(w.dialers, dialer)
		}
	}
	if len(w.dialers) == 0 {
		err = w.refuse()
	}
	return destinations, err
}
