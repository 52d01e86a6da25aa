package switchboard

// newEngine makes the engine that Server.Engine names.
func newEngine(l *loop, name string) (engine, error) { return newReadiness(l, name) }
