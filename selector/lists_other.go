//go:build !(linux || darwin || dragonfly || freebsd || netbsd || openbsd || windows)

package selector

import "time"

// Select is not on this platform: its error wraps errors.ErrUnsupported.
func Select(read, write, except []int, timeout time.Duration) (r, w, x []int, err error) {
	return nil, nil, nil, lacking("select")
}
