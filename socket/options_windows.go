package socket

// Options that are not the same everywhere.
const (
	optReusePort    = lacking
	optKeepIdle     = lacking
	optKeepInterval = lacking
	optKeepCount    = lacking
	optUserTimeout  = lacking

	// hasDualStack: an IPv6 socket can serve IPv4 too.
	hasDualStack = false

	// reuseAddrIsSafe: SO_REUSEADDR forgives TIME_WAIT, and does not let another program take a port over.
	reuseAddrIsSafe = false

	lowPortCapability = ""
)
