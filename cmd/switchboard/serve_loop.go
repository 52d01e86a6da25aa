package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/internal/admin"
	"github.com/switchboard-go/switchboard/internal/handler"
	"github.com/switchboard-go/switchboard/internal/proxy"
	"github.com/switchboard-go/switchboard/internal/service"
	"github.com/switchboard-go/switchboard/metrics"
	"github.com/switchboard-go/switchboard/socket"
	"github.com/switchboard-go/switchboard/websocket"
)

// A loopService is what a service needs to be served on event loops.
type loopService struct {
	name    string
	prepare func(server *switchboard.Server) // sets Accept, and whatever else
	serve   func(l *socket.Socket) error     // serves a listener; nil: ServeSocket of the server

	// check tells why the service cannot be served there. nil: it can.
	check func(listens []socket.Addr) error

	// addresses checks the addresses of --check. nil: they are what serving.addresses reads.
	addresses func() error

	// messages serves WebSockets, if they are what the service is asked for. nil: the service does not speak WebSocket.
	messages websocket.Handler

	// moved and messagesMoved make the handlers of connections and of WebSockets that another process has handed over. nil:
	// they do not move.
	moved         func(c *switchboard.Conn, from switchboard.HandlerState) (switchboard.Handler, error)
	messagesMoved func(c *websocket.Conn, from switchboard.HandlerState) (websocket.Handler, error)
	// more opens listeners besides those of --listen, unless they are another process's that is taken over from. nil: there are none.
	more func() ([]*socket.Socket, error)

	// shared is what moves with the connections. nil: nothing does.
	shared switchboard.Shared
	// takeOver takes over what another process serves, if serve is set. nil: the service cannot be handed over then.
	takeOver func(ctx context.Context, from *net.UnixConn) (switchboard.Handed, error)

	// ended is told of connections that have ended, refused ones included. nil: nobody asks.
	ended func(c *switchboard.Conn, err error)

	// servers are in the admin page and in the statistics, besides the one that prepare sets up.
	servers []admin.Server

	// figures are more of them for the admin page.
	figures []metrics.Source

	// targets are those of a proxy, and reload replaces them by those of a fresh loopService. nil: there are none.
	targets []proxy.Target
	balance string
	reload  func(fresh loopService) error

	// about returns more for --verbose to tell of a client, and whether c is one. nil: nothing, and everybody is.
	about func(c *switchboard.Conn) (list []any, isClient bool)
}

// onLoops is one of the services that every mode has.
func onLoops(what service.Service) loopService {
	messages := handler.Messages(what)
	return loopService{
		name:          what.Name,
		prepare:       func(server *switchboard.Server) { server.Accept = handler.Accept(what) },
		messages:      messages,
		moved:         handler.Moved(what),
		messagesMoved: handler.MessagesMoved(messages),
	}
}

// serveOnLoops serves on event loops until a signal.
func (s *serving) serveOnLoops(log *slog.Logger, g loopService) error {
	if g.messages == nil && s.ws.scheme != "" {
		return fmt.Errorf("%s does not speak WebSocket at --listen %s", g.name, s.listen[0])
	}
	if only, err := s.onlyChecks(g); only {
		return err
	}
	secure, about, err := s.loop.tls.config(log, s.listen)
	if err != nil {
		return err
	}
	before, err := findPredecessor()
	if err != nil {
		return failure{exitFailed, err}
	}
	var listeners []*socket.Socket
	asked := slices.Clone(s.listen) // what systemd has passed takes its place
	if before == nil {
		listeners, err = s.listenAll()
	} else if before.checkListen(asked) != nil { // that process has been told why
		os.Exit(exitFailed)
	}
	if err != nil {
		return err
	}
	var more []*socket.Socket
	if before == nil && g.more != nil {
		if more, err = g.more(); err != nil {
			for _, l := range listeners {
				l.Close()
			}
			return err
		}
	}
	files := socketFiles(s.unix.made)
	if before != nil {
		files = before.files
	}
	if g.check != nil {
		if err := g.check(localAddrs(listeners)); err != nil {
			for _, l := range listeners {
				l.Close()
			}
			return err
		}
	}
	server := s.server()
	server.Logger, server.TLSConfig = log, secure
	server.Moved, server.Shared, server.LeaveTime = g.moved, g.shared, s.grace/2
	s.collect(log)
	g.prepare(server)
	s.ws.apply(server, g)
	if s.verbose {
		server.Trace = g.traceTo(log)
	}
	if g.ended != nil {
		server.Trace = alsoEnded(server.Trace, g.ended)
	}
	s.restarts = canRestart && (g.serve == nil || g.takeOver != nil)
	s.figures.ofLoops(server, g.servers...)
	drained, drain := context.WithCancel(context.Background())
	defer drain()
	endAdmin, err := s.admin.serve(log, g, server, drain, before != nil)
	if err != nil {
		for _, l := range listeners {
			l.Close()
		}
		return err
	}
	endAdmin = sync.OnceFunc(endAdmin)
	defer endAdmin()
	s.figures.reload = s.reloader(log, g, server, s.figures.reload)
	ctx, cancel := context.WithCancel(s.announce(log, listeners, g.name, about...))
	defer context.AfterFunc(drained, cancel)()
	if before != nil {
		takeOver := server.Takeover
		if g.takeOver != nil {
			takeOver = g.takeOver
		}
		if err := before.takeOver(log, takeOver); err != nil {
			server.Close()
			return failure{exitFailed, err}
		}
	}
	listeners = append(listeners, more...)
	h := ownedFiles{files: files, inherited: before != nil, listen: asked}
	err = s.serveUntil(ctx, server, g.serve, listeners, h, s.restarts, endAdmin)
	s.figures.summarise(log)
	if err != nil {
		return failure{exitFailed, err}
	}
	return nil
}

