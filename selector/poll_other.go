//go:build !(linux || darwin || dragonfly || freebsd || netbsd || openbsd || windows)

package selector

const (
	hasPoll   = false
	hasSelect = false
)

// NewPoll opens a Selector on poll(2). The error wraps errors.ErrUnsupported where there is none.
func NewPoll() (*Selector, error) { return nil, lacking("poll") }

// NewSelect opens a Selector on select(2). The error wraps errors.ErrUnsupported where there is none.
func NewSelect() (*Selector, error) { return nil, lacking("select") }
