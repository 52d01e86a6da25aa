package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/switchboard-go/switchboard/internal/quote"
	"github.com/switchboard-go/switchboard/internal/service"
	"github.com/switchboard-go/switchboard/socket"
)

// A serving is what the flags of serve ask for.
type serving struct {
	listen      []string
	mode        string
	maxConns    int
	idleTimeout time.Duration
	keepAlive   time.Duration
	grace       time.Duration
	log         string
	quiet       bool
	verbose     bool
	worker      bool
	restarts    bool // SIGUSR2 restarts it
	loop        loopFlags
	ws          serverWebSocket
	unix        unixFlags
	admin       adminFlags
	figures     figures
	config      configFile
}

func serveCommand(s *serving) *cobra.Command {
	serve := &cobra.Command{
		Use:   "serve SERVICE",
		Short: "Serve on event loops, or in a classic architecture",
		Long: "Serve on event loops (the default), or serve one of the classic services in a classic architecture.\n\n" + modesHelp() + "\n" +
			"The log goes to standard error. In classic modes it has a line for each connection that opens or closes, unless\n" +
			"--quiet is given. In mode loop it has these lines only with --verbose, because a line costs as much as a connection.\n\n" +
			"With --tls-cert and --tls-key, or with --tls-self-signed, the server speaks TLS. TLS needs mode loop.\n\n" +
			"Sizes are in bytes; the suffixes k, M and G multiply by 1024, 1024² and 1024³. Durations are in seconds, or have a\n" +
			"unit: 300ms, 1m30s.\n\n" +
			"SIGINT and SIGTERM stop accepting and wait until the connections have finished, at most --grace; a second signal\n" +
			"ends the process at once. SIGHUP reads certificates, lists and targets again. SIGUSR1 logs the statistics, which are also logged at\n" +
			"the end. SIGUSR2 starts the program again without dropping anyone, in mode loop on Linux: see switchboard restart.\n" +
			"Exit codes: 0 after a shutdown by signal, 1 if the server failed, 2 for wrong arguments.",
		Example: "  switchboard serve echo\n" +
			"  switchboard serve echo --mode select --listen '[::1]:7007' --listen unix:///tmp/echo.sock\n" +
			"  switchboard serve chargen --listen :19 --max-conns 100 --idle-timeout 1m --log json\n" +
			"  switchboard serve echo --tls-self-signed\n" +
			"  switchboard serve echo --listen ws://127.0.0.1:8080\n" +
			"  switchboard serve lines --listen :7443 --tls-cert site.pem --tls-key site.key --tls-client-ca clients.pem\n" +
			"  switchboard serve proxy --listen :8080 --to 127.0.0.1:8081 --to 127.0.0.1:8082",
		Args: noArgs,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			if !cmd.HasSubCommands() {
				return s.config.read(cmd)
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			if s.config.path != "" {
				return s.config.run(cmd)
			}
			var names []string
			for _, what := range cmd.Commands() {
				names = append(names, what.Name())
			}
			return fmt.Errorf("which service? There are %s", strings.Join(names, ", "))
		},
	}
	s.addFlags(serve.PersistentFlags())
	serve.RegisterFlagCompletionFunc("mode", completeModes)
	serve.RegisterFlagCompletionFunc("engine", completeEngines)
	serve.RegisterFlagCompletionFunc("log",
		cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp))
	for _, what := range service.All() {
		serve.AddCommand(&cobra.Command{
			Use:   what.Name,
			Short: what.About,
			Args:  noArgs,
			RunE:  func(cmd *cobra.Command, _ []string) error { return s.serveService(cmd, what) },
		})
	}
	serve.AddCommand(linesCommand(s), relayCommand(s), proxyCommand(s), webCommand(s), chatCommand(s))
	serve.AddCommand(zmqCommands(s)...)
	return serve
}

func (s *serving) addFlags(flags *pflag.FlagSet) {
	flags.StringArrayVarP(&s.listen, "listen", "l", []string{"127.0.0.1:7007"},
		"`ADDRESS` to listen on; may be repeated: HOST:PORT, unix:PATH, unix:@NAME, fd://NUMBER, systemd:NAME, "+
			"ws://HOST:PORT for WebSocket, wss://HOST:PORT for WebSocket over TLS")
	flags.StringVarP(&s.mode, "mode", "m", modes()[0].name, "architecture of the server: "+strings.Join(modeNames(), ", "))
	flags.IntVar(&s.maxConns, "max-conns", 0, "limit of clients at the same time; others wait in the backlog (0: no limit; default in mode loop: "+
		"what the limit of descriptors allows)")
	flags.DurationVar(&s.idleTimeout, "idle-timeout", 10*time.Minute, "close a connection that has been idle for this long (0: never; default for web: 2m)")
	flags.DurationVar(&s.keepAlive, "keep-alive", 15*time.Second,
		"send TCP keep-alive probes to a client that has been silent for this long (0: never)")
	flags.DurationVar(&s.grace, "grace", 10*time.Second, "time for connections to finish at a shutdown")
	flags.StringVar(&s.log, "log", "text", "format of the log on standard error: text or json")
	flags.BoolVarP(&s.quiet, "quiet", "q", false, "do not log each connection (the default in mode loop)")
	flags.BoolVarP(&s.verbose, "verbose", "v", false, "log each connection (the default in classic modes)")
	flags.BoolVar(&s.worker, "worker", false, "drain at a line on standard input, end at its end")
	flags.MarkHidden("worker")
	s.loop.add(flags)
	s.ws.add(flags)
	s.unix.add(flags)
	s.admin.add(flags)
	s.config.add(flags)
}

