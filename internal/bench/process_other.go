//go:build !linux

package bench

import (
	"errors"
	"fmt"
	"net"
	"runtime"
)

// There is no /proc to look into.
var errProcess = fmt.Errorf("looking at another process on %s: %w", runtime.GOOS, errors.ErrUnsupported)

func listeners(net.Addr, net.Addr) []int { return nil }
func nameOf(int) (string, error)         { return "", errProcess }
func usageOf([]int) (usage, error)       { return usage{}, errProcess }
