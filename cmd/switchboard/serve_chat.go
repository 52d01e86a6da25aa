package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/internal/chat"
	"github.com/switchboard-go/switchboard/room"
	"github.com/switchboard-go/switchboard/room/natsroom"
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
	nats    string
	name    string
}

func chatCommand(s *serving) *cobra.Command {
	c := &chatServing{serving: s}
	cmd := &cobra.Command{
		Use:   "chat",
		Short: "Have people talk in rooms, with a browser or with nc",
		Long: `Have people talk in rooms: with a page in the browser at --listen, and in lines at --lines, for nc and switchboard dial.

Nobody needs an account: who comes chooses a name that nobody has. Names that look like another one's are refused. Who comes is
shown what was said last, up to --history messages of each room. A page that has lost its connection comes back by itself and
gets what it has missed. With --history-file that survives a restart as well.

Messages are text of at most 2000 bytes. Who sends too many is slowed down, who reads too slowly misses the oldest that wait for
it, and is told how many. Pages of other hosts cannot connect unless --origin allows them. Put it behind TLS
(--tls-cert, --tls-self-signed) where the network is not your own.

With --nats the rooms of several servers are one: people of the others are shown as name@server. What could not be passed on,
because NATS was torn apart meanwhile, is counted and told in the room.`,
		Example: "  switchboard serve chat\n" +
			"  switchboard serve chat --listen :8080 --lines :7008 --history 1000 --history-file chat.jsonl\n" +
			"  nc 127.0.0.1 7008",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.run(cmd) },
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&c.lines, "lines", []string{"127.0.0.1:7008"}, "`ADDRESS` where people talk in lines, any number of times; '' for none")
	flags.StringSliceVar(&c.origins, "origin", nil, "`ORIGIN` whose pages may connect besides the server's own: https://example.org; any number of times")
	flags.IntVar(&c.history, "history", 200, "messages of each room that are remembered")
	flags.DurationVar(&c.age, "history-age", 0, "forget messages after so long (0: never)")
	flags.StringVar(&c.file, "history-file", "", "`FILE` that keeps what is remembered when the server ends")
	flags.StringVar(&c.nats, "nats", "", "`URL` of NATS servers, which join this chat with those of other machines: nats://HOST:PORT, with commas between several")
	flags.StringVar(&c.name, "nats-name", "", "what people here are called behind an @ on the other machines (default the host's name)")
	cmd.MarkFlagFilename("history-file")
	return cmd
}

func (c *chatServing) run(cmd *cobra.Command) error {
	if err := c.checkLoop(cmd); err != nil {
		return err
	}
	switch {
	case c.history < 0 || c.history > 100_000:
		return fmt.Errorf("--history %d: 0 to 100000", c.history)
	case c.age < 0:
		return errors.New("--history-age cannot be negative (0 is never)")
	case c.name != "" && c.nats == "":
		return errors.New("--nats-name needs --nats")
	case strings.ContainsFunc(c.name, func(r rune) bool { return r <= ' ' || r == '@' || r >= 0x7f }):
		return fmt.Errorf("--nats-name %q: printable ASCII without spaces and @", c.name)
	case c.ws.scheme != "":
		return errors.New("--listen: the chat's page is HTTP, and its WebSockets are there too: give HOST:PORT")
	}
	if c.nats != "" && c.name == "" {
		host, err := os.Hostname()
		if err != nil {
			return failure{exitFailed, fmt.Errorf("--nats-name: %w", err)}
		}
		c.name = host
	}
	if only, err := c.onlyChecks(guest{name: "chat"}); only {
		return err
	}
	log := c.logger()
	config := chat.Config{
		History: room.History{Messages: c.history, Bytes: max(1, c.history*(chat.LongestText+200)), Age: c.age},
		Logger:  log,
		Origins: c.origins,
	}
	if c.file != "" {
		store, err := room.OpenFile(c.file, c.history)
		if err != nil {
			return failure{exitFailed, fmt.Errorf("--history-file: %w", err)}
		}
		defer store.Close()
		config.Store = store
	}
	if c.nats != "" {
		bridge, err := natsroom.Connect(c.nats, natsroom.Options{Prefix: "switchboard.chat", Name: c.name, Logger: log})
		if err != nil {
			return failure{exitFailed, fmt.Errorf("--nats: %w", err)}
		}
		defer bridge.Close()
		config.Bridge = bridge
	}
	talk := chat.New(config)
	lines, err := c.openLines()
	if err != nil {
		return err
	}
	pages := &web.Server{HTTP: &http.Server{
		MaxHeaderBytes:    16 << 10,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       time.Minute,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}}
	terminals := c.server()
	terminals.Logger = log
	if len(lines) > 0 {
		terminals.MemoryLimit = halfOf(terminals)
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), c.grace)
		defer cancel()
		terminals.Shutdown(ctx)
	}()
	return c.serveOnLoops(log, guest{
		name: "chat",
		prepare: func(server *switchboard.Server) {
			pages.Loops = server
			if server.Engine == "auto" {
				server.Engine = "" // the one that suits package web
			}
			pages.HTTP.Handler = talk.Handler(server)
			if len(lines) > 0 {
				server.MemoryLimit = halfOf(server)
			}
			c.serveLines(talk, terminals, server.TLSConfig, lines)
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

// halfOf returns half the memory limit of one of the two servers that share it, or the least that a server can have.
func halfOf(s *switchboard.Server) int64 {
	if s.MemoryLimit == 0 {
		return 0
	}
	loops := cmp.Or(s.Loops, runtime.GOMAXPROCS(0))
	return max(s.MemoryLimit/2, int64(loops)<<20)
}

// openLines opens the listeners of those who talk in lines.
func (c *chatServing) openLines() (all []*socket.Socket, err error) {
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
		l, err := listen(a)
		if err != nil {
			return nil, failure{exitFailed, err}
		}
		all = append(all, l)
	}
	return all, nil
}

// serveLines serves those who talk in lines, on loops of their own.
func (c *chatServing) serveLines(talk *chat.Chat, server *switchboard.Server, secure *tls.Config, listeners []*socket.Socket) {
	h := talk.Lines()
	server.TLSConfig = secure
	server.Accept = func(*switchboard.Conn) (switchboard.Handler, error) { return h, nil }
	if c.verbose {
		server.Trace = guest{}.traceTo(server.Logger)
	}
	for _, l := range listeners {
		at := whereabouts(l)
		server.Logger.Info("lines are welcome at "+at, "service", "chat")
		go func() {
			if err := server.ServeSocket(l); !errors.Is(err, switchboard.ErrServerClosed) {
				server.Logger.Error("nobody can talk in lines any more", "address", at, "error", err)
			}
		}()
	}
}
