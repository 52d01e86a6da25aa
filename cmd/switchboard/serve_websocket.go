package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/internal/field"
	"github.com/switchboard-go/switchboard/websocket"
)

// A serverWebSocket is what serve is told about WebSocket with its clients.
type serverWebSocket struct {
	message      size
	ping         time.Duration
	origins      []string
	subprotocols []string
	deflate      bool
	takeover     bool

	scheme string // of the addresses to listen on: ws or wss, "" without WebSocket
	set    *pflag.FlagSet
}

// longestWebSocket is the most that --ws-message may be. usualWebSocket is what it is if nothing is said: what others who test
// WebSocket servers send at most.
const (
	longestWebSocket = 512 << 20
	usualWebSocket   = 16 << 20
)

// add adds the flags to those of serve.
func (f *serverWebSocket) add(flags *pflag.FlagSet) {
	f.message = usualWebSocket
	f.set = pflag.NewFlagSet("websocket", pflag.ContinueOnError)
	f.set.Var(&f.message, "ws-message", "limit of a WebSocket message, and of its answer; with --queue-limit at most as much as that leaves; "+
		"proxy passes messages on in parts and has none (default for relay: --member-queue)")
	f.set.DurationVar(&f.ping, "ws-ping", time.Minute, "ping a WebSocket that is silent for this long, and reset it after the same time again (0: never)")
	f.set.StringSliceVar(&f.origins, "ws-origin", nil, "`ORIGIN` of other pages that may open WebSockets: https://example.org, https://*.example.org, or '*' for "+
		"all; may be repeated")
	f.set.StringSliceVar(&f.subprotocols, "ws-subprotocol", nil, "`NAME` of a supported WebSocket subprotocol; may be repeated")
	f.set.BoolVar(&f.deflate, "ws-deflate", true, "compress WebSocket messages if the client supports it")
	f.set.BoolVar(&f.takeover, "ws-takeover", false, "use previous messages as the dictionary of compression, for up to 64k per client")
	flags.AddFlagSet(f.set)
}

// check makes sure that the flags make sense, and finds out whether WebSocket is spoken.
func (f *serverWebSocket) check(s *serving, m mode) (err error) {
	f.scheme = ""
	secure := s.loop.tls.selfSigned || len(s.loop.tls.certs) > 0
	for i, text := range s.listen {
		scheme, _, ok := strings.Cut(text, "://")
		if !ok || scheme != "ws" && scheme != "wss" {
			scheme = ""
		}
		switch {
		case i > 0 && (scheme == "") != (f.scheme == ""):
			return errors.New("--listen: either all addresses are ws:// or wss://, or none is")
		case scheme == "wss" && !secure:
			return fmt.Errorf("--listen %s: wss needs --tls-cert and --tls-key, or --tls-self-signed", text)
		case scheme == "ws" && secure:
			return fmt.Errorf("--listen %s: with TLS that is wss://", text)
		}
		f.scheme = scheme
	}
	f.set.VisitAll(func(flag *pflag.Flag) {
		if err == nil && flag.Changed && f.scheme == "" {
			err = fmt.Errorf("--%s is for --listen ws://HOST:PORT or wss://HOST:PORT", flag.Name)
		}
	})
	if queue := s.loop.queueLimit; queue != 0 && !f.set.Changed("ws-message") {
		f.message = min(f.message, queue-s.loop.highWater-frameHeader)
	}
	if err != nil || f.scheme == "" {
		return err
	}
	if err := checkOrigins("--ws-origin", f.origins); err != nil {
		return err
	}
	if err := field.CheckSubprotocols(f.subprotocols); err != nil {
		return fmt.Errorf("--ws-subprotocol: %w", err)
	}
	switch {
	case m.classic != nil:
		return fmt.Errorf("WebSocket is spoken in the mode loop, and not in %s", m.name)
	case f.message < 1 || f.message > longestWebSocket:
		return fmt.Errorf("--ws-message %s: 1 to 512M", &f.message)
	case s.loop.queueLimit != 0 && s.loop.queueLimit < f.needs(s):
		needs := f.needs(s)
		return fmt.Errorf("--queue-limit %s: it must hold --high-water and a message of --ws-message, %s", &s.loop.queueLimit, &needs)
	}
	return nil
}

// checkOrigins checks the values of a flag for origins of pages.
func checkOrigins(flag string, origins []string) error {
	for _, origin := range origins {
		if err := field.CheckOrigin(origin); err != nil {
			return fmt.Errorf("%s: %w", flag, err)
		}
	}
	return nil
}

// needs is how long the queue of a client must be able to become.
func (f *serverWebSocket) needs(s *serving) size { return s.loop.highWater + f.message + frameHeader }

// frameHeader is how long the header of a frame is at most.
const frameHeader = 14

// prefix is what stands before an address that is listened on.
func (f *serverWebSocket) prefix() string {
	if f.scheme == "" {
		return ""
	}
	return f.scheme + "://"
}

// apply has a server speak WebSocket, if it is to.
func (f *serverWebSocket) apply(server *switchboard.Server, g loopService) {
	if f.scheme == "" {
		return
	}
	upgrader := &websocket.Upgrader{
		Handler:      g.messages,
		MovedHandler: g.messagesMoved,
		Origins:      f.origins,
		Options:      websocket.Options{MaxMessage: int(f.message), PingInterval: f.ping, Subprotocols: f.subprotocols},
	}
	if f.deflate {
		upgrader.Deflate = &websocket.Deflate{ContextTakeover: f.takeover}
	}
	server.Accept, server.Moved = upgrader.Accept, upgrader.Moved
	server.QueueLimit = max(server.QueueLimit, 1<<20, 4*server.HighWater, server.HighWater+int(f.message)+frameHeader)
}
