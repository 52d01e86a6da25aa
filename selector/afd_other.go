//go:build !windows

package selector

const hasAFD = false

// NewAFD makes a Selector on polls of the socket driver (AFD) of Windows. On other systems the error wraps
// errors.ErrUnsupported.
func NewAFD() (*Selector, error) { return nil, lacking("afd") }
