//go:build !(linux || darwin || dragonfly || freebsd || netbsd || openbsd || windows)

package selector

const (
	hasPoll   = false
	hasSelect = false
)

// NewPoll makes a Selector on poll(2), on Windows WSAPoll.
func NewPoll() (*Selector, error) { return nil, lacking("poll") }

// NewSelect makes a Selector on select(2).
func NewSelect() (*Selector, error) { return nil, lacking("select") }
