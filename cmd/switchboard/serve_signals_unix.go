//go:build unix

package main

import (
	"log/slog"
	"os"
	"os/signal"
	"syscall"
)

// heedSignals tells the figures at SIGUSR1, and reads at SIGHUP again what can be. Neither ends the process.
func (f *figures) heedSignals(log *slog.Logger) {
	if f.status != nil {
		f.status.begin()
	}
	signals := make(chan os.Signal, 4)
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
