package socket

import "golang.org/x/sys/unix"

// Options that are not the same everywhere.
const (
	optReusePort    = unix.SO_REUSEPORT
	optKeepIdle     = unix.TCP_KEEPIDLE
	optKeepInterval = unix.TCP_KEEPINTVL
	optKeepCount    = unix.TCP_KEEPCNT
	optExclusive    = lacking
	optLinger       = unix.SO_LINGER
	optUserTimeout  = lacking

	// hasDualStack: an IPv6 socket can serve IPv4 too.
	hasDualStack = true

	// reuseAddrIsSafe: SO_REUSEADDR forgives TIME_WAIT, and does not let another program take a port over.
	reuseAddrIsSafe = true

	lowPortCapability = ""
)
