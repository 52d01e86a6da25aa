//go:build !(linux || darwin || dragonfly || freebsd || netbsd || openbsd || windows)

package selector

import "time"

// Select waits until a descriptor of the lists is ready to read, ready to write, or in an exceptional condition
// (urgent data): select(2). It returns the ready ones in the order of the lists, and empty lists after the timeout. A
// negative timeout means no limit. 0 means that Select does not wait. Other timeouts are rounded up to milliseconds.
//
// A descriptor may be in several lists. Its number may be of any size. Any goroutine may call Select; while it waits
// it holds no processor (P) of the Go scheduler.
//
// If a descriptor is not open, the error is a *BadFDError. An error or a hangup of the peer makes a descriptor ready
// to read and to write. To wait for the same descriptors many times, use a Selector, which is faster.
func Select(read, write, except []int, timeout time.Duration) (r, w, x []int, err error) {
	return nil, nil, nil, lacking("select")
}
