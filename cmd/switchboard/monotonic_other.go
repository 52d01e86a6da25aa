//go:build unix && !linux

package main

// monotonic has nothing to say: systemd is of Linux alone.
func monotonic() string { return "" }
