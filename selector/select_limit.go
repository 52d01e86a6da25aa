//go:build linux || dragonfly || freebsd || netbsd || openbsd

package selector

import "math"

// selectLimit is the first descriptor that select(2) refuses. These kernels take bit sets of any length.
const selectLimit = math.MaxInt
