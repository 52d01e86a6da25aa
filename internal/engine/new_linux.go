package engine

import (
	"fmt"

	"github.com/switchboard-go/switchboard/internal/uring"
	"github.com/switchboard-go/switchboard/selector"
)

// Names returns the engines of this system, the one that "auto" takes first.
func Names() []string {
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

// New makes the engine of that name. For "auto", which takes the best that can be had, it says why it is that.
func New(k Kernel, o Owner, c Config, name string) (e Engine, why string, err error) {
	if name != "uring" && name != "auto" {
		e, err = newReadiness(k, o, c, name)
		return e, "", err
	}
	if k == System {
		err = checkRing(uring.Probe())
	}
	if err == nil {
		e, err = newCompletion(k.(ringKernel), o, c)
	}
	if name == "uring" {
		return e, "", err
	}
	if err == nil {
		return e, "this kernel has io_uring, and a message costs less than with epoll", nil
	}
	why = err.Error()
	e, err = newReadiness(k, o, c, "auto")
	return e, why, err
}
