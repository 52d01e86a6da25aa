package switchboard

import (
	"fmt"

	"github.com/switchboard-go/switchboard/internal/uring"
	"github.com/switchboard-go/switchboard/selector"
)

// Engines returns what Server.Engine may name on this system, the one that "auto" takes first.
func Engines() []string {
	names := selector.Mechanisms()
	if checkRing(uring.Probe()) == nil {
		names = append(names, "uring")
	}
	return names
}

// checkRing tells why the kernel cannot carry the completion engine, naming what it lacks and since when Linux has it.
func checkRing(s uring.Support) error {
	err := s.Require(uring.TimedWait, uring.SkipSuccess, uring.SubmitAll, uring.RegisteredRing, uring.BufferRing,
		uring.MultishotRecv, uring.DeferTaskrun, uring.IncrementalBuffers)
	if err != nil {
		return fmt.Errorf("switchboard: engine uring: %w", err)
	}
	return nil
}

// newEngine makes the engine that Server.Engine names.
func newEngine(l *loop, name string) (engine, error) {
	if name != "uring" {
		return newReadiness(l, name)
	}
	if err := checkRing(uring.Probe()); err != nil {
		return nil, err
	}
	return newCompletion(l)
}
