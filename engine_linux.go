package switchboard

import (
	"fmt"

	"github.com/switchboard-go/switchboard/internal/uring"
	"github.com/switchboard-go/switchboard/selector"
)

// Engines returns what Server.Engine may name on this system, the one that "auto" takes first.
func Engines() []string {
	if checkRing(uring.Probe()) == nil {
		return append([]string{"uring"}, selector.Mechanisms()...)
	}
	return selector.Mechanisms()
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

// newEngine makes the engine that Server.Engine names. For "auto", which takes what there is, it says why it is that.
func newEngine(l *loop, name string) (e engine, why string, err error) {
	if name != "uring" && name != "auto" {
		e, err = newReadiness(l, name)
		return e, "", err
	}
	if err = checkRing(uring.Probe()); err == nil {
		e, err = newCompletion(l)
	}
	if name == "uring" {
		return e, "", err
	}
	if err == nil {
		return e, "this kernel can, and a message costs less than with epoll", nil
	}
	why = err.Error()
	e, err = newReadiness(l, name)
	return e, why, err
}
