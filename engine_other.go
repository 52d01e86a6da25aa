//go:build !linux

package switchboard

import (
	"errors"
	"fmt"
	"runtime"

	"github.com/switchboard-go/switchboard/selector"
)

// Engines returns what Server.Engine may name on this system, the one that "auto" takes first.
func Engines() []string { return selector.Mechanisms() }

// newEngine makes the engine that Server.Engine names. For "auto" it says why it is that.
func newEngine(l *loop, name string) (e engine, why string, err error) {
	if name == "uring" {
		return nil, "", fmt.Errorf("switchboard: engine uring: io_uring is Linux's, this is %s: %w", runtime.GOOS, errors.ErrUnsupported)
	}
	if e, err = newReadiness(l, name); name == "auto" {
		why = "the best that " + runtime.GOOS + " has"
	}
	return e, why, err
}
