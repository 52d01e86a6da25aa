package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/internal/chat"
	"github.com/switchboard-go/switchboard/metrics"
	"github.com/switchboard-go/switchboard/room"
	"github.com/switchboard-go/switchboard/socket"
	"github.com/switchboard-go/switchboard/web"
)

// A chatServing is what the flags of serve chat ask for besides those of serve.
type chatServing struct {
	*serving
	lines   []string
	origins []string
	history int
	age     time.Duration
	file    string
	nats    natsJoining
}

func chatCommand(s *serving) *cobra.Command {
	c := &chatServing{serving: s}
	cmd := &cobra.Command{
		Use:   "chat",
		Short: "Serve a chat with rooms, for browsers and for nc",
		Long: `Serve a chat with rooms: a web page at --listen, and lines of text at --lines, for nc and switchboard dial.

There are no accounts. A user chooses a name that no other user has; names that look like another user's are refused. New users see
the latest messages of a room. A page that loses its connection reconnects and gets the messages that it missed, also after a restart
of the server if --history-file is given.

Messages are text of at most 2000 bytes. Users who send too fast are slowed down. Users who read too slowly miss the oldest waiting
messages, and see how many. Pages of other hosts cannot connect unless --origin allows them. Use TLS (--tls-cert, --tls-self-signed)
on networks that you do not trust.

With --nats several servers share their rooms. Users of other servers appear as name@server. Messages that a server misses because
NATS was disconnected are counted and reported in the room. With --nats-history the messages are kept in JetStream: every server has
the same messages in the same order, also after a restart, and a page that loses its server can go on at another one. Messages are
shown when JetStream has them.`,
		Example: "  switchboard serve chat\n" +
			"  switchboard serve chat --listen :8080 --lines :7008 --history 1000 --history-file chat.jsonl\n" +
			"  nc 127.0.0.1 7008",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.run(cmd) },
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&c.lines, "lines", []string{"127.0.0.1:7008"}, "`ADDRESS` to listen on for lines; may be repeated; '' for none")
	flags.StringSliceVar(&c.origins, "origin", nil, "`ORIGIN` of other pages that may connect, such as https://example.org; may be repeated")
	flags.IntVar(&c.history, "history", 200, "number of messages to keep for each room")
	flags.DurationVar(&c.age, "history-age", 0, "how long to keep messages (0: no limit)")
	flags.StringVar(&c.file, "history-file", "", "`FILE` that keeps the messages when the server ends")
	c.nats.addTo(flags)
	cmd.MarkFlagFilename("history-file")
	return cmd
}

func (c *chatServing) run(cmd *cobra.Command) error {
	if err := c.checkLoop(cmd); err != nil {
		return err
	}
	most, needed := c.loop.mostQueued(), c.loop.highWater+chat.LongestMessage
	switch {
	case most < needed:
		return fmt.Errorf("--queue-limit %s: it must hold --high-water and a message of 16k, %s", &most, &needed)
	case c.history < 0 || c.history > 100_000:
		return fmt.Errorf("--history %d: 0 to 100000", c.history)
	case c.ws.scheme != "":
		return errors.New("--listen: the chat's page is HTTP, and its WebSockets are there too: give HOST:PORT")
	}
	if err := checkOrigins("--origin", c.origins); err != nil {
		return err
	}
	if err := c.nats.check(c.file, cmd.Flags().Changed); err != nil {
		return err
	}
	if err := checkDistinct(append(c.places(), placesOf("--lines", c.lines)...)); err != nil {
		return err
	}
	addresses := func() error {
		_, err := c.addresses()
		if err == nil {
			_, err = c.addressesOfLines()
		}
		return err
	}
	if only, err := c.onlyChecks(loopService{name: "chat", addresses: addresses}); only {
		return err
	}
	log := c.logger()
	config := chat.Config{
		History: room.History{Messages: c.history, Bytes: max(1, c.history*(chat.LongestText+200)), Age: c.age},
		Logger:  log,
		Origins: c.origins,
	}
	if c.file != "" {
		store, err := c.store()
		if err != nil {
			return failure{exitFailed, fmt.Errorf("--history-file: %w", err)}
		}
		defer store.Close()
		config.Store = store
	}
	leave, err := c.nats.join(&config, log)
	if err != nil {
		return err
	}
	defer leave()
	talk := chat.New(config)
	pages := &web.Server{
		HTTP: &http.Server{
			MaxHeaderBytes:    16 << 10,
			ReadHeaderTimeout: 10 * time.Second,
			IdleTimeout:       time.Minute,
			ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		},
		Other: talk.Other,
	}
	return c.serveOnLoops(log, loopService{
		name:     "chat",
		shared:   talk,
		moved:    talk.Moved,
		takeOver: pages.Takeover,
		more:     func() ([]*socket.Socket, error) { return c.openLines(log, talk) },
		figures:  []metrics.Source{talk.Figures()},
		prepare: func(server *switchboard.Server) {
			pages.Loops = server
			if server.Engine == "auto" {
				server.Engine = "" // the one that suits package web
			}
			pages.HTTP.Handler = talk.Handler(server)
		},
		serve: func(l *socket.Socket) error {
			err := pages.ServeSocket(l)
			if errors.Is(err, http.ErrServerClosed) {
				return switchboard.ErrServerClosed
			}
			return err
		},
	})
}

// store opens the file of --history-file, or has it come with the rooms of another process.
func (c *chatServing) store() (*room.FileStore, error) {
	if hasPredecessor() {
		return room.InheritFile(c.file, c.history), nil
	}
	return room.OpenFile(c.file, c.history)
}

// openLines opens the listeners of those who talk in lines.
func (c *chatServing) openLines(log *slog.Logger, talk *chat.Chat) (all []*socket.Socket, err error) {
	addresses, err := c.addressesOfLines()
	if err != nil {
		return nil, err
	}
	for _, a := range addresses {
		l, err := c.unix.listen(a)
		if err == nil {
			all = append(all, l)
			var at socket.Addr
			if at, err = l.LocalAddr(); err == nil {
				talk.AddLines(netAddr(at))
			}
		}
		if err != nil {
			for _, l := range all {
				l.Close()
			}
			return nil, failure{exitFailed, err}
		}
		log.Info("accepting lines on "+whereabouts(l), "service", "chat")
	}
	return all, nil
}

// netAddr is an address as package net has it.
func netAddr(at socket.Addr) net.Addr {
	if at.Family() == socket.AF_UNIX {
		return &net.UnixAddr{Name: at.Path(), Net: "unix"}
	}
	return net.TCPAddrFromAddrPort(at.AddrPort())
}

// addressesOfLines reads --lines.
func (c *chatServing) addressesOfLines() (all []address, err error) {
	for _, text := range c.lines {
		if text == "" {
			continue
		}
		a, err := parseAddress(text)
		if err == nil && strings.HasPrefix(a.network, "ws") {
			err = fmt.Errorf("address %q: lines are not WebSocket", text)
		}
		if err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	return all, nil
}
