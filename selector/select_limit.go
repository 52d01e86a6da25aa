//go:build linux || dragonfly || freebsd || netbsd || openbsd || windows

package selector

import "math"

// highestForSelect is the last descriptor that select(2) takes. These kernels take bit sets of any length.
const highestForSelect = math.MaxInt32
