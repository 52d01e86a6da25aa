package socket

// Options that are not the same everywhere.
const (
	optReusePort    = lacking
	optKeepIdle     = lacking
	optKeepInterval = lacking
	optKeepCount    = lacking
	optUserTimeout  = lacking

	lowPortCapability = ""
)
