//go:build !windows

package selector

const hasAFD = false

// NewAFD opens a Selector on polls of the driver of sockets (AFD), which only Windows has: elsewhere the error wraps
// errors.ErrUnsupported.
func NewAFD() (*Selector, error) { return nil, lacking("afd") }
