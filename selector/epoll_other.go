//go:build !linux

package selector

const hasEpoll = false

// NewEpoll opens a Selector on epoll(7), which only Linux has: elsewhere the error wraps errors.ErrUnsupported.
func NewEpoll() (*Selector, error) { return nil, lacking("epoll") }
