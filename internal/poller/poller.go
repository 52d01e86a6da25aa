// Package poller is where goroutines wait for descriptors without a thread. An [FD] waits in the poller of Go's runtime, or
// on Windows in a poller of this package's, as the runtime's waits for its own calls only.
//
// Open opens the poller of the runtime while there are descriptors for it. The runtime opens it when a goroutine first has to wait, for a descriptor or for a timer, and ends the process if it
// cannot ("runtime: netpollinit failed"). A server whose every descriptor is taken must not come to that.
package poller

import (
	"sync"
	"sync/atomic"
	"time"
)

var (
	opened atomic.Bool
	mu     sync.Mutex
)

// Open has the runtime open its poller now. It returns an error, and leaves the runtime alone, if there are too few
// descriptors; then nobody must wait. Later calls cost next to nothing. Any goroutine may call it.
func Open() error {
	if opened.Load() {
		return nil
	}
	mu.Lock()
	defer mu.Unlock()
	if opened.Load() {
		return nil
	}
	if err := enough(); err != nil {
		return err
	}
	time.AfterFunc(time.Hour, func() {}).Stop() // a timer that is started needs the poller
	opened.Store(true)
	return nil
}
