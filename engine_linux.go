package switchboard

import (
	"github.com/switchboard-go/switchboard/internal/uring"
	"github.com/switchboard-go/switchboard/selector"
)

// Engines returns what Server.Engine may name on this system, the one that "auto" takes first.
func Engines() []string {
	names := selector.Mechanisms()
	if checkRing() == nil {
		names = append(names, "uring")
	}
	return names
}

// checkRing tells why the kernel cannot carry the completion engine, naming what it lacks and since when Linux has it.
func checkRing() error {
	return uring.Probe().Require(uring.TimedWait, uring.SkipSuccess, uring.SubmitAll, uring.RegisteredRing, uring.BufferRing,
		uring.MultishotRecv, uring.DeferTaskrun, uring.IncrementalBuffers)
}

// newEngine makes the engine that Server.Engine names.
func newEngine(l *loop, name string) (engine, error) {
	if name != "uring" {
		return newReadiness(l, name)
	}
	if err := checkRing(); err != nil {
		return nil, err
	}
	return newCompletion(l)
}
