package main

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// monotonic says when a reload began, as a service manager wants to know it.
func monotonic() string {
	var now unix.Timespec
	unix.ClockGettime(unix.CLOCK_MONOTONIC, &now)
	return fmt.Sprintf("MONOTONIC_USEC=%d", now.Nano()/1000)
}
