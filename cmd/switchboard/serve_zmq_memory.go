package main

import (
	"fmt"
	"runtime"

	"github.com/spf13/pflag"
)

// A zmqMemory is what a device makes of --memory-limit. Zeros are no limits.
type zmqMemory struct {
	connections int64 // of all peers: half of the limit
	queues      int   // of what was received, and of what waits to be sent, of each side: an eighth
}

// divide divides --memory-limit, and makes sure that a message fits.
func (z *zmqServing) divide(flags *pflag.FlagSet) (zmqMemory, error) {
	loops := z.loop.loops
	if loops == 0 {
		loops = runtime.GOMAXPROCS(0)
	}
	limit := z.loop.memory.bytes(loops)
	if limit == 0 {
		return zmqMemory{}, nil
	}
	m := zmqMemory{connections: max(limit/2, int64(loops)<<20), queues: int(min(max(limit/8, 256<<10), 1<<40))}
	// A message that comes in part lies in a buffer that may be twice as large, and counts for its loop.
	most := size(min(m.connections/int64(loops)/4, 1<<30))
	switch {
	case z.message <= most:
	case changed(flags, "max-message"):
		return m, fmt.Errorf("--max-message %s: at most %s fit --memory-limit on %d loops", &z.message, &most, loops)
	default:
		z.message = most
	}
	return m, nil
}
