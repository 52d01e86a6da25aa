//go:build !linux

package selector

const hasEpoll = false

// NewEpoll makes a Selector on epoll(7) of Linux. On other systems the error wraps errors.ErrUnsupported.
func NewEpoll() (*Selector, error) { return nil, lacking("epoll") }
