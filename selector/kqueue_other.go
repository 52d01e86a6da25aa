//go:build !(darwin || dragonfly || freebsd || netbsd || openbsd)

package selector

const hasKqueue = false

// NewKqueue opens a Selector on kqueue(2), which macOS and the BSDs have: elsewhere the error wraps
// errors.ErrUnsupported.
func NewKqueue() (*Selector, error) { return nil, lacking("kqueue") }
