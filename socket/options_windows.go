package socket

import "github.com/switchboard-go/switchboard/internal/winsock"

// Options that are not the same everywhere.
const (
	optReusePort    = lacking
	optKeepIdle     = winsock.TCP_KEEPIDLE
	optKeepInterval = winsock.TCP_KEEPINTVL
	optKeepCount    = winsock.TCP_KEEPCNT
	optExclusive    = winsock.SO_EXCLUSIVEADDRUSE
	optUserTimeout  = lacking

	// hasDualStack: an IPv6 socket can serve IPv4 too.
	hasDualStack = true

	// reuseAddrIsSafe: SO_REUSEADDR forgives TIME_WAIT, and does not let another program take a port over.
	reuseAddrIsSafe = false

	lowPortCapability = ""
)
