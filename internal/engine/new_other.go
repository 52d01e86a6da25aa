//go:build !linux

package engine

import (
	"errors"
	"fmt"
	"runtime"

	"github.com/switchboard-go/switchboard/selector"
)

// A lineState is the completion engine's. There is none here.
type lineState struct{}

// Names returns the engines of this system, the one that "auto" takes first.
func Names() []string { return selector.Mechanisms() }

// New makes the engine of that name. For "auto", which takes the best that can be had, it says why it is that.
func New(k Kernel, o Owner, c Config, name string) (e Engine, why string, err error) {
	if name == "uring" {
		return nil, "", fmt.Errorf("switchboard: engine uring: io_uring is Linux's, this is %s: %w", runtime.GOOS, errors.ErrUnsupported)
	}
	if e, err = newReadiness(k, o, c, name); name == "auto" {
		why = "the best that " + runtime.GOOS + " has"
	}
	return e, why, err
}
