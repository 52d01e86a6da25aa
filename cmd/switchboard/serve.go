package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/switchboard-go/switchboard/internal/classic"
	"github.com/switchboard-go/switchboard/internal/service"
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
	worker      bool
}

func serveCommand() *cobra.Command {
	var s serving
	serve := &cobra.Command{
		Use:   "serve SERVICE",
		Short: "Serve one of the classic services, in any architecture",
		Long: "Serve one of the classic services, in any architecture.\n\n" + modesHelp() + "\n" +
			"SIGINT and SIGTERM stop accepting and let what is in flight finish; a second one ends at once.\n" +
			"Exit codes: 0 after such a shutdown, 1 when the server could not go on, 2 for a wrong call.",
		Example: "  switchboard serve echo\n" +
			"  switchboard serve echo --mode select --listen '[::1]:7007' --listen unix:///tmp/echo.sock\n" +
			"  switchboard serve chargen --listen :19 --max-conns 100 --idle-timeout 1m --log json",
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			return fmt.Errorf("which service? There are %s", strings.Join(serviceNames(), ", "))
		},
	}
	s.addFlags(serve.PersistentFlags())
	serve.RegisterFlagCompletionFunc("mode", completeModes)
	serve.RegisterFlagCompletionFunc("log",
		cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp))
	for _, what := range service.All() {
		serve.AddCommand(&cobra.Command{
			Use:   what.Name,
			Short: what.About,
			Args:  noArgs,
			RunE:  func(cmd *cobra.Command, _ []string) error { return s.run(cmd, what) },
		})
	}
	return serve
}

func (s *serving) addFlags(flags *pflag.FlagSet) {
	flags.StringArrayVarP(&s.listen, "listen", "l", []string{"127.0.0.1:7007"},
		"`ADDRESS` to listen on, any number of times: HOST:PORT, unix:PATH, unix:@NAME, fd://NUMBER")
	flags.StringVarP(&s.mode, "mode", "m", "auto", "architecture of the server: "+strings.Join(modeNames(), ", "))
	flags.IntVar(&s.maxConns, "max-conns", 0, "clients served at once, the others wait (0: no limit)")
	flags.DurationVar(&s.idleTimeout, "idle-timeout", 0, "hang up on a client after so long without a byte (0: never)")
	flags.DurationVar(&s.keepAlive, "keep-alive", 15*time.Second,
		"ask a silent TCP peer after so long whether it lives (0: never)")
	flags.DurationVar(&s.grace, "grace", 10*time.Second, "time for what is in flight to finish at a shutdown")
	flags.StringVar(&s.log, "log", "text", "form of the log on standard error: text or json")
	flags.BoolVarP(&s.quiet, "quiet", "q", false, "do not log who connects and disconnects")
	flags.BoolVar(&s.worker, "worker", false, "drain at a line from standard input, end with it")
	flags.MarkHidden("worker")
}

func (s *serving) run(cmd *cobra.Command, what service.Service) error {
	mode, err := s.check()
	if err != nil {
		return err
	}
	var addresses []address
	for _, text := range s.listen {
		a, err := parseAddress(text)
		if err != nil {
			return err
		}
		addresses = append(addresses, a)
	}

	log := s.logger()
	server := &classic.Server{
		Service:     what,
		MaxConns:    s.maxConns,
		IdleTimeout: s.idleTimeout,
		KeepAlive:   s.keepAlive,
		Grace:       s.grace,
		Worker:      s.workerCommands(cmd),
		Log:         log,
		Quiet:       s.quiet,
	}
	for _, a := range addresses {
		l, err := listen(a)
		if err != nil {
			for _, l := range server.Listeners {
				l.Close()
			}
			return failure{exitFailed, err}
		}
		server.Listeners = append(server.Listeners, l)
	}
	ctx := s.untilTold(log)
	if !s.worker {
		for _, l := range server.Listeners {
			log.Info("listening on "+whereabouts(l), "service", what.Name, "mode", mode.Name)
		}
	}
	if err := server.Run(ctx, mode); err != nil {
		return failure{exitFailed, err}
	}
	return nil
}

// check makes sure that the flags make sense, and finds the mode.
func (s *serving) check() (classic.Mode, error) {
	switch {
	case s.maxConns < 0:
		return classic.Mode{}, fmt.Errorf("--max-conns %d: it cannot be negative (0 is without limit)", s.maxConns)
	case s.idleTimeout < 0 || s.keepAlive < 0 || s.grace < 0:
		return classic.Mode{}, errors.New("a time cannot be negative (0 is never, or for --grace at once)")
	case s.log != "text" && s.log != "json":
		return classic.Mode{}, fmt.Errorf("unknown --log %q: there are text and json", s.log)
	}
	modes := classic.Modes()
	i := slices.IndexFunc(modes, func(m classic.Mode) bool { return m.Name == s.mode })
	if i < 0 {
		return classic.Mode{}, fmt.Errorf("unknown mode %q on %s: there are %s",
			s.mode, runtime.GOOS, strings.Join(modeNames(), ", "))
	}
	return modes[i], nil
}

func (s *serving) logger() *slog.Logger {
	var h slog.Handler = slog.NewTextHandler(os.Stderr, nil)
	if s.log == "json" {
		h = slog.NewJSONHandler(os.Stderr, nil)
	}
	if s.worker {
		return slog.New(h).With("worker", os.Getpid())
	}
	return slog.New(h)
}

// untilTold returns a context that is done at the first SIGINT or SIGTERM. The second one ends the process.
func (s *serving) untilTold(log *slog.Logger) context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	signal.Ignore(syscall.SIGPIPE) // that nobody reads the log any more is no reason to end
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		first := <-signals
		if !s.worker {
			log.Info("shutting down", "signal", first.String(), "grace", s.grace)
		}
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

// workerCommands makes the command of a worker of the processes mode: this command again, with the same flags.
func (s *serving) workerCommands(cmd *cobra.Command) func(maxConns int) *exec.Cmd {
	self, err := os.Executable()
	if err != nil {
		self = os.Args[0]
	}
	args := []string{"serve", cmd.Name(), "--worker", "--mode=goroutines"}
	for i := range s.listen {
		args = append(args, fmt.Sprintf("--listen=fd://%d", 3+i))
	}
	cmd.Flags().Visit(func(f *pflag.Flag) {
		switch f.Name {
		case "listen", "mode", "max-conns":
		default:
			args = append(args, "--"+f.Name+"="+f.Value.String())
		}
	})
	return func(maxConns int) *exec.Cmd {
		worker := exec.Command(self, append(slices.Clip(args), "--max-conns="+strconv.Itoa(maxConns))...)
		worker.Env = append(os.Environ(), "GOMAXPROCS=1")
		return worker
	}
}

func serviceNames() (names []string) {
	for _, s := range service.All() {
		names = append(names, s.Name)
	}
	return names
}

func modeNames() (names []string) {
	for _, m := range classic.Modes() {
		names = append(names, m.Name)
	}
	return names
}

func modesHelp() string {
	var b strings.Builder
	b.WriteString("Modes:\n")
	for _, m := range classic.Modes() {
		fmt.Fprintf(&b, "  %-12s%s\n", m.Name, m.About)
	}
	return b.String()
}

func completeModes(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var modes []cobra.Completion
	for _, m := range classic.Modes() {
		modes = append(modes, cobra.CompletionWithDesc(m.Name, m.About))
	}
	return modes, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
}
