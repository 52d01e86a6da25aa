//go:build !linux

package bench

import "time"

// newNap returns a sleep and what ends its use.
func newNap() (nap func(time.Duration), done func()) { return time.Sleep, func() {} }
