package socket

import "golang.org/x/sys/unix"

// Options that are not the same everywhere.
const (
	optReusePort    = unix.SO_REUSEPORT_LB
	optKeepIdle     = unix.TCP_KEEPIDLE
	optKeepInterval = unix.TCP_KEEPINTVL
	optKeepCount    = unix.TCP_KEEPCNT
	optUserTimeout  = lacking

	lowPortCapability = ""
)
