package main

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/switchboard-go/switchboard/internal/classic"
	"github.com/switchboard-go/switchboard/internal/service"
)

// serveClassic serves in one of the architectures that socket servers are taught with.
func (s *serving) serveClassic(cmd *cobra.Command, what service.Service, m classic.Mode) error {
	if only, err := s.onlyChecks(loopService{name: what.Name}); only {
		return err
	}
	listeners, err := s.listenAll()
	if err != nil {
		return err
	}
	log := s.logger()
	server := &classic.Server{
		Service:     what,
		Listeners:   listeners,
		MaxConns:    s.maxConns,
		IdleTimeout: s.idleTimeout,
		KeepAlive:   s.keepAlive,
		Grace:       s.grace,
		Worker:      s.workerCommands(cmd),
		Log:         log,
		Quiet:       s.quiet,
	}
	s.figures.ofClassic(server)
	err = server.Run(s.announce(log, listeners, what.Name), m)
	s.figures.summarise(log)
	if err != nil {
		return failure{exitFailed, err}
	}
	return nil
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
		case "listen", "mode", "max-conns", "socket-mode", "socket-owner", "config":
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
