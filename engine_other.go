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

// newEngine makes the engine that Server.Engine names.
func newEngine(l *loop, name string) (engine, error) {
	if name == "uring" {
		return nil, fmt.Errorf("switchboard: engine uring: io_uring is Linux's, this is %s: %w", runtime.GOOS, errors.ErrUnsupported)
	}
	return newReadiness(l, name)
}
