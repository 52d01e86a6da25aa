//go:build !(darwin || dragonfly || freebsd || netbsd || openbsd)

package selector

const hasKqueue = false

// NewKqueue makes a Selector on kqueue(2) of macOS and the BSDs. On other systems the error wraps
// errors.ErrUnsupported.
func NewKqueue() (*Selector, error) { return nil, lacking("kqueue") }