// ownedFiles are the files of the Unix sockets that a process listens at, and hands on with them.
type ownedFiles struct {
	files     []socketFile
	inherited bool     // no socket of this process removes them when it is closed
	listen    []string // what --listen is
}

// end removes what no other process listens at any more.
func (h ownedFiles) end() {
	for _, f := range h.files {
		if h.inherited {
			f.remove()
		}
	}
}

// serveUntil serves until ctx is done, a listener fails or another process has taken over, which can come about if the service
// moves. Then it shuts the server down.
func (s *serving) serveUntil(ctx context.Context, server *switchboard.Server, serve func(*socket.Socket) error,
	listeners []*socket.Socket, h ownedFiles, moves bool, endAdmin func()) error {
	if serve == nil {
		serve = server.ServeSocket
	}
	ended := make(chan error, len(listeners))
	for _, l := range listeners {
		go func() { ended <- serve(l) }()
	}
	replaced, stop := (<-chan struct{})(nil), func() {}
	if moves {
		replaced, stop = heedRestart(server.Logger, server, s.figures.manager, h)
	}
	defer stop()
	left, failed := len(listeners), error(nil)
	for waiting := true; waiting; {
		select {
		case <-ctx.Done():
			waiting = false
			if !server.HandedOver() {
				h.end()
			}
		case <-replaced:
			waiting = false
			endAdmin() // its address is the new process's
		case err := <-ended:
			left--
			if waiting = server.HandedOver() && errors.Is(err, switchboard.ErrServerClosed); !waiting { // replaced follows
				failed = err
			}
		}
	}
	grace, giveUp := context.WithCancel(context.Background())
	defer giveUp()
	graceTimer := time.AfterFunc(s.grace, func() {
		server.Logger.Warn("cut off at the end of the grace period", "connections", server.Stats().Active)
		giveUp()
	})
	defer graceTimer.Stop()
	server.Shutdown(grace)
	for range left {
		if err := <-ended; !errors.Is(err, switchboard.ErrServerClosed) {
			failed = cmp.Or(failed, err)
		}
	}
	return failed
}

// traceTo logs who connects and disconnects, as the classic modes do.
func (g loopService) traceTo(log *slog.Logger) *switchboard.Trace {
	about := g.about
	if about == nil {
		about = func(*switchboard.Conn) ([]any, bool) { return nil, true }
	}
	var present atomic.Int64
	return &switchboard.Trace{
		Opened: func(c *switchboard.Conn) {
			if _, isClient := about(c); isClient {
				log.Info("connected", "peer", c.RemoteAddr().String(), "clients", present.Add(1))
			}
		},
		Refused: func(c *switchboard.Conn, err error) {
			log.Info("refused", "peer", c.RemoteAddr().String(), "reason", err)
		},
		Closed: func(c *switchboard.Conn, err error) {
			list, isClient := about(c)
			if !isClient {
				return
			}
			list = append([]any{"peer", c.RemoteAddr().String(), "clients", present.Add(-1), "received", c.Received(),
				"sent", c.Sent(), "lasted", c.Age().Round(time.Microsecond)}, list...)
			if c.TLS() != nil {
				list = append(list, "bytes", encrypted)
			}
			if err != nil {
				list = append(list, "reason", err)
			}
			log.Info("disconnected", list...)
		},
	}
}
