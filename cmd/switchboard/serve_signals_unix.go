//go:build unix

package main

import (
	"log/slog"
	"os"
	"os/signal"
	"syscall"
)

// Signals of serve that wait until they can be heeded.
var reloadSignals, restartSignals = make(chan os.Signal, 4), make(chan os.Signal, 1)

// holdSignals has the signals of serve wait which would end a process that does not heed them yet. It is the first thing that is done:
// only while the runtime starts can they still end the process.
func holdSignals(args []string) {
	if len(args) > 0 && args[0] == "serve" {
		signal.Notify(reloadSignals, syscall.SIGHUP, syscall.SIGUSR1)
		signal.Notify(restartSignals, syscall.SIGUSR2)
	}
}

// refuseRestarts has SIGUSR2 ignored, which "switchboard restart" knows.
func refuseRestarts() { signal.Ignore(syscall.SIGUSR2) }

// heedSignals tells the figures at SIGUSR1, and reads at SIGHUP again what can be. Neither ends the process.
func (f *figures) heedSignals(log *slog.Logger) {
	if f.status != nil {
		f.status.begin()
	}
	signals := reloadSignals
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGUSR1)
	go func() {
		for s := range signals {
			switch {
			case s == syscall.SIGUSR1:
				f.tell(log, "statistics")
			case f.reload != nil:
				log.Info("reading what changed", "signal", s.String())
				f.manager.Tell("RELOADING=1", monotonic())
				f.reload()
				f.manager.Tell("READY=1")
			default:
				log.Info("nothing to read again", "signal", s.String())
				f.manager.Tell("RELOADING=1", monotonic())
				f.manager.Tell("READY=1")
			}
		}
	}()
}
