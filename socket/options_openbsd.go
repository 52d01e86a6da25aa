package socket

import "golang.org/x/sys/unix"

// Options that are not the same everywhere.
const (
	optReusePort    = unix.SO_REUSEPORT
	optKeepIdle     = lacking
	optKeepInterval = lacking
	optKeepCount    = lacking
	optUserTimeout  = lacking

	lowPortCapability = ""
)