// serveService serves one of the services that every mode has.
func (s *serving) serveService(cmd *cobra.Command, what service.Service) error {
	m, err := s.check(cmd.Flags())
	if err != nil {
		return err
	}
	if m.classic == nil {
		return s.serveOnLoops(s.logger(), onLoops(what))
	}
	return s.serveClassic(cmd, what, *m.classic)
}

// check makes sure that the flags make sense, and finds the mode.
func (s *serving) check(flags *pflag.FlagSet) (mode, error) {
	switch {
	case len(s.listen) == 0:
		return mode{}, errors.New("--listen: the list is empty")
	case s.maxConns < 0:
		return mode{}, fmt.Errorf("--max-conns %d: it cannot be negative (0 is without limit)", s.maxConns)
	case s.log != "text" && s.log != "json":
		return mode{}, fmt.Errorf("unknown --log %q: there are text and json", s.log)
	case s.quiet && s.verbose:
		return mode{}, errors.New("--quiet and --verbose exclude each other")
	}
	s.loop.access.mayChange = s.config.path != ""
	m, err := modeNamed(s.mode)
	if err == nil {
		err = s.ws.check(s, m)
	}
	if err == nil {
		err = s.unix.check(s.listen)
	}
	if err == nil {
		err = s.admin.check(m)
	}
	if err == nil {
		err = checkDistinct(s.places())
	}
	if err != nil {
		return mode{}, err
	}
	if m.classic != nil {
		return m, s.loop.refuse(flags, m.name)
	}
	if !flags.Changed("max-conns") {
		s.maxConns = s.admin.leave(connsPossible(s.loop.loops, len(s.listen)))
	}
	return m, s.loop.check(flags)
}

// checkLoop is check for a service that only loops have.
func (s *serving) checkLoop(cmd *cobra.Command) error {
	m, err := s.check(cmd.Flags())
	if err == nil && m.classic != nil {
		err = fmt.Errorf("%s is served in the mode loop, and not in %s", cmd.Name(), m.name)
	}
	return err
}

// addresses reads --listen.
func (s *serving) addresses() (all []address, err error) {
	for _, text := range s.listen {
		a, err := parseAddress(text)
		if err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	return all, nil
}

// listenAll opens the listening sockets.
func (s *serving) listenAll() (listeners []*socket.Socket, err error) {
	addresses, err := s.addresses()
	if err != nil {
		return nil, err
	}
	if addresses, err = s.expand(addresses); err != nil {
		return nil, failure{exitFailed, err}
	}
	for _, a := range addresses {
		l, err := s.unix.listen(a)
		if err != nil {
			for _, l := range listeners {
				l.Close()
			}
			return nil, failure{exitFailed, err}
		}
		listeners = append(listeners, l)
	}
	return listeners, nil
}

// announce logs where the server can be found, and more about it. What begins after this may be told to end.
func (s *serving) announce(log *slog.Logger, listeners []*socket.Socket, service string, more ...any) context.Context {
	ctx := s.untilTold(log)
	if !s.worker {
		for _, l := range listeners {
			log.Info("listening on "+s.ws.prefix()+whereabouts(l), append([]any{"service", service, "mode", s.mode}, more...)...)
		}
	}
	return ctx
}

func (s *serving) logger() *slog.Logger {
	if s.config.instead != nil {
		return slog.New(slog.DiscardHandler)
	}
	var h slog.Handler = slog.NewTextHandler(s.standardError(), &slog.HandlerOptions{Level: &s.admin.level})
	if s.log == "json" {
		h = slog.NewJSONHandler(quote.JSON(os.Stderr), &slog.HandlerOptions{Level: &s.admin.level, ReplaceAttr: durationsWithUnits})
	}
	if s.worker {
		return slog.New(h).With("worker", os.Getpid())
	}
	return slog.New(h)
}

// untilTold returns a context that is done at the first SIGINT or SIGTERM. The second one ends the process.
func (s *serving) untilTold(log *slog.Logger) context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	s.manage(log)
	s.figures.heedSignals(log)
	if !s.restarts {
		refuseRestarts()
	}
	signal.Ignore(syscall.SIGPIPE) // that nobody reads the log any more is no reason to end
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		first := <-signals
		if !s.worker {
			log.Info("shutting down", "signal", first.String(), "grace", s.grace)
		}
		s.figures.manager.Tell("STOPPING=1")
		cancel()
		if second, ok := (<-signals).(syscall.Signal); ok {
			os.Exit(128 + int(second))
		}
	}()
	if s.worker {
		go func() {
			line := make([]byte, 1)
			if _, err := io.ReadFull(os.Stdin, line); err == nil {
				cancel()
				io.Copy(io.Discard, os.Stdin)
			}
			os.Exit(exitFailed) // who started this process is gone
		}()
	}
	return ctx
}
