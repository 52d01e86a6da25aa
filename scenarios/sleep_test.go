//go:build unix

package scenarios

import (
	"testing"
	"time"
)

// A thread that wakes up goes to sleep again, which the kernel counts: a server that nobody asks for anything does that
// for the questions of this test only, with connections that idle as well.
func TestLoopsWithNothingToDoSleep(t *testing.T) {
	leavesNothing(t)
	for _, engine := range engines() {
		t.Run(engine, func(t *testing.T) {
			t.Parallel() // most of it is waiting
			c := startChild(t, "echo", engine)
			p := call(t, c.address)
			p.says("x")
			p.hears("x")
			for _, connections := range []string{"nobody there", "one idle"} {
				if connections == "nobody there" {
					p.Close()
					eventually(t, "it is gone", func() bool { return c.usage().active == 0 })
				} else {
					p = call(t, c.address)
					p.says("x")
					p.hears("x")
				}
				eventually(t, "with "+connections+" it sleeps", func() bool { // the runtime has work of its own now and then
					before := c.usage()
					time.Sleep(300 * time.Millisecond)
					after := c.usage()
					return after.switches-before.switches <= 10
				})
			}
		})
	}
}
