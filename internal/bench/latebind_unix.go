//go:build unix && !linux

package bench

// lateBind is not there: the port is chosen by bind.
func lateBind(int) {}
