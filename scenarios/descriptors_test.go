//go:build unix

package scenarios

import (
	"testing"
	"time"
)

// At the end of its descriptors a server goes on with those whom it serves, lets the others wait, and takes them as soon
// as somebody goes. It neither fails nor spins meanwhile.
func TestServerWithoutDescriptorsPausesAndResumes(t *testing.T) {
	for _, engine := range engines() {
		t.Run(engine, func(t *testing.T) {
			leavesNothing(t)
			c := startChild(t, "echo with 64 descriptors", engine)
			const clients = 150
			type client struct {
				peer
				heard chan bool
			}
			served := make(chan client, clients)
			for range clients {
				p := client{call(t, c.address), make(chan bool)}
				p.says("x")
				go func() {
					if n, _ := p.Read(make([]byte, 1)); n == 1 {
						served <- p
					}
				}()
			}
			var there []client
			eventually(t, "accepting pauses", func() bool { return c.usage().pauses > 0 })
			full := c.usage().active
			if full < 20 || full > 64 {
				t.Errorf("%d connections on 64 descriptors", full)
			}
			for range full {
				there = append(there, next(t, served))
			}
			before := c.usage()
			for began := time.Now(); time.Since(began) < 300*time.Millisecond; time.Sleep(10 * time.Millisecond) {
				there[0].says("still served")
				there[0].hears("still served")
			}
			after := c.usage()
			if spent := after.cpu - before.cpu; spent > 150*time.Millisecond {
				t.Errorf("it spent %v of 300 ms", spent)
			}
			if len(served) > 0 || after.active != full {
				t.Errorf("%d connections more on no descriptors", len(served))
			}
			for left := clients; left > 0; left-- {
				if len(there) == 0 {
					there = append(there, next(t, served))
				}
				there[0].Close()
				there = there[1:]
			}
			eventually(t, "all are gone", func() bool { return c.usage().active == 0 })
		})
	}
}
