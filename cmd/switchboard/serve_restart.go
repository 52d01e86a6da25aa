package main

import (
	"errors"
	"log/slog"
	"syscall"
	"time"
)

// adminAfter serves the admin page after a takeover: as soon as the process before has given up its address. Clients are served
// in any case.
func adminAfter(log *slog.Logger, serve func() (end func(), err error)) (end func()) {
	const step, most = 20 * time.Millisecond, 500
	for range most {
		end, err := serve()
		if err == nil {
			return end
		}
		if !errors.Is(err, syscall.EADDRINUSE) {
			log.Error("no admin page", "error", err)
			return func() {}
		}
		time.Sleep(step)
	}
	log.Error("no admin page: the process before does not give up its address")
	return func() {}
}
