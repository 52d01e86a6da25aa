package main

import (
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/switchboard-go/switchboard"
	"github.com/switchboard-go/switchboard/internal/systemd"
)

// passedSockets returns the sockets that a service manager has passed under the name of an address.
func passedSockets(a address) (all []address, err error) {
	fds, err := systemd.FDs(a.name)
	if err != nil {
		return nil, fmt.Errorf("listen %s: %w", a, err)
	}
	for _, fd := range fds {
		all = append(all, address{"fd", strconv.Itoa(fd)})
	}
	return all, nil
}

// expand puts the sockets that a service manager has passed in the place of their names.
func (s *serving) expand(addresses []address) (all []address, err error) {
	for _, a := range addresses {
		if a.network != "systemd" {
			all = append(all, a)
			continue
		}
		passed, err := passedSockets(a)
		if err != nil {
			return nil, err
		}
		all = append(all, passed...)
	}
	if len(all) != len(addresses) { // the workers of the processes mode are told each
		s.listen = nil
		for _, a := range all {
			s.listen = append(s.listen, a.String())
		}
	}
	return all, nil
}

// manage tells the service manager, if there is one, that the service is ready, and then again and again that it is alive.
func (s *serving) manage(log *slog.Logger) {
	if s.worker {
		return
	}
	f := &s.figures
	f.manager = systemd.NewManager()
	if err := f.manager.Tell("READY=1"); err != nil {
		log.Warn("the service manager does not hear", "error", err)
	}
	if every := f.manager.Watchdog() / 2; every > 0 {
		go func() {
			for range time.Tick(every) {
				if f.await != nil {
					f.await()
				}
				f.manager.Tell("WATCHDOG=1")
			}
		}()
	}
}

// awaitTurns waits until every loop of a server has had a turn. A loop that a handler holds has none.
func awaitTurns(server *switchboard.Server) {
	var loops sync.WaitGroup
	for i := range server.Stats().Loops {
		loops.Add(1)
		if server.Do(i, loops.Done) != nil { // it has ended
			loops.Done()
		}
	}
	loops.Wait()
}
